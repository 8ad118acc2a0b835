//! Tasks that run one command and end: their definitions, their start and their end.
//!
//! Definitions are read and written as JSON, so that a copy has everything that ECS says of them, known to an SDK or not.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, ContainerOverride, LaunchType, NetworkConfiguration, PropagateTags,
    TaskOverride,
};
use serde_json::{Value, json};

use super::{Task, task};
use crate::error::failure;
use crate::signed::{Call, ECS, Signed};
use model::outcome::{Exit, Failure, FailureKind};

/// Where tasks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub cluster: String,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub has_public_address: bool,
}

/// A task to start.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub definition: &'a str,
    pub network: &'a Network,
    /// The container that gets the command, and the command; none leaves what the definition says.
    pub command: Option<(&'a str, &'a [String])>,
    pub started_by: &'a str,
    /// The same for repeated calls of one order.
    pub token: &'a str,
}

/// Reads a task definition, as `DescribeTaskDefinition` returns it.
///
/// # Errors
/// A refused or lost call.
pub async fn definition(signed: &Signed, name: &str) -> Result<Value, Failure> {
    let call = Call { service: &ECS, action: "ecs:DescribeTaskDefinition", resource: name };
    let mut answer = signed.json(call, &json!({"taskDefinition": name})).await?;
    Ok(answer["taskDefinition"].take())
}

/// Registers a task definition, and returns its ARN.
///
/// # Errors
/// A refused or lost call.
pub async fn register(signed: &Signed, definition: &Value) -> Result<String, Failure> {
    let family = definition["family"].as_str().unwrap_or_default();
    let call = Call { service: &ECS, action: "ecs:RegisterTaskDefinition", resource: family };
    let answer = signed.json(call, definition).await?;
    Ok(answer["taskDefinition"]["taskDefinitionArn"].as_str().unwrap_or_default().to_owned())
}

/// Takes a task definition out of use; tasks that it has started go on.
///
/// # Errors
/// A refused or lost call.
pub async fn deregister(signed: &Signed, definition: &str) -> Result<(), Failure> {
    let call = Call { service: &ECS, action: "ecs:DeregisterTaskDefinition", resource: definition };
    signed.json(call, &json!({"taskDefinition": definition})).await.map(drop)
}

/// Starts a task, and returns its ARN.
///
/// # Errors
/// A refused or lost call, or what ECS says where it has no place for the task.
pub async fn start(client: &Client, order: &Order<'_>) -> Result<String, Failure> {
    let Order { definition, network, command, started_by, token } = order;
    let address = if network.has_public_address { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let place = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(Some(network.security_groups.clone()))
        .assign_public_ip(address)
        .build();
    let place = place.map_err(|error| {
        Failure::new(Exit::Preflight, FailureKind::Network, "the task has no network").reason(error.to_string())
    })?;
    let container =
        command.map(|(name, words)| ContainerOverride::builder().name(name).set_command(Some(words.to_vec())).build());
    let overrides = container.map(|container| TaskOverride::builder().container_overrides(container).build());
    let call = client
        .run_task()
        .cluster(&network.cluster)
        .task_definition(*definition)
        // Not the service's share of spare capacity, which AWS may take away in the middle.
        .launch_type(LaunchType::Fargate)
        .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(place).build())
        .set_overrides(overrides)
        .started_by(*started_by)
        .client_token(*token)
        .propagate_tags(PropagateTags::TaskDefinition)
        .enable_ecs_managed_tags(true)
        .enable_execute_command(false);
    let answer = call.send().await.map_err(|error| failure("ecs:RunTask", definition, &error))?;
    if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn()) {
        return Ok(arn.to_owned());
    }
    let reason = answer.failures().first().map(|failure| {
        let parts = [failure.reason(), failure.detail()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    });
    Err(Failure::new(Exit::Failed, FailureKind::Task, "ECS started no task")
        .resource(*definition)
        .reason(reason.unwrap_or_else(|| "ECS gave no reason".to_owned())))
}

/// A task by its ARN, with the state that ECS gives it; `None` if ECS does not know it, or not yet.
///
/// # Errors
/// A refused or lost call.
pub async fn describe(client: &Client, cluster: &str, arn: &str) -> Result<Option<(Task, String)>, Failure> {
    let answer = client.describe_tasks().cluster(cluster).tasks(arn).send().await;
    let answer = answer.map_err(|error| failure("ecs:DescribeTasks", arn, &error))?;
    let found = answer.tasks().first();
    Ok(found.map(|found| (task(found), found.last_status().unwrap_or_default().to_owned())))
}

/// Stops a task: its processes are asked to end, and killed if they do not.
///
/// # Errors
/// A refused or lost call.
pub async fn stop(client: &Client, cluster: &str, arn: &str, reason: &str) -> Result<(), Failure> {
    let answer = client.stop_task().cluster(cluster).task(arn).reason(reason).send().await;
    answer.map(drop).map_err(|error| failure("ecs:StopTask", arn, &error))
}
