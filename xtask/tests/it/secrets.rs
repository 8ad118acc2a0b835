//! Secrets appear in no output, not even with --verbose, and in no file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fakes::{Fakes, REPOSITORY, World};
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
