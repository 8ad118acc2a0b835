//! Commands in tasks of their own: `run`, and `before_release`.
#![cfg(target_os = "linux")]

mod before;

use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fakes::one_off::{TASK, Tasks, outputs};
use crate::fakes::{DIGEST, Fakes, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::DEPLOY_TOML;

pub(crate) const TEMPLATE: &str = "\
Metadata:
  Release:
    Container: {TaskDefinition: TaskDefinition, Name: api, ExecutionRole: ExecutionRole, TaskRole: TaskRole}
    Before: {Parameter: Serves, Values: ['true', 'false']}
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 80}
  Serves: {Type: String, Default: 'true'}
Resources:
  ExecutionRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: start
  TaskRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: run
  TaskDefinition:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: api
          Environment:
            - Name: API_PORT
              Value: !Ref ContainerPort
  Service: {Type: AWS::ECS::Service}
Outputs:
  ApiGatewayURL: {Value: x}
";

/// A stack that serves, in which a command becomes this.
pub(crate) fn serving(tasks: Tasks) -> World {
    World {
        stack: "UPDATE_COMPLETE".to_owned(),
        template: TEMPLATE.to_owned(),
        outputs: outputs().into_iter().collect(),
        serves: Some(DIGEST.to_owned()),
        tasks: Some(tasks),
        ..World::default()
    }
}

#[test]
fn a_command_prints_its_log_and_ends_with_its_own_exit_code() {
    let fakes = Fakes::start(serving(Tasks::ending(3, &["one", "\u{1b}[2Jtwo"])));
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["run", "dev", "--", "/api", "migrate"]).snapshot(), @r"
    exit 3
    --- stdout
    one
    \u001b[2Jtwo
    --- stderr
                task t1
    ok task      task t1 ended with exit code 3 ([time])
    error: the command ended with exit code 3
      resource: task t1
      reason: Essential container in task exited; container api ended with exit code 3
    ");
    let started = fakes.world().tasks.as_ref().unwrap().started[0].clone();
    assert_eq!(started["overrides"], json!({"containerOverrides": [{"name": "api", "command": ["/api", "migrate"]}]}));
    assert_eq!(
        started["networkConfiguration"]["awsvpcConfiguration"],
        json!({"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1", "sg-2"], "assignPublicIp": "DISABLED"})
    );
    assert_eq!(started["startedBy"], "xtask/run/user/releaser");
    assert!(started["clientToken"].as_str().is_some_and(|token| token.len() <= 64), "{started}");
    for (key, value) in [("launchType", json!("FARGATE")), ("enableExecuteCommand", json!(false))] {
        assert_eq!(started[key], value);
    }
}

#[test]
fn the_result_is_one_object() {
    let fakes = Fakes::start(serving(Tasks::ending(0, &["done"])));
    let ended = fakes.sandbox().run(&["run", "dev", "--json", "--", "/api"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let object = ended.json();
    assert_eq!((&object["exit_code"], &object["task"]), (&json!(0), &json!(TASK)));
    assert_eq!(object["logs"][0]["message"], "done");
    fakes.world().tasks = Some(Tasks::ending(200, &[]));
    let ended = fakes.sandbox().run(&["run", "dev", "--json", "--", "/api"]);
    assert_eq!((ended.code, &ended.json()["exit_code"]), (200, &json!(200)));
    assert_eq!(ended.json()["error"]["kind"], "command");
}

#[test]
fn a_task_that_never_started_is_no_exit_code_of_its_command() {
    let fakes = Fakes::start(serving(Tasks { exit: None, ..Tasks::ending(0, &[]) }));
    assert_snapshot!(fakes.sandbox().run(&["run", "dev", "--", "/api"]).snapshot(), @r"
    exit 1
    --- stderr
                task t1
    !! task      not finished ([time])
    error: the task did not start
      resource: task t1
      reason: TaskFailedToStart: ResourceInitializationError: unable to pull secrets or registry auth
      next: fix the cause and repeat the command
    ");
}

#[test]
fn a_detached_task_is_named_and_left_alone() {
    let fakes = Fakes::start(serving(Tasks { polls: None, ..Tasks::ending(0, &[]) }));
    assert_snapshot!(fakes.sandbox().run(&["run", "dev", "--detach", "--", "/api"]).snapshot(), @r"
    exit 0
    --- stdout
    arn:aws:ecs:eu-central-1:111122223333:task/rest-api-dev-Cluster-1/t1
    --- stderr
    ok task      task t1 was started ([time])
    follow it: aws logs tail rest-api-group --log-stream-names api/api/t1 --follow --region eu-central-1
    ");
    assert!(!fakes.world().tasks.as_ref().unwrap().stopped);
}

#[test]
fn a_signal_and_the_end_of_its_time_stop_the_task() {
    let fakes = Fakes::start(serving(Tasks { polls: None, ..Tasks::ending(0, &["working"]) }));
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["run", "dev", "--timeout", "1s", "--", "/api"]).snapshot(), @r"
    exit 1
    --- stdout
    working
    --- stderr
                task t1
    !! task      not finished ([time])
    error: the command did not end in 1 s
      resource: task t1
      reason: task t1 was stopped: interrupted; container api ended with exit code 143
      next: --timeout AGE gives it longer; --detach does not wait for it
    ");
    assert!(fakes.world().tasks.as_ref().unwrap().stopped);
    fakes.world().tasks = Some(Tasks { polls: None, ..Tasks::ending(0, &["working"]) });
    let tool = sandbox.start(&["run", "dev", "--", "/api"]);
    while started(&fakes) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&tool), Signal::INT).unwrap();
    assert_snapshot!(sandbox.end(tool).snapshot(), @r"
    exit 130
    --- stdout
    working
    --- stderr
                task t1
    !! task      not finished ([time])
    interrupted: stopped as you asked
      resource: task t1
      reason: nothing is under way any more; what was finished stays
      note: task t1 was stopped: interrupted; container api ended with exit code 143
    ");
    assert!(fakes.world().tasks.as_ref().unwrap().stopped);
}

fn started(fakes: &Fakes) -> usize {
    fakes.world().tasks.as_ref().unwrap().started.len()
}

#[test]
fn another_image_runs_from_a_definition_of_its_own() {
    let image = format!("{REPOSITORY}@{OTHER_DIGEST}");
    let repository = Some([("other".to_owned(), OTHER_DIGEST.to_owned())].into());
    let fakes = Fakes::start(World { repository, ..serving(Tasks::ending(0, &[])) });
    let ended = fakes.sandbox().run(&["run", "dev", "--image", &image, "--json", "--", "/api", "check"]);
    assert_eq!((ended.code, &ended.json()["image"]), (0, &json!(image)), "{}", ended.stderr);
    let tasks = fakes.world().tasks.clone().unwrap();
    let definition = &tasks.registered[0];
    assert_eq!(definition["family"], "rest-api-dev-run");
    let container = &definition["containerDefinitions"][0];
    assert_eq!((&container["image"], &container["command"]), (&json!(image), &json!(["/api", "check"])));
    assert_eq!(tasks.started[0]["taskDefinition"], json!(tasks.deregistered[0]));
    let ended = fakes.sandbox().run(&["run", "dev", "--image", "no image", "--", "/api"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

#[test]
fn what_cannot_run_a_command_starts_none() {
    let reasons = |world: World, arguments: &[&str]| {
        let fakes = Fakes::start(world);
        let ended = fakes.sandbox().run(&[&["run", "dev", "--json", "--"], arguments].concat());
        assert!(fakes.world().tasks.as_ref().is_none_or(|tasks| tasks.started.is_empty()));
        let error = ended.json()["error"].clone();
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (ended.code, text("message"), text("reason"), text("hint"))
    };
    let tasks = || Tasks::ending(0, &[]);
    let (code, message, ..) = reasons(World::default(), &["/api"]);
    assert_eq!((code, message.as_str()), (1, "there is no stack rest-api-dev"));
    let mut without = serving(tasks());
    without.parameters.insert("Serves".to_owned(), "false".to_owned());
    let (code, message, reason, hint) = reasons(without, &["/api"]);
    assert_eq!((code, message.as_str()), (1, "no version of the service is released yet"));
    assert!(reason.contains("no service") && hint == "cargo xtask release dev", "{reason}, {hint}");
    let (code, message, reason, _) = reasons(World { outputs: Default::default(), ..serving(tasks()) }, &["/api"]);
    assert_eq!((code, message.as_str()), (3, "where a task would run is not known"));
    assert!(reason.contains("ClusterName, TaskSubnetIds"), "{reason}");
    let machine =
        TEMPLATE.replace("TaskDefinition: TaskDefinition, Name: api", "LaunchTemplate: Machine, Variable: Added");
    let (code, message, _, hint) = reasons(World { template: machine, ..serving(tasks()) }, &["/api"]);
    assert_eq!((code, message.as_str()), (3, "dev runs no ECS tasks"));
    assert!(hint.contains("aws ssm start-session"), "{hint}");
    let (code, message, reason, _) = reasons(serving(tasks()), &[&"x".repeat(8200)]);
    assert_eq!((code, message.as_str()), (2, "the command is too long"));
    assert!(reason.contains("ECS takes 8192"), "{reason}");
}

#[test]
fn a_protected_environment_asks_before() {
    let fakes = Fakes::start(World { name: Some("rest-api-production"), ..serving(Tasks::ending(0, &[])) });
    let sandbox = fakes.sandbox();
    let ended = sandbox.run(&["run", "production", "--", "/api"]);
    assert_eq!((ended.code, started(&fakes)), (3, 0));
    assert!(ended.stderr.contains("production is protected. Run \"/api\""), "{}", ended.stderr);
    assert_eq!(sandbox.run(&["run", "production", "--yes", "--", "/api"]).code, 0);
}

pub(crate) fn settings(command: &Value) -> String {
    DEPLOY_TOML.replace("[service]\n", &format!("[service]\nbefore_release = {command}\n"))
}
