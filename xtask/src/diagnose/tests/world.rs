//! An AWS of one stack with a service and an instance, whose story a test writes down moment by moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_cloudformation::operation::describe_events::{DescribeEventsError, DescribeEventsOutput};
use aws_sdk_cloudformation::operation::describe_stack_events::{DescribeStackEventsError, DescribeStackEventsOutput};
use aws_sdk_cloudformation::operation::describe_stacks::{DescribeStacksError, DescribeStacksOutput};
use aws_sdk_cloudformation::operation::list_stack_resources::ListStackResourcesOutput;
use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{
    OperationEvent, ResourceStatus, Stack, StackEvent, StackResourceSummary, StackStatus,
};
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::operation::get_log_events::{GetLogEventsError, GetLogEventsOutput};
use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, OutputLogEvent};
use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
use aws_sdk_ecs::operation::describe_services::{DescribeServicesError, DescribeServicesOutput};
use aws_sdk_ecs::operation::describe_task_definition::{DescribeTaskDefinitionError, DescribeTaskDefinitionOutput};
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
use aws_sdk_ecs::types::{
    ContainerDefinition, Deployment, LogConfiguration, LogDriver, Service, ServiceDeployment, ServiceDeploymentAlarms,
    ServiceDeploymentBrief, ServiceDeploymentStatus, Task, TaskDefinition,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use aws_smithy_types::error::ErrorMetadata;

use crate::aws::Clients;

pub(super) const STACK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api/1";
pub(super) const SERVICE: &str = "arn:aws:ecs:eu-central-1:111122223333:service/cluster/api";
pub(super) const DEFINITION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/api:7";
/// When the story begins, in seconds since 1970.
pub(super) const START: i64 = 1_000_000;

/// Logical id, type, physical id, status, reason.
pub(super) type Said = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// What one look at the stack finds.
#[derive(Debug, Clone, Default)]
pub(super) struct Moment {
    pub(super) status: &'static str,
    /// What has happened since the moment before, oldest first.
    pub(super) events: Vec<Said>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) stopped: Vec<Task>,
    pub(super) running: Vec<Task>,
}

/// One story.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// One after the other; the last stays.
    pub(super) moments: Vec<Moment>,
    /// What `DescribeEvents` answers.
    pub(super) failed: Vec<OperationEvent>,
    /// Histories of other stacks, oldest first.
    pub(super) others: BTreeMap<&'static str, Vec<Said>>,
    /// Lines by stream, in the one log group that the stack has.
    pub(super) log: BTreeMap<&'static str, Vec<&'static str>>,
    /// Why ECS took the deployment back, and the alarm that went off.
    pub(super) taken_back: Option<(&'static str, &'static str)>,
    /// Calls that are not allowed.
    pub(super) denied: BTreeSet<&'static str>,
    /// Calls whose answer cannot be read, as an emulator's.
    pub(super) broken: BTreeSet<&'static str>,
    /// Looks at the stack that are throttled before the first that is answered.
    pub(super) throttled: usize,
    pub(super) looks: Arc<AtomicUsize>,
    pub(super) asked: Arc<Mutex<Vec<&'static str>>>,
}

impl World {
    pub(super) fn of(moments: Vec<Moment>) -> Self {
        Self { moments, ..Self::default() }
    }

    pub(super) fn clients(&self) -> Clients {
        Clients::modelled(self.cloudformation()).and(self.ecs(), self.logs())
    }

    fn step(&self) -> usize {
        let looks = self.looks.load(Ordering::SeqCst).saturating_sub(self.throttled);
        looks.saturating_sub(1).min(self.moments.len().saturating_sub(1))
    }

    fn now(&self) -> Moment {
        self.moments.get(self.step()).cloned().unwrap_or_default()
    }

    /// `Some` refusal for what is not allowed.
    fn refusal(&self, call: &'static str) -> Option<ErrorMetadata> {
        self.asked.lock().unwrap().push(call);
        let broken = self.broken.contains(call).then(|| meta("Unreadable", "expected integer"));
        self.denied.contains(call).then(|| meta("AccessDenied", "not for you")).or(broken)
    }

    fn cloudformation(&self) -> CloudFormation {
        let world = self.clone();
        let stacks = mock!(CloudFormation::describe_stacks).then_compute_response(move |_| {
            if world.looks.fetch_add(1, Ordering::SeqCst) < world.throttled {
                return MockResponse::Error(DescribeStacksError::generic(meta("Throttling", "Rate exceeded")));
            }
            let stack =
                Stack::builder().stack_id(STACK).stack_name("rest-api").creation_time(DateTime::from_secs(START));
            let stack = stack.stack_status(StackStatus::from(world.now().status)).build();
            MockResponse::Output(DescribeStacksOutput::builder().stacks(stack).build())
        });
        let world = self.clone();
        let history = mock!(CloudFormation::describe_stack_events).then_compute_response(move |input| {
            if let Some(refusal) = world.refusal("DescribeStackEvents") {
                return MockResponse::Error(DescribeStackEventsError::generic(refusal));
            }
            let id = input.stack_name().unwrap_or_default();
            let events = match world.others.get(id) {
                Some(said) => said.iter().enumerate().map(|(at, said)| event(id, at, 0, said)).collect(),
                None => world.history(),
            };
            let newest_first = events.into_iter().rev().collect();
            MockResponse::Output(DescribeStackEventsOutput::builder().set_stack_events(Some(newest_first)).build())
        });
        let world = self.clone();
        let failed = mock!(CloudFormation::describe_events).then_compute_response(move |_| {
            match world.refusal("DescribeEvents") {
                Some(refusal) => MockResponse::Error(DescribeEventsError::generic(refusal)),
                None => {
                    let events = Some(world.failed.clone());
                    MockResponse::Output(DescribeEventsOutput::builder().set_operation_events(events).build())
                }
            }
        });
        let resources = mock!(CloudFormation::list_stack_resources).then_output(|| {
            let resource = |logical_id: &str, resource_type: &str, physical_id: &str| {
                let resource = StackResourceSummary::builder().logical_resource_id(logical_id);
                let resource = resource.resource_type(resource_type).physical_resource_id(physical_id);
                let resource = resource.resource_status(ResourceStatus::UpdateComplete);
                resource.last_updated_timestamp(DateTime::from_secs(START)).build()
            };
            let group = resource("LogGroup", "AWS::Logs::LogGroup", "group");
            let service = resource("Service", "AWS::ECS::Service", SERVICE);
            ListStackResourcesOutput::builder().set_stack_resource_summaries(Some(vec![group, service])).build()
        });
        let rules = [&stacks, &history, &failed, &resources];
        // The mocks cannot tell one operation from another when a call is repeated.
        let once = aws_sdk_cloudformation::config::retry::RetryConfig::disabled();
        mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, rules, |config| config.retry_config(once.clone()))
    }

    /// Everything up to now, oldest first.
    fn history(&self) -> Vec<StackEvent> {
        let moments = self.moments.iter().take(self.step() + 1).enumerate();
        let said = moments.flat_map(|(step, moment)| moment.events.iter().map(move |said| (step, said)));
        said.enumerate().map(|(at, (step, said))| event(STACK, at, step, said)).collect()
    }

    fn ecs(&self) -> aws_sdk_ecs::Client {
        use aws_sdk_ecs::Client;
        let world = self.clone();
        let services =
            mock!(Client::describe_services).then_compute_response(move |_| match world.refusal("DescribeServices") {
                Some(refusal) => MockResponse::Error(DescribeServicesError::generic(refusal)),
                None => {
                    let service = Service::builder().set_deployments(Some(world.now().deployments)).build();
                    MockResponse::Output(DescribeServicesOutput::builder().services(service).build())
                }
            });
        let world = self.clone();
        let list = mock!(Client::list_tasks).then_compute_output(move |input| {
            let moment = world.now();
            let stopped = input.desired_status().is_some_and(|status| status.as_str() == "STOPPED");
            let tasks = if stopped { moment.stopped } else { moment.running };
            let arns = tasks.iter().filter_map(|task| task.task_arn.clone()).collect();
            ListTasksOutput::builder().set_task_arns(Some(arns)).build()
        });
        let world = self.clone();
        let describe = mock!(Client::describe_tasks).then_compute_output(move |input| {
            let moment = world.now();
            let wanted = |task: &Task| input.tasks().iter().any(|arn| Some(arn.as_str()) == task.task_arn());
            let tasks = [moment.stopped, moment.running].concat().into_iter().filter(wanted).collect();
            DescribeTasksOutput::builder().set_tasks(Some(tasks)).build()
        });
        let world = self.clone();
        let definition = mock!(Client::describe_task_definition).then_compute_response(move |_| {
            if let Some(refusal) = world.refusal("DescribeTaskDefinition") {
                return MockResponse::Error(DescribeTaskDefinitionError::generic(refusal));
            }
            let options = [("awslogs-group", "group"), ("awslogs-stream-prefix", "api")];
            let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let log = LogConfiguration::builder().log_driver(LogDriver::Awslogs).set_options(Some(options)).build();
            let container = ContainerDefinition::builder().name("api").log_configuration(log.unwrap()).build();
            let definition = TaskDefinition::builder().container_definitions(container).build();
            MockResponse::Output(DescribeTaskDefinitionOutput::builder().task_definition(definition).build())
        });
        let brief = ServiceDeploymentBrief::builder().service_deployment_arn("arn:deployment").build();
        let brief = self.taken_back.map(|_| vec![brief]);
        let deployments = mock!(Client::list_service_deployments).then_output(move || {
            ListServiceDeploymentsOutput::builder().set_service_deployments(brief.clone()).build()
        });
        let story = self.taken_back.unwrap_or_default();
        let deployment = mock!(Client::describe_service_deployments).then_output(move || {
            let alarms = ServiceDeploymentAlarms::builder().triggered_alarm_names(story.1).build();
            let status = ServiceDeploymentStatus::RollbackSuccessful;
            let deployment = ServiceDeployment::builder().status(status).status_reason(story.0).alarms(alarms);
            DescribeServiceDeploymentsOutput::builder().service_deployments(deployment.build()).build()
        });
        let rules = [&services, &list, &describe, &definition, &deployments, &deployment];
        mock_client!(aws_sdk_ecs, RuleMode::MatchAny, rules)
    }

    fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        use aws_sdk_cloudwatchlogs::Client;
        let world = self.clone();
        let events = mock!(Client::get_log_events).then_compute_response(move |input| {
            if let Some(refusal) = world.refusal("GetLogEvents") {
                return MockResponse::Error(GetLogEventsError::generic(refusal));
            }
            let Some(lines) = world.log.get(input.log_stream_name().unwrap_or_default()) else {
                let error = meta("ResourceNotFoundException", "The specified log stream does not exist.");
                return MockResponse::Error(GetLogEventsError::generic(error));
            };
            let events = lines.iter().map(|line| OutputLogEvent::builder().message(*line).build()).collect();
            MockResponse::Output(GetLogEventsOutput::builder().set_events(Some(events)).build())
        });
        let world = self.clone();
        let search = mock!(Client::filter_log_events).then_compute_output(move |_| {
            let lines = world.log.iter().flat_map(|(stream, lines)| lines.iter().map(move |line| (stream, line)));
            let event = |(stream, line): (&&str, &&str)| {
                FilteredLogEvent::builder().log_stream_name(*stream).message(*line).timestamp(1).build()
            };
            FilterLogEventsOutput::builder().set_events(Some(lines.map(event).collect())).build()
        });
        mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, [&events, &search])
    }
}

fn event(stack: &str, at: usize, step: usize, said: &Said) -> StackEvent {
    let (logical_id, resource_type, physical_id, status, reason) = said;
    StackEvent::builder()
        .stack_id(stack)
        .stack_name("rest-api")
        .event_id(format!("{stack}-{at}"))
        .logical_resource_id(*logical_id)
        .resource_type(*resource_type)
        .physical_resource_id(*physical_id)
        .resource_status(ResourceStatus::from(*status))
        .resource_status_reason(*reason)
        .timestamp(DateTime::from_secs(START + i64::try_from(step).unwrap()))
        .build()
}

fn meta(code: &str, message: &str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message(message).build()
}
