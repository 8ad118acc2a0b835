//! The deployments of a service: stage, hooks that wait, and why one was rolled back.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    CreatedAt, DeploymentLifecycleHookAction, DeploymentLifecycleHookDetail, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, ServiceDeployment as Described, ServiceDeploymentStatus,
};

use super::{Service, seconds};
use crate::error::failure;
use model::outcome::Failure;

/// The states of a deployment that was stopped or rolled back.
const ROLLED_BACK: [ServiceDeploymentStatus; 6] = [
    ServiceDeploymentStatus::RollbackFailed,
    ServiceDeploymentStatus::RollbackInProgress,
    ServiceDeploymentStatus::RollbackRequested,
    ServiceDeploymentStatus::RollbackSuccessful,
    ServiceDeploymentStatus::Stopped,
    ServiceDeploymentStatus::StopRequested,
];

/// A deployment of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceDeployment {
    pub arn: String,
    /// ECS's name, such as `IN_PROGRESS` or `ROLLBACK_SUCCESSFUL`.
    pub status: String,
    /// ECS's name, such as `BAKE_TIME`.
    pub stage: String,
    /// Percent of production traffic that the new tasks get.
    pub share: Option<f64>,
    /// The hook that waits for an answer.
    pub hook: Option<Hook>,
    /// ECS's reason for its state.
    pub reason: Option<String>,
    /// Alarms that have gone off.
    pub alarms: Vec<String>,
}

/// A lifecycle hook that pauses the deployment until it is answered or expires.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    pub id: String,
    /// When it expires, in seconds since 1970.
    pub expires: Option<f64>,
}

/// The answer to a deployment that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookAction {
    Continue,
    Rollback,
}

impl ServiceDeployment {
    /// Whether ECS rolls it back, or has done so.
    pub fn is_rolled_back(&self) -> bool {
        ROLLED_BACK.iter().any(|state| state.as_str() == self.status)
    }

    /// Why ECS rolled it back.
    pub fn rollback_reason(&self) -> Option<String> {
        if !self.is_rolled_back() {
            return None;
        }
        let mut parts: Vec<String> = self.reason.iter().cloned().collect();
        let unmentioned = |alarm: &&String| !parts.iter().any(|part| part.contains(alarm.as_str()));
        let alarms: Vec<&str> = self.alarms.iter().filter(unmentioned).map(String::as_str).collect();
        if !alarms.is_empty() {
            parts.push(format!("alarms went off: {}", alarms.join(", ")));
        }
        (!parts.is_empty()).then(|| format!("ECS rolled the deployment back: {}", parts.join("; ")))
    }
}

/// The newest deployment that began at `since`, in seconds since 1970, or later.
pub async fn newest_deployment(
    client: &Client,
    service: &Service,
    since: f64,
) -> Result<Option<ServiceDeployment>, Failure> {
    newest_in_states(client, service, since, &[]).await
}

/// Why ECS rolled back the newest deployment that it has rolled back since then; `None` if there is none.
pub async fn newest_rollback_reason(client: &Client, service: &Service, since: f64) -> Result<Option<String>, Failure> {
    Ok(newest_in_states(client, service, since, &ROLLED_BACK)
        .await?
        .and_then(|deployment| deployment.rollback_reason()))
}

/// The newest in one of these states, or in any state if none is named.
async fn newest_in_states(
    client: &Client,
    service: &Service,
    since: f64,
    states: &[ServiceDeploymentStatus],
) -> Result<Option<ServiceDeployment>, Failure> {
    let resource = format!("service {}", service.name);
    let list = client.list_service_deployments().cluster(&service.cluster).service(&service.name);
    let list = list.set_status((!states.is_empty()).then(|| states.to_vec()));
    let list = list.created_at(CreatedAt::builder().after(DateTime::from_secs_f64(since)).build());
    let answer = list.send().await.map_err(|error| failure("ecs:ListServiceDeployments", &resource, &error))?;
    let newest = answer
        .service_deployments()
        .iter()
        .max_by(|one, other| seconds(one.created_at()).total_cmp(&seconds(other.created_at())));
    let Some(arn) = newest.and_then(|newest| newest.service_deployment_arn()) else { return Ok(None) };
    let answer = client.describe_service_deployments().service_deployment_arns(arn).send().await;
    let answer = answer.map_err(|error| failure("ecs:DescribeServiceDeployments", &resource, &error))?;
    Ok(answer.service_deployments().first().map(service_deployment))
}

/// Answers the hook of a deployment that waits.
pub async fn answer_hook(client: &Client, deployment: &str, hook: &str, answer: HookAction) -> Result<(), Failure> {
    let action = match answer {
        HookAction::Continue => DeploymentLifecycleHookAction::Continue,
        HookAction::Rollback => DeploymentLifecycleHookAction::Rollback,
    };
    let call = client.continue_service_deployment().service_deployment_arn(deployment).hook_id(hook).action(action);
    call.send().await.map_err(|error| failure("ecs:ContinueServiceDeployment", deployment, &error))?;
    Ok(())
}

fn service_deployment(found: &Described) -> ServiceDeployment {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let waits = |hook: &&DeploymentLifecycleHookDetail| {
        hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
            && hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction)
    };
    let hook = found.lifecycle_hook_details().iter().find(waits);
    let reasons = [found.status_reason(), found.rollback().and_then(|rollback| rollback.reason())];
    let mut reasons: Vec<&str> = reasons.into_iter().flatten().filter(|reason| !reason.is_empty()).collect();
    reasons.dedup();
    ServiceDeployment {
        arn: text(found.service_deployment_arn()),
        status: text(found.status().map(|status| status.as_str())),
        stage: text(found.lifecycle_stage().map(|stage| stage.as_str())),
        share: found.target_service_revision().and_then(|revision| revision.requested_production_traffic_weight()),
        hook: hook.map(|hook| Hook { id: text(hook.hook_id()), expires: hook.expires_at().map(DateTime::as_secs_f64) }),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        alarms: found.alarms().map(|alarms| alarms.triggered_alarm_names().to_vec()).unwrap_or_default(),
    }
}
