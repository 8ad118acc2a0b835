//! An ECS service whose new deployment has failed or waits, and that nobody may read the log of.

use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsError;
use aws_sdk_ecs::operation::continue_service_deployment::{
    ContinueServiceDeploymentError, ContinueServiceDeploymentOutput,
};
use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    Deployment, DeploymentConfiguration, DeploymentLifecycleHookDetail, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, DeploymentRolloutState, DeploymentStrategy, Service, ServiceDeployment,
    ServiceDeploymentBrief, ServiceDeploymentLifecycleStage, ServiceDeploymentStatus,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use aws_smithy_types::error::ErrorMetadata;

pub(super) const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/cluster/api";

/// A deployment that waits, until it is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting {
    /// When the pause ends by itself, in seconds since 1970.
    pub(crate) expires: i64,
    /// Code and message with which an answer is refused.
    pub(crate) refusal: Option<(&'static str, &'static str)>,
}

pub(super) fn waiting(waiting: &Waiting, calls: &Arc<Mutex<Vec<String>>>) -> aws_sdk_ecs::Client {
    use aws_sdk_ecs::Client;
    let configuration = || DeploymentConfiguration::builder().strategy(DeploymentStrategy::BlueGreen).build();
    let services = mock!(Client::describe_services).then_output(move || {
        let service = Service::builder().deployment_configuration(configuration()).build();
        DescribeServicesOutput::builder().services(service).build()
    });
    let list = mock!(Client::list_service_deployments).then_output(|| {
        let brief = ServiceDeploymentBrief::builder().service_deployment_arn("arn:deployment").build();
        ListServiceDeploymentsOutput::builder().service_deployments(brief).build()
    });
    let expires = waiting.expires;
    let describe = mock!(Client::describe_service_deployments).then_output(move || {
        let hook = DeploymentLifecycleHookDetail::builder()
            .hook_id("hook-1")
            .target_type(DeploymentLifecycleHookTargetType::Pause)
            .status(DeploymentLifecycleHookStatus::AwaitingAction)
            .expires_at(DateTime::from_secs(expires));
        let deployment = ServiceDeployment::builder()
            .service_deployment_arn("arn:deployment")
            .status(ServiceDeploymentStatus::InProgress)
            .lifecycle_stage(ServiceDeploymentLifecycleStage::PostTestTrafficShift)
            .lifecycle_hook_details(hook.build());
        DescribeServiceDeploymentsOutput::builder().service_deployments(deployment.build()).build()
    });
    let (calls, refusal) = (Arc::clone(calls), waiting.refusal);
    let answer = mock!(Client::continue_service_deployment).then_compute_response(move |input| {
        let word = input.action().map_or("none", |action| action.as_str());
        calls.lock().unwrap().push(format!("{word} {}", input.hook_id().unwrap_or_default()));
        match refusal {
            Some((code, message)) => {
                let meta = ErrorMetadata::builder().code(code).message(message).build();
                MockResponse::Error(ContinueServiceDeploymentError::generic(meta))
            }
            None => MockResponse::Output(ContinueServiceDeploymentOutput::builder().build()),
        }
    });
    let tasks = mock!(Client::list_tasks).then_output(|| ListTasksOutput::builder().build());
    mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&services, &list, &describe, &answer, &tasks])
}

pub(super) fn given_up() -> aws_sdk_ecs::Client {
    use aws_sdk_ecs::Client;
    let services = mock!(Client::describe_services).then_output(|| {
        let deployment = Deployment::builder()
            .id("ecs-svc/2")
            .created_at(DateTime::from_secs(1))
            .failed_tasks(3)
            .rollout_state(DeploymentRolloutState::Failed)
            .rollout_state_reason("ECS deployment circuit breaker: tasks failed to start.");
        let service = Service::builder().deployments(deployment.build()).build();
        DescribeServicesOutput::builder().services(service).build()
    });
    let tasks = mock!(Client::list_tasks).then_output(|| ListTasksOutput::builder().build());
    let definition =
        mock!(Client::describe_task_definition).then_output(|| DescribeTaskDefinitionOutput::builder().build());
    let none = mock!(Client::list_service_deployments).then_output(|| ListServiceDeploymentsOutput::builder().build());
    mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&services, &tasks, &definition, &none])
}

pub(super) fn without_logs() -> aws_sdk_cloudwatchlogs::Client {
    use aws_sdk_cloudwatchlogs::Client;
    let denied = mock!(Client::get_log_events).then_error(|| {
        GetLogEventsError::generic(ErrorMetadata::builder().code("AccessDenied").message("no logs for you").build())
    });
    mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&denied])
}
