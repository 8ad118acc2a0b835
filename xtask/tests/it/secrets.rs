//! Secrets appear in no output, not even with --verbose, and in no file.

#[cfg(target_os = "linux")]
mod terminal;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fakes::{Fakes, REPOSITORY, World};
#[cfg(target_os = "linux")]
use crate::sandbox::Ended;
use crate::sandbox::Sandbox;

const KEY: &str = "wJalrXUtnFEMI-marker-of-the-key";
const SESSION: &str = "IQoJb3JpZ2luX2VjE-marker-of-the-session";
const PASSWORD: &str = "eyJwYXlsb2FkIjo-marker-of-the-password";

fn check(sandbox: &Sandbox, arguments: &[&str], code: i32) {
    for json in [&["--verbose"][..], &["--verbose", "--json"]] {
        let ended = sandbox.run(&[arguments, json].concat());
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stderr);
        let token = STANDARD.encode(format!("AWS:{PASSWORD}"));
        for secret in [KEY, SESSION, PASSWORD, token.as_str(), STANDARD.encode(PASSWORD).as_str()] {
            let shown = [&ended.stdout, &ended.stderr].iter().any(|stream| stream.contains(secret));
            assert!(!shown, "{arguments:?} shows {secret}");
            assert_eq!(sandbox.files_with(secret), <[std::path::PathBuf; 0]>::default(), "{arguments:?}");
        }
    }
}

fn with_secrets(fakes: &Fakes) -> Sandbox {
    fakes.sandbox().with("AWS_SECRET_ACCESS_KEY", KEY).with("AWS_SESSION_TOKEN", SESSION)
}

#[cfg(target_os = "linux")]
#[test]
fn a_release_shows_no_secrets() {
    let fakes = Fakes::start(World { password: PASSWORD.to_owned(), ..World::default() });
    let sandbox = with_secrets(&fakes);
    check(&sandbox, &["release", "dev"], 0);
    // The password did come all the way to the engine, so that it could have been shown.
    assert!(fakes.world().logins.iter().any(|login| login.contains(PASSWORD)));
    check(&sandbox, &["doctor", "dev"], 0);
    check(&sandbox, &["status", "dev"], 0);
    check(&sandbox, &["deploy", "dev", "--image", &format!("{REPOSITORY}:commit-0123456789ab")], 0);
    check(&sandbox, &["destroy", "dev", "--images", "--yes"], 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_release_shows_no_secrets() {
    let refusal = Some("unauthorized: authentication required".to_owned());
    let world = World { password: PASSWORD.to_owned(), push_refusal: refusal, ..World::default() };
    let fakes = Fakes::start(world);
    check(&with_secrets(&fakes), &["release", "dev"], 1);
    assert!(fakes.world().logins.iter().any(|login| login.contains(PASSWORD)));
}

#[test]
fn an_unreachable_endpoint_is_reported_without_secrets() {
    let fakes = Fakes::start(World::default());
    let sandbox = with_secrets(&fakes).with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    check(&sandbox, &["status", "dev"], 1);
    check(&sandbox, &["deploy", "dev", "--image", &format!("{REPOSITORY}:v1")], 3);
}

/// Stored, released, listed, planned: its value is in the request that stores it and nowhere else.
#[cfg(target_os = "linux")]
#[test]
fn the_value_of_a_secret_is_stored_and_nowhere_else() {
    use crate::snapshots::secret::{TEMPLATE, line, settings};

    const VALUE: &str = "correct-horse-battery-staple";
    let fakes = Fakes::start(World { marked: Some((VALUE, Vec::new())), ..World::default() });
    let sandbox = fakes.sandbox();
    sandbox.write("deploy.toml", &settings(&line(), ""));
    sandbox.write("infra/backend.yaml", TEMPLATE);
    let nowhere = |ended: &Ended| {
        let hidden = [VALUE.to_owned(), STANDARD.encode(VALUE)];
        let shown = hidden.iter().any(|value| ended.stdout.contains(value) || ended.stderr.contains(value));
        assert!(!shown, "{}{}", ended.stdout, ended.stderr);
        let world = fakes.world();
        let of_tool = world.journal.iter().filter(|(name, _)| name.starts_with("/xtask/"));
        let recorded = of_tool.flat_map(|(_, versions)| versions).any(|version| version.value.contains(VALUE));
        assert!(!recorded && !world.template.contains(VALUE), "it is in a record or a template");
        assert_eq!(sandbox.files_with(VALUE), <[std::path::PathBuf; 0]>::default());
    };
    let set = |more: &[&str]| {
        let words = [&["secret", "set", "dev", "PASSWORD"], more].concat();
        sandbox.run_with(&words, format!("{VALUE}\n").as_bytes())
    };
    for (number, more) in [&["--verbose"][..], &["--verbose", "--json"]].into_iter().enumerate() {
        let ended = set(more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        nowhere(&ended);
        assert_eq!(fakes.world().journal[crate::snapshots::secret::PARAMETER].len(), number + 1);
        for arguments in [
            &["release", "dev"][..],
            &["plan", "dev", "--out", "plan.json"],
            &["diff", "dev"],
            &["template", "dev"],
            &["secret", "list", "dev"],
            &["status", "dev"],
            &["doctor", "dev"],
        ] {
            let ended = sandbox.run(&[arguments, more].concat());
            assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
            nowhere(&ended);
        }
    }
    // Also where AWS refuses it, in whatever words, and where what stands in between answers.
    for code in ["ValidationException", "AccessDeniedException", "ThrottlingException", "InternalServerError"] {
        fakes.world().refused_value = Some(code);
        for more in [&["--verbose"][..], &["--verbose", "--json"]] {
            let ended = set(more);
            assert!(ended.code == 1 && ended.stderr.contains(code), "{code}: {}", ended.stderr);
            nowhere(&ended);
        }
    }
    let (_, carried) = fakes.world().marked.clone().unwrap();
    assert!(carried.len() >= 10 && carried.iter().all(|target| target == "AmazonSSM.PutParameter"), "{carried:?}");
}
