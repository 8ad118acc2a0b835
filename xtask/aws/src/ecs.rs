//! ECS services: their deployments, their events, and why their tasks stopped.

pub mod deployment;
pub mod one_off;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    DeploymentStrategy, DesiredStatus, HealthStatus, Service as DescribedService, Task as Described,
};

use crate::error::failure;
use model::outcome::Failure;
use model::report::Tasks;

/// A service as its ARN names it, `…:service/CLUSTER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub cluster: String,
    pub name: String,
}

/// The state of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceState {
    pub deployments: Vec<Deployment>,
    /// Whether its deployments go through stages in which they may wait, unlike rolling ones.
    pub has_stages: bool,
    /// Its events, newest first, each with its time in seconds since 1970.
    pub events: Vec<(f64, String)>,
}

/// A deployment as its service lists it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployment {
    pub id: String,
    pub task_definition: String,
    /// Consecutive failed tasks, as ECS counts them; a healthy one resets the count.
    pub failed: i32,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub state: String,
    pub reason: Option<String>,
    /// Seconds since 1970.
    pub created: f64,
}

/// Where a service's tasks run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    pub security_groups: Vec<String>,
    pub subnets: Vec<String>,
}

/// A task, running or stopped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    pub task_definition: String,
    /// The deployment's id, for a task of a service.
    pub started_by: String,
    /// Seconds since 1970.
    pub created: f64,
    /// 0 for one that never ran.
    pub started: f64,
    pub stopped: f64,
    pub is_running: bool,
    pub is_healthy: bool,
    pub stop_code: String,
    pub stopped_reason: String,
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// As the task definition names it.
    pub image: String,
    /// Digest of the manifest that it was started from; empty before the image is pulled.
    pub digest: String,
    /// The container engine's id, which names log streams without a prefix.
    pub runtime_id: String,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
}

/// Where a container logs to CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    pub container: String,
    pub group: String,
    pub prefix: Option<String>,
}

impl Service {
    /// Parses an ARN; `None` for the old format, which lacks the cluster.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let (_, path) = arn.split_once(":service/")?;
        let (cluster, name) = path.split_once('/')?;
        Some(Self { cluster: cluster.to_owned(), name: name.to_owned() })
    }
}

impl ServiceState {
    /// The newest event since `seconds` about tasks that could not be started, which leave no stopped task.
    pub fn start_failure(&self, seconds: f64) -> Option<&str> {
        let found = self.events.iter().find(|(time, text)| *time >= seconds && is_start_failure(text));
        found.map(|(_, text)| text.as_str())
    }
}

impl Task {
    /// Why it stopped, with the exit codes of its containers.
    pub fn stop_reason(&self) -> String {
        let mut parts = vec![self.stopped_reason.clone()];
        for container in &self.containers {
            let reason = container.reason.as_ref().filter(|reason| !self.stopped_reason.contains(reason.as_str()));
            match (container.exit_code, reason) {
                (Some(code), Some(reason)) => {
                    parts.push(format!("container {} ended with exit code {code}: {reason}", container.name));
                }
                (Some(code), None) => parts.push(format!("container {} ended with exit code {code}", container.name)),
                (None, Some(reason)) => parts.push(format!("container {}: {reason}", container.name)),
                (None, None) => {}
            }
        }
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { "ECS gave no reason".to_owned() } else { parts.join("; ") }
    }

    /// Whether it stopped because it failed, rather than because it was no longer needed.
    pub fn has_failed(&self) -> bool {
        match self.stop_code.as_str() {
            "EssentialContainerExited" | "TaskFailedToStart" => true,
            _ => is_failed_health_check(&self.stopped_reason),
        }
    }

    /// The CloudWatch stream of a container, as the driver `awslogs` names it.
    pub fn stream(&self, place: &LogTarget) -> Option<String> {
        let container = self.containers.iter().find(|container| container.name == place.container)?;
        match &place.prefix {
            Some(prefix) => Some(format!("{prefix}/{}/{}", container.name, self.id)),
            None => Some(container.runtime_id.clone()).filter(|id| !id.is_empty()),
        }
    }
}

/// A service as ECS describes it; `None` if it does not exist.
async fn described(client: &Client, service: &Service) -> Result<Option<DescribedService>, Failure> {
    let answer = client.describe_services().cluster(&service.cluster).services(&service.name).send().await;
    let resource = format!("service {}", service.name);
    let answer = answer.map_err(|error| failure("ecs:DescribeServices", &resource, &error))?;
    Ok(answer.services.unwrap_or_default().into_iter().next())
}

/// The deployments and events of a service; none if it does not exist.
pub async fn describe_service(client: &Client, service: &Service) -> Result<ServiceState, Failure> {
    let Some(found) = described(client, service).await? else { return Ok(ServiceState::default()) };
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let read = |deployment: &aws_sdk_ecs::types::Deployment| Deployment {
        id: text(deployment.id()),
        task_definition: text(deployment.task_definition()),
        failed: deployment.failed_tasks(),
        state: text(deployment.rollout_state().map(|state| state.as_str())),
        reason: deployment.rollout_state_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
        created: seconds(deployment.created_at()),
    };
    let strategy = found.deployment_configuration().and_then(|configuration| configuration.strategy());
    Ok(ServiceState {
        has_stages: strategy.is_some_and(|strategy| *strategy != DeploymentStrategy::Rolling),
        deployments: found.deployments().iter().map(read).collect(),
        events: found.events().iter().map(|event| (seconds(event.created_at()), text(event.message()))).collect(),
    })
}

/// How many tasks of a service run, and how many should; `None` if it does not exist.
pub async fn task_counts(client: &Client, service: &Service) -> Result<Option<Tasks>, Failure> {
    Ok(described(client, service)
        .await?
        .map(|found| Tasks { running: found.running_count(), desired: found.desired_count() }))
}

/// Where the tasks of a service run; `None` if it does not exist, or if they have no network interfaces of their own.
pub async fn network(client: &Client, service: &Service) -> Result<Option<Network>, Failure> {
    let found = described(client, service).await?.and_then(|found| found.network_configuration);
    Ok(found
        .and_then(|found| found.awsvpc_configuration)
        .map(|found| Network { security_groups: found.security_groups().to_vec(), subnets: found.subnets().to_vec() }))
}

/// The running tasks of a service, or those that stopped within about the last hour. The newest hundred are enough.
pub async fn tasks(client: &Client, service: &Service, stopped: bool) -> Result<Vec<Task>, Failure> {
    let resource = format!("service {}", service.name);
    let status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
    let list = client.list_tasks().cluster(&service.cluster).service_name(&service.name).desired_status(status);
    let arns = list.send().await.map_err(|error| failure("ecs:ListTasks", &resource, &error))?.task_arns;
    let Some(arns) = arns.filter(|arns| !arns.is_empty()) else { return Ok(Vec::new()) };
    let answer = client.describe_tasks().cluster(&service.cluster).set_tasks(Some(arns)).send().await;
    let answer = answer.map_err(|error| failure("ecs:DescribeTasks", &resource, &error))?;
    Ok(answer.tasks().iter().map(task).collect())
}

/// Where the containers of a task definition log to CloudWatch.
pub async fn log_targets(client: &Client, task_definition: &str) -> Result<Vec<LogTarget>, Failure> {
    let answer = client.describe_task_definition().task_definition(task_definition).send().await;
    let answer = answer.map_err(|error| failure("ecs:DescribeTaskDefinition", task_definition, &error))?;
    let containers = answer.task_definition().map(|definition| definition.container_definitions()).unwrap_or_default();
    let place = |container: &aws_sdk_ecs::types::ContainerDefinition| {
        let options = container.log_configuration()?.options()?;
        Some(LogTarget {
            container: container.name()?.to_owned(),
            group: options.get("awslogs-group")?.clone(),
            prefix: options.get("awslogs-stream-prefix").cloned(),
        })
    };
    Ok(containers.iter().filter_map(place).collect())
}

/// ECS reports only in a service event's words that it could not start tasks.
fn is_start_failure(event: &str) -> bool {
    ["unable to", "failed to"].iter().any(|words| event.contains(words))
}

/// ECS reports only in words that a task failed its health checks.
fn is_failed_health_check(stopped_reason: &str) -> bool {
    stopped_reason.contains("failed") && stopped_reason.contains("health check")
}

fn task(task: &Described) -> Task {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let container = |container: &aws_sdk_ecs::types::Container| Container {
        name: text(container.name()),
        image: text(container.image()),
        digest: text(container.image_digest()),
        runtime_id: text(container.runtime_id()),
        exit_code: container.exit_code(),
        reason: container.reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
    };
    Task {
        id: text(task.task_arn().and_then(|arn| arn.rsplit('/').next())),
        task_definition: text(task.task_definition_arn()),
        started_by: text(task.started_by()),
        created: seconds(task.created_at()),
        started: seconds(task.started_at()),
        stopped: seconds(task.stopped_at().or(task.stopping_at())),
        is_running: task.last_status() == Some("RUNNING"),
        is_healthy: task.health_status() == Some(&HealthStatus::Healthy),
        stop_code: text(task.stop_code().map(|code| code.as_str())),
        stopped_reason: text(task.stopped_reason()),
        containers: task.containers().iter().map(container).collect(),
    }
}

fn seconds(time: Option<&DateTime>) -> f64 {
    time.map(DateTime::as_secs_f64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_ecs_are_recognized() {
        for event in [
            "(service api) was unable to place a task because no container instance met all of its requirements.",
            "(service api) failed to launch a task with (error ECS was unable to assume the role).",
        ] {
            assert!(is_start_failure(event), "{event}");
        }
        assert!(!is_start_failure("(service api) has reached a steady state."));
        for reason in ["Task failed ELB health checks in (target-group arn:tg)", "Task failed container health checks"]
        {
            assert!(is_failed_health_check(reason), "{reason}");
        }
        assert!(!is_failed_health_check("Scaling activity initiated by (deployment ecs-svc/1)"));
    }
}
