//! `secret set`, `list` and `remove`.
#![cfg(target_os = "linux")]

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fakes::ssm::{OWN_KEY, Version};
use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

const VALUE: &str = "hunter2 of the secret";
pub(crate) const PARAMETER: &str = "/secrets/rest-api-dev/PASSWORD";

/// A template that says where its container is.
pub(crate) const TEMPLATE: &str = "\
Metadata:
  Release:
    Container:
      TaskDefinition: Task
      Name: api
      ExecutionRole: Start
      TaskRole: Run
Parameters:
  ContainerURI: {Type: String}
Resources:
  Start:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: start
  Run:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - !Ref AWS::NoValue
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: api
          Environment:
            - Name: API_PORT
              Value: '8080'
Outputs:
  ApiGatewayURL: {Value: x}
";

/// Settings whose environment `dev` has these lines among its secrets, and these before its tables.
pub(crate) fn settings(secrets: &str, more: &str) -> String {
    let stack = "stack = \"rest-api-dev\"\ntemplate = \"infra/backend.yaml\"\n";
    let own = format!("{stack}{more}[environments.dev.secrets]\n{secrets}\n");
    DEPLOY_TOML.replace(stack, &own)
}

/// The line of one.
pub(crate) fn line() -> String {
    format!("PASSWORD = \"{PARAMETER}\"")
}

fn sandbox(fakes: &Fakes, secrets: &str, more: &str) -> Sandbox {
    let sandbox = fakes.sandbox();
    sandbox.write("deploy.toml", &settings(secrets, more));
    sandbox.write("infra/backend.yaml", TEMPLATE);
    sandbox
}

/// A world in which these parameters are, each with a version from days ago.
fn stored(names: &[(&str, Option<&str>)]) -> World {
    let mut world = World::default();
    for (name, key) in names {
        let mut version = Version::of(VALUE, *key);
        version.written -= 3.5 * 86_400.0;
        world.journal.insert((*name).to_owned(), vec![version]);
    }
    world
}

fn secrets(ended: &Value) -> Vec<Value> {
    ended["secrets"].as_array().unwrap().clone()
}

#[test]
fn a_value_is_stored_encrypted_and_its_line_is_the_result() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, "", "");
    assert_snapshot!(sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"one\n").snapshot(), @r#"
    exit 0
    --- stdout
    PASSWORD = "/secrets/rest-api-dev/PASSWORD"
    --- stderr
    stored as version 1; add its line to [environments.dev.secrets] in deploy.toml
    "#);
    {
        let world = fakes.world();
        let versions = &world.journal[PARAMETER];
        assert_eq!((versions[0].value.as_str(), versions[0].key.as_deref()), ("one", Some(OWN_KEY)));
        assert!(!world.journal.keys().any(|name| name.starts_with("/xtask")), "no lock and no record");
    }
    // The next one is a version, with the key that deploy.toml names by then.
    let key = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-0000-0000-000000000000";
    sandbox.write("deploy.toml", &settings(&line(), &format!("secrets_key = \"{key}\"\n")));
    let ended = sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"-two\r\nlines\r\n");
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    PASSWORD = "/secrets/rest-api-dev/PASSWORD"
    --- stderr
    stored as version 2; deploy.toml has its line, so the next release of dev takes it
    "#);
    {
        let world = fakes.world();
        let last = world.journal[PARAMETER].last().unwrap();
        assert_eq!((last.value.as_str(), last.key.as_deref()), ("-two\r\nlines", Some(key)));
    }
    let object = sandbox.run_with(&["secret", "set", "dev", "PASSWORD", "--json"], b"three").json();
    let expected =
        json!({"name": "PASSWORD", "reference": PARAMETER, "declared": true, "encrypted": true, "version": "3"});
    assert_eq!(secrets(&object), [expected]);
    for (secrets, more, said) in [
        ("PASSWORD = \"/elsewhere/PASSWORD\"", "", "[environments.dev.secrets] has another reference for PASSWORD"),
        ("", "env = {PASSWORD = \"x\"}\n", "[environments.dev.env] has PASSWORD, too"),
    ] {
        sandbox.write("deploy.toml", &settings(secrets, more));
        let ended = sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"four");
        assert!(ended.code == 0 && ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn secrets_are_for_all_instances() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    let preview = "[environments.preview]\nregion = \"eu-central-1\"\nstack = \"rest-api-preview\"\ntemplate = \
                   \"infra/backend.yaml\"\ninstances = true\n";
    sandbox.write("deploy.toml", &format!("{DEPLOY_TOML}{preview}"));
    assert_snapshot!(sandbox.run_with(&["secret", "set", "preview", "PASSWORD"], VALUE.as_bytes()).snapshot(), @r#"
    exit 0
    --- stdout
    PASSWORD = "/secrets/rest-api-preview-all/PASSWORD"
    --- stderr
    stored as version 1; add its line to [environments.preview.secrets] in deploy.toml, which is for all of its instances
    "#);
    assert_snapshot!(sandbox.run_with(&["secret", "set", "preview/pr-12", "PASSWORD"], b"x").snapshot(), @r#"
    exit 2
    --- stderr
    error: there is no environment "preview/pr-12"
      resource: deploy.toml
      reason: it has dev, preview, production
      next: use preview: this is for all of its instances
    "#);
    for name in ["preview", "preview/pr-12"] {
        let object = sandbox.run(&["secret", "list", name, "--json"]).json();
        assert_eq!(secrets(&object)[0]["reference"], "/secrets/rest-api-preview-all/PASSWORD", "{object}");
    }
    assert_snapshot!(sandbox.run(&["secret", "remove", "preview", "PASSWORD"]).snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Delete /secrets/rest-api-preview-all/PASSWORD in eu-central-1 with all of its versions; whether one of its instances still has it is not known?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["secret", "set", "dev", "PASSWORD", VALUE]).snapshot(), @r"
    exit 2
    --- stderr
    error: a value is not taken from the command line, where other users and the shell's history see it

      tip: leave it out to be asked for it, or pass it as standard input

    Usage: cargo xtask secret set [OPTIONS] <ENV> <NAME>

    For more information, try '--help'.
    ");
    for words in [
        &["secret", "set", "dev", "PASSWORD", "hunter2"][..],
        &["secret", "set", "dev", "PASSWORD=hunter2"],
        &["secret", "set", "dev", "PASSWORD", "--", "-hunter2"],
        &["secret", "set", "dev", "hunter2-"],
        &["secret", "set", "dev", "PASSWORD", "--value=hunter2"],
        // Without the environment, for which the name is taken.
        &["secret", "set", "PASSWORD", "hunter2"],
    ] {
        for json in [&[][..], &["--json"]] {
            // A job's summary shows the command.
            let summary = sandbox.path().join("summary.md");
            std::fs::write(&summary, "").unwrap();
            let mut command = sandbox.command();
            command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
            let words = [json, words].concat();
            let ended = sandbox.end(command.args(&words).spawn().unwrap());
            assert_eq!(ended.code, 2, "{words:?}: {}", ended.stderr);
            assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"), "{}", ended.stderr);
            assert_eq!(sandbox.files_with("hunter2"), <[std::path::PathBuf; 0]>::default(), "{words:?}");
        }
    }
    assert_snapshot!(sandbox.run(&["secret", "set", "dev", "API_PORT"]).snapshot(), @r"
    exit 2
    --- stderr
    error: NAME is not the name of a variable; allowed: letters, digits and _, no digit first; API_PORT, IMAGE_DIGEST and SECRET_VERSIONS are set by the tool

    Usage: cargo xtask secret set [OPTIONS] <ENV> <NAME>

    For more information, try '--help'.
    ");
}

#[test]
fn values_that_cannot_be_stored_are_refused_before_any_call() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, "", "");
    assert_snapshot!(sandbox.run(&["secret", "set", "dev", "PASSWORD"]).snapshot(), @r"
    exit 2
    --- stderr
    error: the value cannot be stored
      resource: parameter /secrets/rest-api-dev/PASSWORD
      reason: it is empty
      next: type it when asked, or pass it as standard input: < FILE
    ");
    let long = "x".repeat(100_000);
    assert_snapshot!(sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], long.as_bytes()).snapshot(), @r"
    exit 2
    --- stderr
    error: the value cannot be stored
      resource: parameter /secrets/rest-api-dev/PASSWORD
      reason: it has more than 4,096 bytes
      next: keep it in Secrets Manager, and name the secret's ARN in deploy.toml
    ");
    assert_eq!(sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"a\0b").code, 2);
    assert_snapshot!(sandbox.run_with(&["secret", "set", "production", "PASSWORD"], b"x").snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: production is protected. Store a new value in /secrets/rest-api-production/PASSWORD in eu-central-1?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    assert!(fakes.world().journal.is_empty());
    assert_eq!(sandbox.run_with(&["secret", "set", "production", "PASSWORD", "--yes"], b"x").code, 0);
    assert!(fakes.world().journal.contains_key("/secrets/rest-api-production/PASSWORD"));
}

#[test]
fn a_refusal_of_aws_is_its_code_alone() {
    let fakes = Fakes::start(World { refused_value: Some("ValidationException"), ..World::default() });
    let sandbox = sandbox(&fakes, "", "");
    let set = || sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], VALUE.as_bytes());
    assert_snapshot!(set().snapshot(), @r"
    exit 1
    --- stderr
    error: ssm:PutParameter failed
      resource: parameter /secrets/rest-api-dev/PASSWORD
      reason: ValidationException; the rest of the answer is not shown, because it may contain the value
      next: correct what AWS reports, then repeat the command; cargo xtask doctor shows what can be checked in advance
    ");
    fakes.world().refused_value = Some("AccessDeniedException");
    let ended = set();
    assert!(ended.stderr.contains("next: allow ssm:PutParameter for this role or user"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_list_says_what_is_stored_and_what_the_service_has() {
    let fakes = Fakes::start(stored(&[
        (PARAMETER, Some(OWN_KEY)),
        ("/secrets/rest-api-dev/PLAIN", None),
        ("/secrets/rest-api-dev/OLD", Some(OWN_KEY)),
        ("/secrets/rest-api-dev/below/OTHER", Some(OWN_KEY)),
        ("/secrets/rest-api-production/PASSWORD", Some(OWN_KEY)),
        ("/shared/KEY", Some("alias/shared")),
    ]));
    let declared = format!("{}\nPLAIN = \"/secrets/rest-api-dev/PLAIN\"\nKEY = \"/shared/KEY\"", line());
    let sandbox = sandbox(&fakes, &declared, "");
    let list = || sandbox.run(&["secret", "list", "dev"]).snapshot();
    assert_snapshot!(list(), @r"
    exit 0
    --- stdout
    KEY       version 1, 3 d old (/shared/KEY)
    OLD       version 1, 3 d old; not in deploy.toml (/secrets/rest-api-dev/OLD)
    PASSWORD  version 1, 3 d old (/secrets/rest-api-dev/PASSWORD)
    PLAIN     version 1, 3 d old; not encrypted (/secrets/rest-api-dev/PLAIN)
    ");
    let released = sandbox.run(&["release", "dev"]);
    assert_eq!(released.code, 0, "{}", released.stderr);
    assert_eq!(sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"two").code, 0);
    let more = format!("{declared}\nNEW = \"/secrets/rest-api-dev/NEW\"");
    sandbox.write("deploy.toml", &settings(&more, ""));
    assert_snapshot!(list(), @r"
    exit 0
    --- stdout
    KEY       version 1, 3 d old; the service has it (/shared/KEY)
    NEW       has no value: cargo xtask secret set dev NEW (/secrets/rest-api-dev/NEW)
    OLD       version 1, 3 d old; not in deploy.toml (/secrets/rest-api-dev/OLD)
    PASSWORD  version 2, less than 5 min old; the service has version 1 until the next release (/secrets/rest-api-dev/PASSWORD)
    PLAIN     version 1, 3 d old; not encrypted; the service has it (/secrets/rest-api-dev/PLAIN)
    ");
    let object = sandbox.run(&["secret", "list", "dev", "--json"]).json();
    let of = |name: &str| secrets(&object).into_iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(
        (&of("PASSWORD")["version"], &of("PASSWORD")["deployed"], &of("KEY")["deployed"]),
        (&json!("2"), &json!("1"), &json!("1"))
    );
    assert_eq!(of("NEW"), json!({"name": "NEW", "reference": "/secrets/rest-api-dev/NEW", "declared": true}));
    assert_eq!(of("PLAIN")["encrypted"], json!(false));
    // Of the stack that one leaves, too.
    sandbox.write("deploy.toml", &settings("", ""));
    assert!(list().contains("not in deploy.toml; the service has version 1 until the next release"), "{}", list());
    assert_snapshot!(sandbox.run(&["secret", "list", "production"]).snapshot(), @r"
    exit 0
    --- stdout
    PASSWORD  version 1, 3 d old; not in deploy.toml (/secrets/rest-api-production/PASSWORD)
    ");
}

#[test]
fn a_new_version_is_a_change_that_names_its_secret() {
    let fakes = Fakes::start(stored(&[(PARAMETER, Some(OWN_KEY))]));
    let sandbox = sandbox(&fakes, &line(), "");
    assert_eq!(sandbox.run(&["release", "dev"]).code, 0);
    assert_eq!(sandbox.run(&["release", "dev", "--json"]).json()["change"], "none");
    assert_eq!(sandbox.run_with(&["secret", "set", "dev", "PASSWORD"], b"two").code, 0);
    let object = sandbox.run(&["release", "dev", "--json"]).json();
    let change = json!([{
        "action": "change",
        "kind": "secret",
        "name": "PASSWORD",
        "before": format!("{PARAMETER}, version 1"),
        "after": format!("{PARAMETER}, version 2"),
    }]);
    assert_eq!((&object["change"], &object["container"]), (&json!("update"), &change), "{object}");
    assert_eq!(sandbox.run(&["secret", "list", "dev", "--json"]).json()["secrets"][0]["deployed"], "2");
}

#[test]
fn what_is_in_use_is_not_removed() {
    let fakes = Fakes::start(stored(&[(PARAMETER, Some(OWN_KEY))]));
    let arn = format!("PASSWORD = \"arn:aws:ssm:eu-central-1:111122223333:parameter{PARAMETER}\"");
    let sandbox = sandbox(&fakes, &arn, "");
    let remove = |more: &[&str]| sandbox.run(&[&["secret", "remove", "dev", "PASSWORD"], more].concat());
    assert_snapshot!(remove(&[]).snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Delete /secrets/rest-api-dev/PASSWORD in eu-central-1 with all of its versions?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    assert_snapshot!(remove(&["--yes"]).snapshot(), @r"
    exit 1
    --- stderr
    error: secret PASSWORD is in use
      resource: parameter /secrets/rest-api-dev/PASSWORD
      reason: environments.dev.secrets.PASSWORD in deploy.toml names it
      next: remove its line from deploy.toml and release, then repeat the command
    ");
    assert_eq!(sandbox.run(&["release", "dev"]).code, 0);
    sandbox.write("deploy.toml", &settings("", ""));
    assert_snapshot!(remove(&["--yes"]).snapshot(), @r"
    exit 1
    --- stderr
    error: secret PASSWORD is in use
      resource: parameter /secrets/rest-api-dev/PASSWORD
      reason: stack rest-api-dev has it as PASSWORD
      next: remove its line from deploy.toml and release, then repeat the command
    ");
    assert_eq!(sandbox.run(&["release", "dev"]).code, 0);
    // Another environment's line counts, too.
    let other = format!("{}[environments.production.secrets]\n{}\n", DEPLOY_TOML, line());
    sandbox.write("deploy.toml", &other);
    let ended = remove(&["--yes"]);
    let said = "environments.production.secrets.PASSWORD in deploy.toml names it";
    assert!(ended.code == 1 && ended.stderr.contains(said), "{}", ended.stderr);
    assert!(fakes.world().journal.contains_key(PARAMETER));
    sandbox.write("deploy.toml", &settings("", ""));
    assert_eq!(remove(&["--yes", "--json"]).json()["removed"], json!([format!("secret {PARAMETER}")]));
    assert!(!fakes.world().journal.contains_key(PARAMETER));
    assert_snapshot!(remove(&["--yes"]).snapshot(), @r"
    exit 0
    --- stdout
    nothing to remove
    ");
}
