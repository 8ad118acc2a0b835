//! A CloudFormation of one stack, whose states a test writes down.

mod history;
mod journal;
mod service;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ErrorMetadata;
use aws_sdk_cloudformation::operation::cancel_update_stack::CancelUpdateStackOutput;
use aws_sdk_cloudformation::operation::continue_update_rollback::ContinueUpdateRollbackOutput;
use aws_sdk_cloudformation::operation::create_change_set::CreateChangeSetOutput;
use aws_sdk_cloudformation::operation::delete_change_set::DeleteChangeSetOutput;
use aws_sdk_cloudformation::operation::delete_stack::DeleteStackOutput;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::operation::describe_events::DescribeEventsError;
use aws_sdk_cloudformation::operation::describe_stack_resources::DescribeStackResourcesOutput;
use aws_sdk_cloudformation::operation::describe_stacks::{DescribeStacksError, DescribeStacksOutput};
use aws_sdk_cloudformation::operation::execute_change_set::{ExecuteChangeSetError, ExecuteChangeSetOutput};
use aws_sdk_cloudformation::operation::get_template::GetTemplateOutput;
use aws_sdk_cloudformation::operation::list_stack_resources::ListStackResourcesOutput;
use aws_sdk_cloudformation::operation::rollback_stack::RollbackStackOutput;
use aws_sdk_cloudformation::types::{
    Change, ChangeAction, ChangeSetStatus, ExecutionStatus, Output, Parameter, Replacement, ResourceChange,
    ResourceStatus, Stack, StackResourceSummary, StackStatus,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use config::deployment::{Deployment, Environment};

use crate::aws::{Clients, Identity};
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::outcome::{Exit, Failure};
use crate::plan::Platform;
use crate::preflight::Ready;
use crate::template::Template;
pub(super) use journal::Stored;
pub(super) use service::Waiting;

/// What CloudFormation says when nothing would change
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets-create.html>).
pub(super) const EMPTY_MESSAGES: [&str; 2] = [
    "The submitted information didn't contain changes. Submit different information to create a change set.",
    "No updates are to be performed.",
];

const TEMPLATE: &str = "
Parameters: {ContainerURI: {Type: String}}
Outputs: {ApiGatewayURL: {Value: x}}
";

const SETTINGS: &str = "
[service]
name = \"rest-api\"
version_path = \"/version\"
[environments.dev]
region = \"eu-central-1\"
stack = \"rest-api-dev\"
template = \"t.yaml\"
";

type Event = (&'static str, &'static str, Option<&'static str>);

/// One stack's story.
#[derive(Clone)]
pub(super) struct Model {
    /// What each look at the stack finds, one after the other; the last stays. `None` is no stack.
    pub(super) statuses: Arc<Mutex<VecDeque<Option<&'static str>>>>,
    /// Whether the stack already has what is asked for.
    pub(super) current: bool,
    /// Why the change set failed; `None` when it can be executed.
    pub(super) change_set_reason: Option<&'static str>,
    /// Code and message of the execution's refusal.
    pub(super) execute_error: Option<(&'static str, &'static str)>,
    /// What happens once the change set is executed.
    pub(super) events: &'static [Event],
    pub(super) events_denied: bool,
    /// Whether the events are of an earlier attempt.
    pub(super) dead: bool,
    /// Another release executes first.
    pub(super) taken: bool,
    /// What deleting the stack would leave behind.
    pub(super) retained: &'static [&'static str],
    /// Types and replacements of what the change set modifies.
    pub(super) changes: &'static [(&'static str, &'static str)],
    pub(super) template: &'static str,
    /// The deployment that waits for its proof, in place of one that has failed.
    pub(super) waiting: Option<Waiting>,
    /// What Systems Manager holds.
    pub(super) journal: Stored,
    pub(super) calls: Arc<Mutex<Vec<String>>>,
}

/// What a rollout is given.
pub(super) struct Scene {
    pub(super) context: Context,
    pub(super) ready: Ready,
    pub(super) environment: Environment,
}

impl Model {
    pub(super) fn new(statuses: &[Option<&'static str>]) -> Self {
        Self {
            statuses: Arc::new(Mutex::new(statuses.iter().copied().collect())),
            current: false,
            change_set_reason: None,
            execute_error: None,
            events: &[],
            events_denied: false,
            dead: false,
            taken: false,
            retained: &[],
            changes: &[],
            template: TEMPLATE,
            waiting: None,
            journal: Stored::default(),
            calls: Arc::default(),
        }
    }

    /// The calls that change something, in order.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) async fn scene(&self, protected: bool) -> Scene {
        // What is in the image is asked elsewhere.
        let settings = format!("{SETTINGS}protected = {protected}\nblock_severity = \"none\"\n");
        let deployment = Deployment::parse("deploy.toml", &settings).unwrap();
        let environment = deployment.environments["dev"].clone();
        let template = Template::parse("t.yaml", self.template.to_owned()).unwrap();
        let clients = Clients::modelled(self.client()).with_ssm(journal::client(&self.journal));
        let ecs = match &self.waiting {
            Some(waiting) => service::waiting(waiting, &self.calls),
            None => service::given_up(),
        };
        let clients = clients.and(ecs, service::without_logs());
        let seen = crate::rollout::look(&clients, &environment).await.unwrap();
        Scene {
            context: Context::of(deployment, Interrupt::never()),
            ready: Ready {
                engine: Err(Failure::new(Exit::Preflight, "docker", "no engine is needed")),
                clients,
                identity: Identity::of("111122223333", "arn:aws:iam::111122223333:user/releaser"),
                template,
                platform: Platform::Amd64,
                seen,
            },
            environment,
        }
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn executed(&self) -> bool {
        self.calls().iter().any(|call| call.starts_with("Execute"))
    }

    fn client(&self) -> Client {
        let model = self.clone();
        let describe = mock!(Client::describe_stacks).then_compute_response(move |_| model.describe());
        let body = self.template;
        let get =
            mock!(Client::get_template).then_output(move || GetTemplateOutput::builder().template_body(body).build());
        let model = self.clone();
        let create = mock!(Client::create_change_set).then_compute_output(move |input| {
            let kind = input.change_set_type().map_or("none", |kind| kind.as_str());
            model.note(format!("CreateChangeSet {kind}"));
            CreateChangeSetOutput::builder().id("arn:change-set").stack_id("arn:stack").build()
        });
        let model = self.clone();
        let describe_set = mock!(Client::describe_change_set).then_compute_output(move |_| {
            let answer = DescribeChangeSetOutput::builder().stack_id("arn:stack");
            match model.change_set_reason {
                Some(reason) => answer.status(ChangeSetStatus::Failed).status_reason(reason).build(),
                None => {
                    let answer = answer.status(ChangeSetStatus::CreateComplete).set_changes(Some(model.described()));
                    answer.execution_status(ExecutionStatus::Available).build()
                }
            }
        });
        let model = self.clone();
        let delete = mock!(Client::delete_change_set).then_compute_output(move |_| {
            model.note("DeleteChangeSet".to_owned());
            DeleteChangeSetOutput::builder().build()
        });
        let model = self.clone();
        let execute = mock!(Client::execute_change_set).then_compute_response(move |input| {
            model.note(format!("ExecuteChangeSet disable_rollback={:?}", input.disable_rollback()));
            match model.execute_error {
                Some((code, message)) => MockResponse::Error(ExecuteChangeSetError::generic(meta(code, message))),
                None => MockResponse::Output(ExecuteChangeSetOutput::builder().build()),
            }
        });
        let model = self.clone();
        let events = mock!(Client::describe_stack_events).then_compute_response(move |_| model.history());
        let model = self.clone();
        let delete_stack = mock!(Client::delete_stack).then_compute_output(move |_| {
            model.note("DeleteStack".to_owned());
            DeleteStackOutput::builder().build()
        });
        let model = self.clone();
        let list = mock!(Client::list_stack_resources).then_compute_output(move |_| model.resources());
        // The stack's own history has to do.
        let asked = mock!(Client::describe_events)
            .then_error(|| DescribeEventsError::generic(meta("AccessDenied", "no operations for you")));
        let described =
            mock!(Client::describe_stack_resources).then_output(|| DescribeStackResourcesOutput::builder().build());
        let model = self.clone();
        let cancel = mock!(Client::cancel_update_stack).then_compute_output(move |_| {
            model.note("CancelUpdateStack".to_owned());
            CancelUpdateStackOutput::builder().build()
        });
        let model = self.clone();
        let go_on = mock!(Client::continue_update_rollback).then_compute_output(move |input| {
            model.note(format!("ContinueUpdateRollback {:?}", input.resources_to_skip()));
            ContinueUpdateRollbackOutput::builder().build()
        });
        let model = self.clone();
        let roll_back = mock!(Client::rollback_stack).then_compute_output(move |_| {
            model.note("RollbackStack".to_owned());
            RollbackStackOutput::builder().build()
        });
        let changes = [&create, &describe_set, &delete, &execute, &delete_stack, &cancel, &go_on, &roll_back];
        let looks = [&describe, &get, &events, &list, &asked, &described];
        let rules: Vec<_> = changes.into_iter().chain(looks).collect();
        mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, &rules)
    }

    fn describe(&self) -> MockResponse<DescribeStacksOutput, DescribeStacksError> {
        let mut statuses = self.statuses.lock().unwrap();
        let status = if statuses.len() > 1 { statuses.pop_front().unwrap() } else { statuses[0] };
        let Some(status) = status else {
            let error = meta("ValidationError", "Stack with id rest-api-dev does not exist");
            return MockResponse::Error(DescribeStacksError::generic(error));
        };
        let image = format!("example.com/rest-api@sha256:{}", "a".repeat(64));
        let image = if self.current || (self.executed() && !self.taken) {
            image
        } else {
            "example.com/rest-api@sha256:old".to_owned()
        };
        let stack = Stack::builder()
            .stack_id("arn:stack")
            .stack_name("rest-api-dev")
            .creation_time(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
            .stack_status(StackStatus::from(status))
            .parameters(Parameter::builder().parameter_key("ContainerURI").parameter_value(image).build())
            .outputs(
                Output::builder()
                    .output_key("ApiGatewayURL")
                    .output_value("https://api.example.com/production")
                    .build(),
            );
        MockResponse::Output(DescribeStacksOutput::builder().stacks(stack.build()).build())
    }

    fn described(&self) -> Vec<Change> {
        let change = |(kind, replacement): &(&str, &str)| {
            let change = ResourceChange::builder().action(ChangeAction::Modify).logical_resource_id("Thing");
            let change = change.resource_type(*kind).replacement(Replacement::from(*replacement)).build();
            Change::builder().resource_change(change).build()
        };
        self.changes.iter().map(change).collect()
    }

    fn resources(&self) -> ListStackResourcesOutput {
        let resource = |name: &&str| {
            StackResourceSummary::builder()
                .logical_resource_id(*name)
                .physical_resource_id(format!("physical-{name}"))
                .resource_type("AWS::Test::Thing")
                .last_updated_timestamp(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
                .resource_status(ResourceStatus::DeleteSkipped)
                .build()
        };
        let resources = self.retained.iter().map(resource).collect();
        ListStackResourcesOutput::builder().set_stack_resource_summaries(Some(resources)).build()
    }
}

fn meta(code: &str, message: &str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message(message).build()
}
