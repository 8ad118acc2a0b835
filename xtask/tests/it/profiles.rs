//! Which credentials the finished tool uses, on a machine that has several.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::fakes::{Fakes, World, serve};
use crate::sandbox::{Ended, Sandbox};

/// A sandbox with configuration files, and no keys in its environment.
fn sandbox(fakes: &Fakes, config: &str) -> Sandbox {
    let sandbox = fakes.sandbox().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    sandbox.write("home/.aws/config", config);
    sandbox
}

fn error(ended: &Ended) -> Value {
    ended.json()["error"].clone()
}

/// A credentials endpoint, as ECS gives it to containers.
fn container() -> MockServer {
    serve(ResponseTemplate::new(200).set_body_json(json!({
        "AccessKeyId": "AKIDMACHINE", "SecretAccessKey": "machine", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"
    })))
}

#[test]
fn a_missing_profile_is_never_replaced_by_the_machines_role() {
    let fakes = Fakes::start(World::default());
    let container = container();
    let given = format!("{}/keys", container.uri());
    let on_machine = sandbox(&fakes, "[profile work]\nregion = eu-central-1\n");
    let on_machine = on_machine.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &given);
    assert_eq!(on_machine.run(&["status"]).code, 0, "without a choice, the machine's role is taken");
    let ended = on_machine.with("AWS_PROFILE", "wrok").run(&["status", "--json"]);
    assert_eq!(ended.code, 3);
    let error = error(&ended);
    assert_eq!(error["message"], "there is no AWS profile \"wrok\"");
    assert_eq!(error["reason"], "~/.aws/config and ~/.aws/credentials have these: work");
    assert!(error["hint"].as_str().unwrap().starts_with("set AWS_PROFILE to one of these"), "{error}");
}

#[test]
fn a_profile_with_a_gap_is_not_passed_over() {
    let fakes = Fakes::start(World::default());
    let container = container();
    let given = format!("{}/keys", container.uri());
    for (config, gap) in [
        ("[profile work]\nrole_arn = arn:aws:iam::111122223333:role/deploy\nsource_profile = wrok\n", "wrok"),
        ("[profile work]\nsso_account_id = 111122223333\nsso_role_name = a\nsso_region = eu-west-1\n", "sso_start_url"),
        ("[profile work]\naws_access_key_id = AKIDEXAMPLE\n", "aws_secret_access_key"),
    ] {
        let on_machine = sandbox(&fakes, config).with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &given);
        let ended = on_machine.with("AWS_PROFILE", "work").run(&["status", "--json"]);
        let error = error(&ended);
        assert_eq!((ended.code, &error["message"]), (3, &json!("the AWS profile work has an error")), "{error}");
        assert!(error["reason"].as_str().unwrap().contains(gap), "{error}");
    }
}

#[test]
fn a_credential_process_is_quoted_without_its_keys() {
    let fakes = Fakes::start(World::default());
    let process = "sh -c \"echo the vault is sealed, AKIAIOSFODNN7EXAMPLE >&2; exit 7\"";
    let sandbox = sandbox(&fakes, &format!("[profile work]\ncredential_process = {process}\n"));
    let ended = sandbox.with("AWS_PROFILE", "work").with("PATH", "/bin:/usr/bin").run(&["status", "--json"]);
    assert_eq!(ended.code, 3);
    let error = error(&ended);
    assert_eq!(error["message"], "the credential process sh returned no AWS credentials");
    let reason = error["reason"].as_str().unwrap();
    assert!(reason.contains("the vault is sealed, ***") && !reason.contains("AKIA"), "{reason}");
    assert_eq!(error["hint"], "run it on its own to see its error: aws configure export-credentials --profile work");
}

#[test]
fn a_credential_process_that_hangs_comes_to_an_end() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, "[profile work]\ncredential_process = sleep 40\n");
    let begun = Instant::now();
    let ended = sandbox.with("AWS_PROFILE", "work").with("PATH", "/bin:/usr/bin").run(&["status", "--json"]);
    assert!(begun.elapsed() < Duration::from_secs(38), "{:?}", begun.elapsed());
    assert_eq!(error(&ended)["message"], "the credential process sleep did not answer within 30 s");
    assert_eq!(ended.code, 3);
}

#[test]
fn an_expired_session_is_reported_with_the_login_command() {
    let fakes = Fakes::start(World::default());
    let sso = "[profile work]\nsso_session = company\nsso_account_id = 111122223333\nsso_role_name = deploy\n\
               [sso-session company]\nsso_start_url = https://company.example/start\nsso_region = eu-central-1\n";
    let login = "[profile work]\nlogin_session = arn:aws:iam::111122223333:user/ann\n";
    for (config, hint) in [(sso, "aws sso login --profile work"), (login, "aws login --profile work")] {
        let ended = sandbox(&fakes, config).with("AWS_PROFILE", "work").run(&["status", "--json"]);
        assert_eq!((ended.code, &error(&ended)["hint"]), (3, &json!(hint)), "{}", ended.stdout);
    }
}

#[test]
fn a_role_with_a_second_factor_gets_the_command_that_asks_for_it() {
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>MFA is \
                  demanded</Message></Error></ErrorResponse>";
    let server = serve(ResponseTemplate::new(403).set_body_string(denied));
    let fakes = Fakes::start(World::default());
    let config = "[profile work]\nrole_arn = arn:aws:iam::111122223333:role/deploy\nsource_profile = keys\n\
                  mfa_serial = arn:aws:iam::111122223333:mfa/ann\nregion = eu-central-1\n\
                  [profile keys]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n";
    let sandbox = sandbox(&fakes, config).with("AWS_ENDPOINT_URL", &server.uri()).with("AWS_PROFILE", "work");
    let ended = sandbox.run(&["status", "--json"]);
    let error = error(&ended);
    assert_eq!(ended.code, 3, "{error}");
    assert!(error["reason"].as_str().unwrap().contains("MFA is demanded"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("aws configure export-credentials --profile work"), "{error}");
}

#[test]
fn a_wrong_clock_is_reported_in_minutes() {
    let skewed = "<ErrorResponse><Error><Type>Sender</Type><Code>RequestExpired</Code><Message>Request has expired. \
                  Timestamp date is 2026-11-27T09:10:00Z. Current date is 2026-11-27T09:35:00Z</Message></Error>\
                  </ErrorResponse>";
    let server = serve(ResponseTemplate::new(400).set_body_string(skewed));
    let fakes = Fakes::start(World::default());
    let ended = fakes.sandbox().with("AWS_ENDPOINT_URL", &server.uri()).run(&["status", "--json"]);
    let error = error(&ended);
    assert_eq!((ended.code, &error["kind"]), (3, &json!("clock")), "{error}");
    assert!(error["reason"].as_str().unwrap().starts_with("this machine's clock is 25 minutes behind"), "{error}");
    assert!(error["hint"].as_str().unwrap().starts_with("correct the clock"), "{error}");
}
