//! ECS tasks that run one command, and their log.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::World;

pub(crate) const CLUSTER: &str = "rest-api-dev-Cluster-1";
pub(crate) const DEFINITION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api-dev:7";
pub(crate) const TASK: &str = "arn:aws:ecs:eu-central-1:111122223333:task/rest-api-dev-Cluster-1/t1";
const COPY: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api-dev-run:1";
const SERVICE: &str = "arn:aws:ecs:eu-central-1:111122223333:service/rest-api-dev-Cluster-1/rest-api";

/// What becomes of a command, and what was asked of ECS.
#[derive(Clone)]
pub(crate) struct Tasks {
    /// The exit code; `None` for a task that ECS cannot start.
    pub(crate) exit: Option<i32>,
    pub(crate) lines: Vec<&'static str>,
    /// How often it is seen to run; `None` until it is stopped.
    pub(crate) polls: Option<u32>,
    pub(crate) stopped: bool,
    /// What is under way, as ECS got it.
    pub(crate) started: Vec<Value>,
    pub(crate) registered: Vec<Value>,
    pub(crate) deregistered: Vec<String>,
}

impl Tasks {
    pub(crate) fn ending(exit: i32, lines: &[&'static str]) -> Self {
        Self {
            exit: Some(exit),
            lines: lines.to_vec(),
            polls: Some(1),
            stopped: false,
            started: Vec::new(),
            registered: Vec::new(),
            deregistered: Vec::new(),
        }
    }
}

/// The outputs of a stack that can run commands.
pub(crate) fn outputs() -> Vec<(String, String)> {
    let outputs = [
        ("ClusterName", CLUSTER),
        ("TaskSubnetIds", "subnet-1,subnet-2"),
        ("TaskSecurityGroupIds", "sg-1,sg-2"),
        ("TaskPublicAddress", "DISABLED"),
    ];
    outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What the stack has for them; a service only where its parameter does not leave it out.
pub(super) fn resources(world: &World) -> Vec<(&'static str, &'static str, &'static str)> {
    let service = ("Service", "AWS::ECS::Service", SERVICE);
    let serves = world.parameters.get("Serves").is_none_or(|value| value == "true");
    let definition = ("TaskDefinition", "AWS::ECS::TaskDefinition", DEFINITION);
    [definition].into_iter().chain(Some(service).filter(|_| serves)).collect()
}

pub(super) fn answer(tasks: &mut Tasks, action: &str, input: &Value) -> ResponseTemplate {
    let body = match action {
        "DescribeTaskDefinition" => {
            assert_eq!(input["taskDefinition"], DEFINITION);
            json!({"taskDefinition": definition()})
        }
        "RegisterTaskDefinition" => {
            tasks.registered.push(input.clone());
            json!({"taskDefinition": {"taskDefinitionArn": COPY}})
        }
        "DeregisterTaskDefinition" => {
            tasks.deregistered.push(input["taskDefinition"].as_str().unwrap().to_owned());
            json!({"taskDefinition": {"taskDefinitionArn": COPY}})
        }
        "RunTask" => {
            tasks.started.push(input.clone());
            tasks.stopped = false;
            json!({"tasks": [{"taskArn": TASK}], "failures": []})
        }
        "StopTask" => {
            tasks.stopped = true;
            json!({"task": {"taskArn": TASK}})
        }
        "DescribeTasks" => json!({"tasks": [described(tasks)]}),
        "DescribeServices" => json!({"services": [{"deployments": [], "events": []}]}),
        "ListTasks" => json!({"taskArns": []}),
        other => panic!("the test's ECS does not know {other}"),
    };
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

/// All lines at once, and then none.
pub(super) fn log(tasks: &Tasks, input: &Value) -> ResponseTemplate {
    assert_eq!((&input["logGroupName"], &input["logStreamName"]), (&json!("rest-api-group"), &json!("api/api/t1")));
    let is_more = input["nextToken"].is_null();
    let lines = tasks.lines.iter().filter(|_| is_more);
    let events: Vec<Value> =
        lines.map(|line| json!({"timestamp": 1_767_323_045_000_i64, "message": format!("{line}\n")})).collect();
    let body = json!({"events": events, "nextForwardToken": "f/1"});
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

fn described(tasks: &mut Tasks) -> Value {
    let running = !tasks.stopped && tasks.polls.is_none_or(|polls| polls > 0);
    tasks.polls = tasks.polls.map(|polls| polls.saturating_sub(1));
    let task = json!({"taskArn": TASK, "lastStatus": if running { "RUNNING" } else { "STOPPED" }, "startedAt": 5.5});
    let with = |more: Value| {
        let mut all = task.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    match tasks.exit {
        _ if running => task,
        None => with(json!({
            "startedAt": null, "stopCode": "TaskFailedToStart", "containers": [{"name": "api"}],
            "stoppedReason": "ResourceInitializationError: unable to pull secrets or registry auth",
        })),
        _ if tasks.stopped => with(json!({
            "stopCode": "UserInitiated", "stoppedReason": "interrupted", "containers": [{"name": "api", "exitCode": 143}],
        })),
        Some(exit) => with(json!({
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "containers": [{"name": "api", "exitCode": exit}],
        })),
    }
}

fn definition() -> Value {
    json!({
        "taskDefinitionArn": DEFINITION, "family": "rest-api-dev", "revision": 7, "status": "ACTIVE",
        "executionRoleArn": "arn:aws:iam::111122223333:role/rest-api-dev-ExecutionRole-1",
        "containerDefinitions": [{
            "name": "api", "image": "deployed", "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": "API_PORT", "value": "8080"}, {"name": "OLD", "value": "x"}],
            "logConfiguration": {"options": {"awslogs-group": "rest-api-group", "awslogs-stream-prefix": "api"}},
        }],
    })
}
