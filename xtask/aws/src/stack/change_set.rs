//! Change sets: created, read, executed or deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Capability, Change, ChangeSetStatus, ChangeSetType, ExecutionStatus, Parameter, ResourceAttribute,
    ResourceChangeDetail, RollbackConfiguration, RollbackTrigger, Tag, TemplateStage,
};

use super::cause::Cause;
use super::events::{self, Scope};
use super::operation::{self, NotBegun};
use super::until_visible;
use crate::error::{self, failure};
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::{Value, Watch};
use model::progress::{Progress, Reporter};
use model::stack::{ResourceChange, texts};
use model::template::Template;

/// Most change sets are ready within seconds; a large one may take minutes.
const DEADLINE: Duration = Duration::from_secs(600);

/// The change set to create.
#[derive(Debug)]
pub struct Request<'a> {
    pub stack: &'a str,
    pub create: bool,
    /// ARN of the execution role; `None` for the caller's own permissions.
    pub role: Option<&'a str>,
    pub template: &'a Template,
    pub text: Text<'a>,
    pub parameters: &'a BTreeMap<String, Value>,
    /// The alarms that roll an update back; a creation has none yet.
    pub watch: Watch,
    /// All tags of the stack: others are removed.
    pub tags: &'a BTreeMap<String, String>,
    /// Names the change set and makes its calls idempotent: `[a-zA-Z][-a-zA-Z0-9]*`, at most 128.
    pub token: &'a str,
}

/// How CloudFormation gets the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// With the call.
    Sent,
    /// From this address.
    At(&'a str),
    /// It has it: the stack's own, whatever `template` is.
    Deployed,
}

/// A change set that can be executed.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    pub id: String,
    pub stack_id: String,
    pub changes: Vec<ResourceChange>,
    pub role: Option<String>,
}

/// The result of a request.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing would change; the change set is deleted.
    Empty,
    Ready(ChangeSet),
}

/// Whether a change set that was created earlier can still be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    Available {
        /// The image that it deploys.
        image: Option<String>,
    },
    /// Why not.
    Gone(String),
}

/// Reads whether a change set that was created earlier can be executed.
pub async fn availability(client: &Client, stack: &str, id: &str, image_parameter: &str) -> Result<Availability> {
    let answer = client.describe_change_set().stack_name(stack).change_set_name(id).send().await;
    match answer.map_err(|error| failure("cloudformation:DescribeChangeSet", &format!("change set {id}"), &error)) {
        Ok(set) if set.execution_status() == Some(&ExecutionStatus::Available) => Ok(Availability::Available {
            image: set
                .parameters()
                .iter()
                .find(|p| p.parameter_key() == Some(image_parameter))
                .and_then(|p| p.parameter_value.clone()),
        }),
        Ok(set) => {
            let status = set.execution_status().map_or("unknown", |status| status.as_str());
            Ok(Availability::Gone(format!("it cannot be executed any more, it is {status}")))
        }
        // If it was the only change set of a new stack, the stack may be gone, too.
        Err(failure) if error::is_missing(&failure) || error::code(&failure) == "ValidationError" => {
            Ok(Availability::Gone("it is gone".to_owned()))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Creates a change set and waits until it is ready. With any other result it leaves no change set behind.
///
/// # Errors
/// A refusal, by the call or as the status of the change set; or an interruption.
pub async fn prepare(
    client: &Client,
    request: &Request<'_>,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> Result<Prepared> {
    let resource = format!("stack {}", request.stack);
    let kind = if request.create { ChangeSetType::Create } else { ChangeSetType::Update };
    let tags = request.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let url = if let Text::At(url) = request.text { Some(url) } else { None };
    let mut lost = None;
    // This call is not interrupted: a change set that is created after the clean-up would stay.
    let created = client
        .create_change_set()
        .stack_name(request.stack)
        .change_set_name(request.token)
        .client_token(request.token)
        .change_set_type(kind)
        .set_role_arn(request.role.map(str::to_owned))
        .set_template_body((request.text == Text::Sent).then(|| request.template.body.clone()))
        .set_template_url(url.map(str::to_owned))
        .set_use_previous_template((request.text == Text::Deployed).then_some(true))
        .set_parameters(Some(parameters(request.parameters)))
        .set_tags(Some(tags))
        .set_rollback_configuration((!request.create).then(|| monitoring(&request.watch)))
        .set_capabilities(Some(capabilities(request.template)))
        .send()
        .await;
    let (id, made_in) = match created {
        Ok(created) => (created.id, created.stack_id),
        // No one else uses this name: the answer to an earlier attempt was lost.
        Err(error) if error.code() == Some("AlreadyExistsException") => (None, None),
        Err(error) => {
            let failure = failure("cloudformation:CreateChangeSet", &resource, &error);
            if error::is_refusal(&failure) {
                // Errors in template and parameters are reported here, before a change set exists.
                let of_template = error.code() == Some("ValidationError");
                return Err(if of_template { refused(request, failure.reason) } else { failure }.into());
            }
            // The answer was lost; the change set may exist nevertheless.
            lost = Some(failure);
            (None, None)
        }
    };
    let id = id.unwrap_or_else(|| request.token.to_owned());
    let described = match interrupt.or(wait_until_ready(client, &id, request, report)).await {
        Ok(described) => described,
        Err(error) if lost.is_some() && error::is_missing(&Failure::of(&error)) => {
            return Err(lost.expect("the guard has checked it").into());
        }
        Err(error) => return Err(without(client, &id, request, error).await),
    };
    if described.status() == Some(&ChangeSetStatus::Failed) {
        let reason = described.status_reason().map(str::to_owned);
        let empty = reason.as_deref().is_some_and(texts::is_unchanged);
        let mut failure = refused(request, reason);
        if !empty {
            // Only the change set's own events name the property that early validation refused.
            failure = with_validation_events(client, request.template, &id, failure).await;
        }
        let refused = without(client, &id, request, failure.into()).await;
        return if empty { Ok(Prepared::Empty) } else { Err(refused) };
    }
    let stack_id = described.stack_id().or(made_in.as_deref()).unwrap_or(request.stack).to_owned();
    // From here on by its ARN, not by its name.
    let id = described.change_set_id().map_or(id, str::to_owned);
    if let Some(url) = url
        && let Err(error) = interrupt.or(check_template(client, &id, request, url)).await
    {
        return Err(without(client, &id, request, error).await);
    }
    match interrupt.or(changes(client, &id, request, described)).await {
        Ok(changes) => Ok(Prepared::Ready(ChangeSet { id, stack_id, changes, role: request.role.map(str::to_owned) })),
        Err(error) => Err(without(client, &id, request, error).await),
    }
}

/// The template that a change set deploys, as it was submitted.
pub async fn proposed_body(client: &Client, stack: &str, id: &str) -> Result<String> {
    let call = client.get_template().stack_name(stack).change_set_name(id).template_stage(TemplateStage::Original);
    let answer = call.send().await;
    let answer = answer.map_err(|error| failure("cloudformation:GetTemplate", &format!("change set {id}"), &error))?;
    Ok(answer.template_body().unwrap_or_default().to_owned())
}

/// What CloudFormation has read from the bucket may be another text: others may write there, too.
async fn check_template(client: &Client, id: &str, request: &Request<'_>, url: &str) -> Result<()> {
    let read = proposed_body(client, request.stack, id).await?;
    if request.template.has_text(&read) {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, FailureKind::Template, "CloudFormation has read another template")
        .resource(url)
        .reason(format!("the object in the bucket is not the text of {}", request.template.path))
        .hint("find out who else writes to the bucket, then repeat the command")
        .into())
}

/// Deletes the change set before its failure is reported. That this may fail, too, must not hide the cause.
async fn without(client: &Client, id: &str, request: &Request<'_>, error: anyhow::Error) -> anyhow::Error {
    drop(discard(client, id, request.stack).await);
    error
}

fn refused(request: &Request<'_>, reason: Option<String>) -> Failure {
    let hint = match request.text {
        Text::At(url) if reason.as_deref().is_some_and(texts::is_unreadable_object) => {
            format!("allow s3:GetObject on {url} for this role or user: CloudFormation reads it with your permission")
        }
        _ => format!("fix {} or the parameters in deploy.toml", request.template.path),
    };
    Failure::new(Exit::Failed, FailureKind::ChangeSet, "CloudFormation refused the change")
        .resource(format!("stack {}", request.stack))
        .reason(reason.unwrap_or_else(|| "CloudFormation gave no reason".to_owned()))
        .hint(hint)
}

/// CloudFormation deletes replaced resources only after the monitoring time, with or without alarms; an alarm that goes
/// off until then rolls the update back
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-rollback-triggers.html>). The setting stays
/// with the stack, so it is cleared explicitly: no minutes, and an empty list.
fn monitoring(watch: &Watch) -> RollbackConfiguration {
    let trigger = |arn: &String| RollbackTrigger::builder().arn(arn).r#type("AWS::CloudWatch::Alarm").build();
    RollbackConfiguration::builder()
        .monitoring_time_in_minutes(watch.minutes)
        .set_rollback_triggers(Some(watch.alarms.iter().map(trigger).collect()))
        .build()
}

/// What CloudFormation may do without asking: make roles, and expand macros where the template has them.
fn capabilities(template: &Template) -> Vec<Capability> {
    let expand = template.document.expansion.needs_capability().then_some(Capability::CapabilityAutoExpand);
    [Capability::CapabilityIam, Capability::CapabilityNamedIam].into_iter().chain(expand).collect()
}

fn parameters(values: &BTreeMap<String, Value>) -> Vec<Parameter> {
    let parameter = |(name, value): (&String, &Value)| match value {
        Value::Is(value) => Parameter::builder().parameter_key(name).parameter_value(value).build(),
        Value::Previous => Parameter::builder().parameter_key(name).use_previous_value(true).build(),
    };
    values.iter().map(parameter).collect()
}

/// Polls until the change set is available or failed.
async fn wait_until_ready(
    client: &Client,
    id: &str,
    request: &Request<'_>,
    report: Reporter<'_>,
) -> Result<DescribeChangeSetOutput> {
    let resource = format!("change set {} of stack {}", request.token, request.stack);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(250);
    let read = async || {
        let answer = client.describe_change_set().stack_name(request.stack).change_set_name(id).send().await;
        answer.map_err(|error| failure("cloudformation:DescribeChangeSet", &resource, &error))
    };
    // It is new, and may not be visible everywhere yet.
    let is_visible = |answer: &Result<_, Failure>| !answer.as_ref().is_err_and(error::is_missing);
    report(Progress::Doing("the change set"));
    loop {
        let described = until_visible(is_visible, read).await?;
        let status = described.status();
        let available = described.execution_status() == Some(&ExecutionStatus::Available);
        if status == Some(&ChangeSetStatus::Failed) || (status == Some(&ChangeSetStatus::CreateComplete) && available) {
            return Ok(described);
        }
        if matches!(described.execution_status(), Some(ExecutionStatus::Obsolete | ExecutionStatus::ExecuteFailed)) {
            return Err(Failure::new(
                Exit::Failed,
                FailureKind::Superseded,
                "the stack was changed while the change set was created",
            )
            .resource(resource)
            .reason("another release was faster")
            .hint("repeat the command")
            .into());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::new(Exit::Failed, FailureKind::ChangeSet, "the change set was not ready in time")
                .resource(resource)
                .reason(format!(
                    "its status is {} after {} s",
                    status.map_or("unknown", |s| s.as_str()),
                    DEADLINE.as_secs()
                ))
                .hint("repeat the command")
                .into());
        }
        report(Progress::Doing(&format!("the change set: {}", status.map_or("unknown", |status| status.as_str()))));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// All pages of the changes.
async fn changes(
    client: &Client,
    id: &str,
    request: &Request<'_>,
    first: DescribeChangeSetOutput,
) -> Result<Vec<ResourceChange>> {
    let mut changes: Vec<ResourceChange> = first.changes().iter().filter_map(resource_change).collect();
    let mut next = first.next_token;
    while let Some(token) = next {
        let page = client.describe_change_set().stack_name(request.stack).change_set_name(id).next_token(token);
        let resource = format!("change set {}", request.token);
        let page = page.send().await.map_err(|e| failure("cloudformation:DescribeChangeSet", &resource, &e))?;
        changes.extend(page.changes().iter().filter_map(resource_change));
        next = page.next_token;
    }
    Ok(changes)
}

/// Executes a change set; a failure of the stack rolls it back.
///
/// # Errors
/// A refusal or a lost answer. Some failures of the stack are reported only here, and leave it rolled back.
pub async fn execute(client: &Client, set: &ChangeSet, token: &str, interrupt: &Interrupt) -> Result<(), NotBegun> {
    operation::begin(Some(interrupt), async || {
        let call = client.execute_change_set().stack_name(&set.stack_id).change_set_name(&set.id);
        // Always explicit: the documented default of the API is not what its clients assume.
        let call = call.client_request_token(token).disable_rollback(false);
        let answer = call.customize().config_override(operation::single_attempt()).send().await;
        answer.map_err(|error| failure("cloudformation:ExecuteChangeSet", &format!("change set {token}"), &error))?;
        Ok(())
    })
    .await
}

/// Deletes a change set that will not be executed.
pub async fn discard(client: &Client, id: &str, stack: &str) -> Result<()> {
    let answer = client.delete_change_set().stack_name(stack).change_set_name(id).send().await;
    answer.map_err(|error| failure("cloudformation:DeleteChangeSet", &format!("stack {stack}"), &error))?;
    Ok(())
}

/// Adds the reasons of early validation, if it refused the change set. They are gone with the change set.
async fn with_validation_events(
    client: &Client,
    template: &Template,
    change_set_id: &str,
    failure: Failure,
) -> Failure {
    let events = match events::failed_events(client, Scope::ChangeSet(change_set_id)).await {
        Ok(events) => events,
        // Other refusals need no events.
        Err(_) if !failure.reason.as_deref().is_some_and(texts::is_early_validation) => {
            return failure;
        }
        Err(reason) => return failure.note(events::unreadable_events(&reason)),
    };
    let mut causes = events.iter().filter(|event| event.is_failure() && !event.logical_id.is_empty()).map(Cause::from);
    let Some(first) = causes.next() else { return failure };
    let failure = first.add_to(failure, Some(template));
    causes.fold(failure, |failure, other| {
        let place = other.path.as_deref().and_then(|path| template.place_of(path));
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        failure.note(format!("also {}: {}{place}", other.resource(), other.reason))
    })
}

/// The change of a resource; `None` for any other change.
fn resource_change(change: &Change) -> Option<ResourceChange> {
    let change = change.resource_change()?;
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let mut properties: Vec<String> = change.details().iter().filter_map(property).collect();
    properties.sort();
    properties.dedup();
    Some(ResourceChange {
        action: text(change.action().map(|action| action.as_str())),
        logical_id: text(change.logical_resource_id()),
        resource_type: text(change.resource_type()),
        replacement: change.replacement().map(|replacement| replacement.as_str().to_owned()),
        properties,
    })
}

fn property(detail: &ResourceChangeDetail) -> Option<String> {
    let target = detail.target()?;
    match (target.attribute()?, target.name()) {
        (ResourceAttribute::Properties, Some(name)) => Some(format!("Properties.{name}")),
        (attribute, _) => Some(attribute.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests;
