//! An ECS service whose new deployment has failed, and that nobody may read the log of.

use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsError;
use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionOutput;
use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Deployment, DeploymentRolloutState, Service};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use aws_smithy_types::error::ErrorMetadata;

pub(super) const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/cluster/api";

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
    mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&services, &tasks, &definition])
}

pub(super) fn without_logs() -> aws_sdk_cloudwatchlogs::Client {
    use aws_sdk_cloudwatchlogs::Client;
    let denied = mock!(Client::get_log_events).then_error(|| {
        GetLogEventsError::generic(ErrorMetadata::builder().code("AccessDenied").message("no logs for you").build())
    });
    mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&denied])
}
