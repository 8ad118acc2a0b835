//! An ECS service that is updated: its deployments and tasks, and what ECS says of them.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::evidence::GROUP;
use super::timeline::START;

pub(crate) const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/rest-api-dev-cluster/rest-api";
/// What all of its tasks are made from.
pub(crate) const DEFINITION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api:7";
pub(crate) const OLD: &str = "ecs-svc/1";
pub(crate) const NEW: &str = "ecs-svc/2";
/// When a new deployment begins.
const CREATED: i64 = START + 3;

/// What ECS says of the service.
#[derive(Clone)]
pub(crate) struct Service {
    /// Its events, newest first.
    pub(crate) events: Vec<&'static str>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) stopped: Vec<Stopped>,
    /// New tasks that run, each with its health.
    pub(crate) running: Vec<(&'static str, &'static str)>,
    /// Whether a rollback leaves none of its tasks.
    pub(crate) is_removed: bool,
    /// Why ECS took the deployment back, and the alarm that went off.
    pub(crate) taken_back: Option<(&'static str, &'static str)>,
    /// Whether ports are text, as in an emulator's answers.
    pub(crate) is_unreadable: bool,
}

/// One deployment: the old one is of long before.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) id: &'static str,
    /// Tasks that ECS counts as failed.
    pub(crate) failed: i32,
    /// Why ECS has given it up.
    pub(crate) given_up: Option<&'static str>,
}

/// A task that stopped.
#[derive(Clone)]
pub(crate) struct Stopped {
    pub(crate) id: &'static str,
    /// The deployment that started it.
    pub(crate) by: &'static str,
    pub(crate) code: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) exit: i32,
}

impl Default for Service {
    /// It has only a new deployment, of which nothing is known yet.
    fn default() -> Self {
        Self {
            events: Vec::new(),
            deployments: vec![Deployment::of(NEW)],
            stopped: Vec::new(),
            running: Vec::new(),
            is_removed: false,
            taken_back: None,
            is_unreadable: false,
        }
    }
}

impl Deployment {
    pub(crate) fn of(id: &'static str) -> Self {
        Self { id, failed: 0, given_up: None }
    }

    fn description(&self) -> Value {
        let created = if self.id == NEW { CREATED } else { CREATED - 9000 };
        let state = if self.given_up.is_some() { "FAILED" } else { "IN_PROGRESS" };
        json!({"id": self.id, "taskDefinition": DEFINITION, "createdAt": created, "failedTasks": self.failed,
               "rolloutState": state, "rolloutStateReason": self.given_up})
    }
}

impl Stopped {
    /// A new one, whose container ended.
    pub(crate) fn crashed(id: &'static str) -> Self {
        let (code, reason) = ("EssentialContainerExited", "Essential container in task exited");
        Self { id, by: NEW, code, reason, exit: 3 }
    }

    fn description(&self) -> Value {
        json!({"taskArn": arn(self.id), "taskDefinitionArn": DEFINITION, "startedBy": self.by, "createdAt": CREATED,
               "startedAt": CREATED, "stoppedAt": CREATED + 1, "lastStatus": "STOPPED", "stopCode": self.code,
               "stoppedReason": self.reason, "containers": [{"name": "api", "exitCode": self.exit}]})
    }
}

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:eu-central-1:111122223333:task/rest-api-dev-cluster/{id}")
}

/// The answer while the stack is in this state.
pub(super) fn answer(service: &Service, status: &str, action: &str, input: &Value) -> ResponseTemplate {
    let stopped = || service.stopped.iter().filter(|_| !(service.is_removed && status.contains("ROLLBACK")));
    // An emulator's answers have text where numbers belong.
    let number = |number: i32| if service.is_unreadable { json!(number.to_string()) } else { json!(number) };
    let body = match action {
        "DescribeServices" => {
            let events =
                service.events.iter().map(|text| json!({"id": "e", "createdAt": CREATED + 1, "message": text}));
            json!({"services": [{
                "loadBalancers": [{"containerName": "api", "containerPort": number(80)}],
                "deployments": service.deployments.iter().map(Deployment::description).collect::<Vec<_>>(),
                "events": events.collect::<Vec<_>>(),
                "runningCount": service.running.len(), "desiredCount": service.running.len() + 1,
            }]})
        }
        "ListTasks" if input["desiredStatus"] == "STOPPED" => {
            json!({"taskArns": stopped().map(|task| arn(task.id)).collect::<Vec<_>>()})
        }
        "ListTasks" => json!({"taskArns": service.running.iter().map(|(id, _)| arn(id)).collect::<Vec<_>>()}),
        "DescribeTasks" => {
            let running = service.running.iter().map(|(id, health)| {
                json!({"taskArn": arn(id), "startedBy": NEW, "lastStatus": "RUNNING", "healthStatus": health})
            });
            let mut tasks: Vec<Value> = stopped().map(Stopped::description).chain(running).collect();
            tasks.retain(|task| input["tasks"].as_array().unwrap().contains(&task["taskArn"]));
            json!({"tasks": tasks})
        }
        "DescribeTaskDefinition" => {
            let options = json!({"awslogs-group": GROUP, "awslogs-stream-prefix": "api"});
            json!({"taskDefinition": {"containerDefinitions": [{
                "name": "api",
                "memory": number(512),
                "logConfiguration": {"logDriver": "awslogs", "options": options},
            }]}})
        }
        "ListServiceDeployments" => {
            let brief = service.taken_back.map(|_| json!({"serviceDeploymentArn": "arn:deployment"}));
            json!({"serviceDeployments": brief.into_iter().collect::<Vec<_>>()})
        }
        "DescribeServiceDeployments" => {
            let (reason, alarm) = service.taken_back.unwrap();
            json!({"serviceDeployments": [{"status": "ROLLBACK_SUCCESSFUL", "statusReason": reason,
                                           "alarms": {"triggeredAlarmNames": [alarm]}}]})
        }
        other => panic!("the test's ECS does not know {other}"),
    };
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}
