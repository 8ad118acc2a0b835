//! `before_release`: the command with the new image, before any new task serves.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{TEMPLATE, settings};
use crate::fakes::one_off::{Tasks, outputs};
use crate::fakes::{DIGEST, Fakes, World};
use crate::sandbox::Sandbox;

const FILE: &str = "infra/backend.yaml";

/// No stack yet, in which the command becomes this.
fn nothing(tasks: Tasks) -> (Fakes, Sandbox) {
    let outputs: BTreeMap<String, String> = outputs().into_iter().collect();
    let fakes = Fakes::start(World { outputs, tasks: Some(tasks), ..World::default() });
    let sandbox = fakes.sandbox();
    sandbox.write(FILE, TEMPLATE);
    sandbox.write("deploy.toml", &settings(&json!(["/api", "migrate"])));
    (fakes, sandbox)
}

fn parameter(fakes: &Fakes, name: &str) -> String {
    fakes.world().parameters.get(name).cloned().unwrap_or_default()
}

/// How many change sets were executed, and whether the stack has a service.
fn state(fakes: &Fakes) -> (u32, String) {
    (changes(fakes), parameter(fakes, "Serves"))
}

fn changes(fakes: &Fakes) -> u32 {
    fakes.world().changes
}

fn registered(fakes: &Fakes) -> Vec<Value> {
    fakes.world().tasks.as_ref().unwrap().registered.clone()
}

#[test]
fn a_first_release_makes_everything_but_the_service_before_it() {
    let (fakes, sandbox) = nothing(Tasks::ending(0, &["applied 0001"]));
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                run `/api migrate` with the new image before a new task serves
                no change of the fixed monthly cost (about 0 USD); without Service (AWS::ECS::Service), of unknown price
                first everything but the service, for the command before it
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
                task t1: /api migrate
                applied 0001
    ok before    `/api migrate` ended with exit code 0 after 6 s ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev updated ([time])
       5 new outputs; cargo xtask status dev shows them
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_eq!(state(&fakes), (2, "true".to_owned()));
    assert!(!sandbox.run(&["status", "dev"]).stdout.contains("none yet"));
    let [definition] = registered(&fakes).try_into().unwrap();
    assert_eq!(definition["family"], "rest-api-dev-run");
    let container = &definition["containerDefinitions"][0];
    assert!(container["image"].as_str().unwrap().ends_with(DIGEST), "{container}");
    assert_eq!(container["command"], json!(["/api", "migrate"]));
    assert_eq!(container["environment"], json!([{"name": "API_PORT", "value": "8080"}]));
    let tasks = fakes.world().tasks.clone().unwrap();
    assert_eq!(tasks.deregistered.len(), 1);
    assert_eq!(tasks.started[0]["startedBy"], "xtask/before/user/releaser");
    assert!(tasks.started[0].get("overrides").is_none(), "{}", tasks.started[0]);
    // Nothing changes, so nothing runs.
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert_eq!(registered(&fakes).len(), 1);
}

#[test]
fn a_first_release_whose_command_fails_is_gone_on_with() {
    let (fakes, sandbox) = nothing(Tasks::ending(1, &["no database"]));
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 1
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                run `/api migrate` with the new image before a new task serves
                no change of the fixed monthly cost (about 0 USD); without Service (AWS::ECS::Service), of unknown price
                first everything but the service, for the command before it
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
                task t1: /api migrate
                no database
    !! before    not finished ([time])
    !! stack     not finished ([time])
    error: the command before the release ended with exit code 1, so nothing was rolled out
      resource: task t1
      reason: Essential container in task exited; container api ended with exit code 1
      log:
        no database
      note: stack rest-api-dev exists now, without a service; the next release continues from there
      next: fix the cause and repeat the command
    ");
    assert_eq!(state(&fakes), (1, "false".to_owned()));
    assert!(!fakes.world().journal.keys().any(|name| name.ends_with("/lock")));
    let none = "none yet: the command before the first release has not succeeded";
    assert!(sandbox.run(&["status", "dev"]).stdout.contains(none));
    fakes.world().tasks = Some(Tasks::ending(0, &[]));
    let again = sandbox.run(&["release"]);
    assert_eq!((again.code, changes(&fakes)), (0, 2), "{}", again.stderr);
    assert_eq!(parameter(&fakes, "Serves"), "true");
}

/// A stack that was released without a command, and the next release, which has one.
fn update(tasks: Tasks, more: &str) -> (Fakes, Sandbox) {
    let (fakes, sandbox) = nothing(tasks);
    sandbox.write("deploy.toml", &settings(&json!([])));
    let first = sandbox.run(&["release"]);
    assert_eq!((first.code, changes(&fakes)), (0, 1), "{}", first.stderr);
    let port = "before_release = [\"/api\",\"migrate\"]\nport = 9090\n";
    let settings = settings(&json!(["/api", "migrate"])).replace("before_release = [\"/api\",\"migrate\"]\n", port);
    let dev = "template = \"infra/backend.yaml\"\n";
    sandbox.write("deploy.toml", &settings.replacen(dev, &format!("{dev}{more}"), 1));
    (fakes, sandbox)
}

#[test]
fn a_command_that_fails_leaves_the_version_that_serves() {
    let (fakes, sandbox) = update(Tasks::ending(7, &["cannot alter", "table greetings"]), "");
    let before = fakes.world().parameters.clone();
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 1
    --- stderr
    -- compile   these sources were compiled before ([time])
    -- image     the registry has rest-api:source-[hash] ([time])
    -- push      sha256:5891b5b522d5 ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                run `/api migrate` with the new image before a new task serves
                no change of the fixed monthly cost (about 0 USD); without Service (AWS::ECS::Service), of unknown price
                task t1: /api migrate
                cannot alter
                table greetings
    !! before    not finished ([time])
    !! stack     not finished ([time])
    error: the command before the release ended with exit code 7, so nothing was rolled out
      resource: task t1
      reason: Essential container in task exited; container api ended with exit code 7
      log:
        cannot alter
        table greetings
      next: fix the cause and repeat the command
    ");
    assert_eq!(changes(&fakes), 1);
    assert_eq!(fakes.world().parameters, before);
    assert!(fakes.world().proposed.is_none(), "the change set is taken back");
    let status = sandbox.run(&["status", "dev", "--json"]).json();
    assert_eq!(
        (&status["releases"][0]["outcome"], &status["releases"][1]["outcome"]),
        (&json!("failed"), &json!("succeeded"))
    );
    assert_eq!(status["releases"][0]["can_go_back"], false);
    fakes.world().tasks = Some(Tasks::ending(0, &[]));
    let again = sandbox.run(&["release"]);
    assert_eq!((again.code, changes(&fakes)), (0, 2), "{}", again.stderr);
}

#[test]
fn new_grants_come_before_the_command_that_needs_them() {
    let permissions = "permissions = \"permissions.json\"\n[environments.dev.env]\nMODE = \"new\"\n";
    let (fakes, sandbox) = update(Tasks::ending(0, &[]), permissions);
    sandbox.write(
        "permissions.json",
        r#"[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::own/*"}]"#,
    );
    let released = sandbox.run(&["release"]);
    assert_eq!((released.code, changes(&fakes)), (0, 3), "{}", released.stderr);
    assert!(
        released.stderr.contains("first the roles get what the new version is allowed besides"),
        "{}",
        released.stderr
    );
    let template = fakes.world().template.clone();
    assert!(template.contains("\"deploy-permissions\"") && !template.contains("-next"), "{template}");
    let environment = registered(&fakes)[0]["containerDefinitions"][0]["environment"].clone();
    assert_eq!(environment, json!([{"name": "API_PORT", "value": "8080"}, {"name": "MODE", "value": "new"}]));
}

#[test]
fn a_plan_is_applied_with_its_own_command_and_a_rollback_runs_none() {
    let (fakes, sandbox) = update(Tasks::ending(0, &[]), "");
    let plan = sandbox.run(&["plan", "dev", "--out", "plan.json"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stderr.contains("run `/api migrate` with the new image before a new task serves"), "{}", plan.stderr);
    assert!(registered(&fakes).is_empty(), "a plan runs nothing");
    let settings = std::fs::read_to_string(sandbox.path().join("deploy.toml")).unwrap();
    sandbox.write("deploy.toml", &settings.replace("\"migrate\"", "\"another\""));
    let applied = sandbox.run(&["apply", "plan.json"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let [definition] = registered(&fakes).try_into().unwrap();
    assert_eq!(definition["containerDefinitions"][0]["command"], json!(["/api", "migrate"]));
    let back = sandbox.run(&["rollback", "dev"]);
    assert_eq!((back.code, registered(&fakes).len()), (0, 1), "{}", back.stderr);
    assert!(back.stderr.contains("a rollback does not run it, and turns no migration back"), "{}", back.stderr);
}

#[test]
fn only_the_tool_leaves_out_the_service() {
    let (fakes, sandbox) = nothing(Tasks::ending(0, &[]));
    let own = "\n[environments.dev.parameters]\nServes = \"false\"\n";
    sandbox.write("deploy.toml", &(settings(&json!([])) + own));
    let refused = sandbox.run(&["release"]);
    assert_eq!((refused.code, changes(&fakes)), (3, 0));
    assert!(refused.stderr.contains("the tool sets it by itself"), "{}", refused.stderr);
}

#[test]
fn a_dry_run_names_the_command_and_runs_nothing() {
    let (fakes, sandbox) = nothing(Tasks::ending(0, &[]));
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert!(dry.stdout.contains("run `/api migrate` with the new image before a new task serves"), "{}", dry.stdout);
    assert!(registered(&fakes).is_empty());
}

#[test]
fn templates_that_cannot_run_it_are_refused_before_anything_changes() {
    let (fakes, sandbox) = nothing(Tasks::ending(0, &[]));
    sandbox.write(FILE, &TEMPLATE.replace("    Before: {Parameter: Serves, Values: ['true', 'false']}\n", ""));
    let first = sandbox.run(&["release"]);
    assert_eq!((first.code, changes(&fakes)), (1, 0));
    assert!(first.stderr.contains("it has no Metadata.Release.Before"), "{}", first.stderr);
    let (fakes, sandbox) = nothing(Tasks::ending(0, &[]));
    let old = TEMPLATE.lines().filter(|line| !line.contains("Container: {")).collect::<Vec<_>>().join("\n");
    sandbox.write(FILE, &old);
    sandbox.write("deploy.toml", &settings(&json!([])));
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write(FILE, TEMPLATE);
    sandbox.write("deploy.toml", &settings(&json!(["/api", "migrate"])));
    let later = sandbox.run(&["release"]);
    assert_eq!((later.code, changes(&fakes)), (1, 1));
    assert!(later.stderr.contains("release once without before_release"), "{}", later.stderr);
}
