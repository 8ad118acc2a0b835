//! Which password a registry gets, and what happens where it expires or cannot be had.

#![cfg(target_os = "linux")]

use serde_json::json;

use crate::fakes::{Fakes, World};
use crate::sandbox::Sandbox;

fn tokens(fakes: &Fakes) -> usize {
    let asked = &fakes.world().asked;
    asked.iter().filter(|action| *action == "ecr:GetAuthorizationToken").count()
}

#[test]
fn a_token_that_expires_during_a_push_is_replaced_once() {
    let fakes = Fakes::start(World { expired_pushes: 1, ..World::default() });
    let ended = fakes.sandbox().run(&["release", "dev", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(tokens(&fakes), 2, "one token at first, and one new one");

    let fakes = Fakes::start(World { expired_pushes: 99, ..World::default() });
    let ended = fakes.sandbox().run(&["release", "dev", "--json"]);
    let error = &ended.json()["error"];
    assert_eq!((ended.code, tokens(&fakes)), (1, 2), "{error}");
    assert!(error["reason"].as_str().unwrap().contains("authorization token has expired"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("clock"), "{error}");
}

/// A registry that is not ECR's, whose password a credential helper keeps.
fn elsewhere(fakes: &Fakes, script: Option<&str>) -> (Sandbox, String) {
    let host = fakes.url().trim_start_matches("http://").trim_end_matches("/live").to_owned();
    let sandbox = fakes.sandbox();
    sandbox.write("home/.docker/config.json", &json!({"credHelpers": {&host: "test"}}).to_string());
    if let Some(script) = script {
        sandbox.program("docker-credential-test", script);
    }
    (sandbox, host)
}

#[test]
fn another_registry_gets_the_password_that_a_credential_helper_keeps() {
    let fakes = Fakes::start(World { password: "ecr-only".to_owned(), ..World::default() });
    let answer = r#"echo '{"ServerURL":"x","Username":"somebody","Secret":"kept"}'"#;
    let (sandbox, host) = elsewhere(&fakes, Some(answer));
    let ended = sandbox.run(&["release", "dev", "--registry", &host, "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let logins = fakes.world().logins.clone();
    assert!(!logins.is_empty());
    assert!(logins.iter().all(|login| login.contains("somebody") && login.contains("kept")), "{logins:?}");
}

#[test]
fn a_credential_helper_that_fails_is_reported_in_its_own_words() {
    for (script, words) in
        [(Some("echo 'the keychain is locked'; exit 1"), "the keychain is locked"), (None, "is not installed")]
    {
        let fakes = Fakes::start(World::default());
        let (sandbox, host) = elsewhere(&fakes, script);
        let ended = sandbox.run(&["release", "dev", "--registry", &host, "--json"]);
        let error = &ended.json()["error"];
        assert_eq!(ended.code, 1, "{error}");
        assert!(error["reason"].as_str().unwrap().contains(words), "{error}");
        assert!(error["hint"].is_string(), "{error}");
    }
}
