//! An ECS service whose new tasks do not start, or crash.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::story::START;

pub(crate) const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/rest-api-dev-cluster/rest-api";
const DEFINITION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api:7";

/// What ECS says of the service.
#[derive(Clone, Default)]
pub(crate) struct Service {
    /// Its events, newest first.
    pub(crate) events: Vec<&'static str>,
    /// Tasks that stopped, each with its exit code.
    pub(crate) stopped: Vec<(&'static str, i32)>,
    /// Whether ports are text, as in an emulator's answers.
    pub(crate) is_unreadable: bool,
}

pub(super) fn answer(told: &Service, action: &str, input: &Value) -> ResponseTemplate {
    let created = START + 3;
    let arn = |id: &str| format!("arn:aws:ecs:eu-central-1:111122223333:task/rest-api-dev-cluster/{id}");
    let body = match action {
        "DescribeServices" => {
            let events = told.events.iter().map(|text| json!({"id": "e", "createdAt": created + 1, "message": text}));
            let port = if told.is_unreadable { json!("80") } else { json!(80) };
            json!({"services": [{
                "loadBalancers": [{"containerName": "api", "containerPort": port}],
                "deployments": [{"id": "ecs-svc/2", "taskDefinition": DEFINITION, "createdAt": created,
                                 "rolloutState": "IN_PROGRESS", "failedTasks": 0}],
                "events": events.collect::<Vec<_>>(),
            }]})
        }
        "ListTasks" if input["desiredStatus"] == "STOPPED" => {
            json!({"taskArns": told.stopped.iter().map(|(id, _)| arn(id)).collect::<Vec<_>>()})
        }
        "DescribeTasks" => {
            let task = |(id, code): &(&str, i32)| {
                json!({"taskArn": arn(id), "taskDefinitionArn": DEFINITION, "startedBy": "ecs-svc/2",
                       "createdAt": created, "startedAt": created, "stoppedAt": created + 1, "lastStatus": "STOPPED",
                       "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
                       "containers": [{"name": "api", "exitCode": code}]})
            };
            json!({"tasks": told.stopped.iter().map(task).collect::<Vec<_>>()})
        }
        "ListTasks" => json!({"taskArns": []}),
        "DescribeTaskDefinition" => json!({"taskDefinition": {"containerDefinitions": []}}),
        "ListServiceDeployments" => json!({"serviceDeployments": []}),
        other => panic!("the test's ECS does not know {other}"),
    };
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}
