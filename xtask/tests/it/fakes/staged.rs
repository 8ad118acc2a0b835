//! An ECS deployment that waits for its verification, and the secret that leads to its new tasks. No emulator has either.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::{World, database};

/// What the secret holds.
pub(crate) const SECRET: &str = "pzXq7R2mWc0-marker-of-the-proofs-secret";
pub(crate) const TEMPLATE: &str = "\
Metadata: {Release: {Proof: {Service: Service, Secret: ProofSecret, Header: X-Release-Proof}}}
Parameters:
  ContainerURI: {Type: String}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Service: {Type: AWS::ECS::Service, Properties: {LaunchType: EC2}}
  ProofSecret: {Type: AWS::SecretsManager::Secret}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";
pub(crate) const SERVICE: &str = "arn:aws:ecs:eu-central-1:111122223333:service/rest-api-dev-cluster/rest-api";
const DEPLOYMENT: &str = "arn:aws:ecs:eu-central-1:111122223333:service-deployment/rest-api-dev-cluster/rest-api/d1";

/// A deployment in stages.
#[derive(Clone)]
pub(crate) struct Staged {
    /// The digest that the new tasks say they run.
    pub(crate) runs: String,
    /// Seconds until the pause ends by itself.
    pub(crate) left: u64,
    /// The tool's answer to it.
    pub(crate) word: Option<String>,
    /// Requests with the secret.
    pub(crate) visits: u32,
    /// Image before it.
    pub(crate) before: String,
    /// Whether the new tasks answer with what they were sent.
    pub(crate) echoes: bool,
}

impl Staged {
    pub(crate) fn of(runs: &str, left: u64) -> Self {
        Self { runs: runs.to_owned(), left, word: None, visits: 0, before: String::new(), echoes: false }
    }
}

/// Whether ECS or Secrets Manager is asked, by what the target's name begins with.
pub(super) fn service(target: &str) -> Option<&'static str> {
    let services = [("AmazonEC2ContainerService", "ecs"), ("secretsmanager.", "secretsmanager")];
    services.iter().find(|(start, _)| target.starts_with(start)).map(|(_, service)| *service)
}

pub(super) fn answer(world: &mut World, action: &str, input: &Value) -> ResponseTemplate {
    let Some(staged) = &mut world.staged else { return ResponseTemplate::new(400).set_body_json(json!({})) };
    let body = match action {
        "DescribeServices" => {
            let strategy = json!({"strategy": "BLUE_GREEN"});
            let network = database::network();
            json!({"services": [
                {"deploymentConfiguration": strategy, "deployments": [], "networkConfiguration": network},
            ]})
        }
        "ListServiceDeployments" => json!({"serviceDeployments": [{"serviceDeploymentArn": DEPLOYMENT}]}),
        "DescribeServiceDeployments" => json!({"serviceDeployments": [deployment(staged)]}),
        "ContinueServiceDeployment" => {
            let word = input["action"].as_str().unwrap().to_owned();
            assert_eq!((&input["hookId"], &input["serviceDeploymentArn"]), (&json!("hook-1"), &json!(DEPLOYMENT)));
            if let Some(timeline) = &mut world.timeline {
                timeline.answered(&word);
                if word == "CONTINUE" && timeline.truth() == "UPDATE_COMPLETE" {
                    world.serves = Some(staged.runs.clone());
                }
            } else if word == "CONTINUE" {
                (world.stack, world.serves) = ("UPDATE_COMPLETE".to_owned(), Some(staged.runs.clone()));
            } else {
                world.stack = "UPDATE_ROLLBACK_COMPLETE".to_owned();
                world.parameters.insert("ContainerURI".to_owned(), staged.before.clone());
            }
            staged.word = Some(word);
            json!({"serviceDeploymentArn": DEPLOYMENT})
        }
        "GetSecretValue" => {
            assert_eq!(input["SecretId"], "arn:of-the-secret");
            json!({"SecretString": SECRET})
        }
        "ListTasks" => json!({"taskArns": []}),
        other => panic!("the test's ECS does not know {other}"),
    };
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

/// The digest that this request gets.
pub(super) fn served(world: &mut World, request: &Request) -> Option<String> {
    let status = world.timeline.as_ref().map_or(world.stack.clone(), |timeline| timeline.truth());
    let waits = status == "UPDATE_IN_PROGRESS";
    let knows = request.headers.get("x-release-proof").is_some_and(|value| value == SECRET);
    match &mut world.staged {
        Some(staged) if waits && knows => {
            staged.visits += 1;
            Some(staged.runs.clone())
        }
        _ => world.serves.clone(),
    }
}

/// The answer of new tasks that show what they were sent.
pub(super) fn echo(world: &World, request: &Request) -> Option<ResponseTemplate> {
    let sent = request.headers.get("x-release-proof").filter(|_| world.staged.as_ref().is_some_and(|it| it.echoes))?;
    Some(ResponseTemplate::new(500).set_body_string(format!("{sent:?}")))
}

/// The service in the stack's events and resources.
pub(super) fn resources() -> [(&'static str, &'static str, &'static str); 2] {
    [("Service", "AWS::ECS::Service", SERVICE), ("ProofSecret", "AWS::SecretsManager::Secret", "arn:of-the-secret")]
}

fn deployment(staged: &Staged) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hook = json!({
        "hookId": "hook-1", "targetType": "PAUSE", "status": "AWAITING_ACTION", "expiresAt": now + staged.left,
        "timeoutAction": "ROLLBACK"
    });
    let status = if staged.word.as_deref() == Some("ROLLBACK") { "ROLLBACK_SUCCESSFUL" } else { "IN_PROGRESS" };
    json!({
        "serviceDeploymentArn": DEPLOYMENT, "status": status, "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
        "lifecycleHookDetails": [hook]
    })
}
