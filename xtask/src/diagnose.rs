//! Why a stack failed: the first real cause, with all that is needed to fix it.
//!
//! Nothing here fails: what cannot be read becomes a note on the failure that is being explained.

use config::deployment::Environment;

use aws::Clients;
use aws::stack;
use aws::stack::cause::{self, Cause};
use aws::stack::events::{self, Scope, unreadable_events};
use aws::stack::follow::Followed;
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{Event, STACK_TYPE, Stack, first_cause};
use model::template::Template;

/// How deep nested stacks are followed.
const DEPTH: usize = 5;
/// How many seconds before the first event of an operation a failure may be that still belongs to it.
const SLACK: f64 = 1.0;

/// Adds the first real cause to the failure of an operation that was followed.
pub(crate) async fn explain(
    clients: &Clients,
    environment: &Environment,
    template: Option<&Template>,
    stack_id: &str,
    followed: &Followed,
    failure: Failure,
) -> Failure {
    let failure = failure.console(console(environment, stack_id));
    let found = find(clients, stack_id, &followed.events).await;
    let collected = |cause: &Cause| {
        let same = |other: &&Cause| cause.within.is_empty() && other.logical_id == cause.logical_id;
        followed.evidence.iter().find(same).cloned()
    };
    // An operation that was cancelled early only reports its own end.
    let is_weak =
        |cause: &Cause| cause.is_consequence || (cause.resource_type == STACK_TYPE && cause.within.is_empty());
    match found {
        Ok(Some((cause, owner))) if followed.evidence.is_empty() || !is_weak(&cause) => {
            let cause = match collected(&cause) {
                Some(taken) => Cause { path: cause.path, notes: [cause.notes, taken.notes].concat(), ..taken },
                None => cause::gather_evidence(clients, &owner, cause).await,
            };
            cause.add_to(failure, template)
        }
        other => {
            let failure = match followed.evidence.first() {
                Some(taken) => taken.clone().add_to(failure, template),
                None => failure,
            };
            other.err().into_iter().fold(failure, |failure, reason| failure.note(unreadable_events(&reason)))
        }
    }
}

/// Returns when a service of a finished stack keeps crashing; never if none does.
pub(crate) async fn crash(
    clients: &Clients,
    environment: &Environment,
    template: &Template,
    stack: &Stack,
    ui: &Ui,
) -> Failure {
    let cause = stack::crash::watch_for_crash(clients, stack, &|text| ui.line(&format!("            {text}"))).await;
    let name = &environment.name;
    // The endpoint cannot answer then, so it is the same failure.
    let failure = Failure::new(Exit::NeedsHuman, FailureKind::NotAnswering, "the service does not stay up")
        .console(console(environment, &stack.id))
        .hint(format!("fix the cause and release again, or cargo xtask rollback {name}; cargo xtask logs {name}"));
    cause.add_to(failure, Some(template))
}

/// Why an earlier operation failed: the first real cause of the newest operation that did.
pub(crate) async fn earlier_cause(clients: &Clients, stack: &Stack) -> Option<Cause> {
    let events = events::last_operation(&clients.cloudformation, &stack.id).await.ok()?;
    let (cause, owner) = find(clients, &stack.id, &events).await.ok()??;
    Some(cause::gather_evidence(clients, &owner, cause).await)
}

/// Logical ids of the resources that could not be rolled back, in the format in which a continued rollback skips them:
/// those of a nested stack as `STACK.RESOURCE`.
pub(crate) async fn stuck_resources(clients: &Clients, stack_id: &str) -> Vec<String> {
    let mut stuck = Vec::new();
    let mut stacks = vec![(stack_id.to_owned(), String::new())];
    while let Some((id, prefix)) = stacks.pop() {
        let history = events::last_operation(&clients.cloudformation, &id).await.unwrap_or_default();
        let newest = |event: &&Event| {
            let last = history.iter().rfind(|other| other.logical_id == event.logical_id);
            last.is_some_and(|last| last.id == event.id)
        };
        let failed = since_rollback(&history, &id).iter().filter(|event| event.status == "UPDATE_FAILED");
        for event in failed.filter(newest).filter(|event| !event.is_cancelled() && !event.is_own(&id)) {
            match nested(event, &id).filter(|_| prefix.matches('.').count() < DEPTH) {
                // CloudFormation expects the stack's name here, not the logical id.
                Some(child) => stacks.push((child.to_owned(), format!("{}.", stack_name(child)))),
                None => stuck.push(format!("{prefix}{}", event.logical_id)),
            }
        }
    }
    stuck
}

/// The page of the AWS console with a stack's events; none for an emulator.
pub(crate) fn console(environment: &Environment, stack_id: &str) -> Option<String> {
    if environment.endpoint.is_some() {
        return None;
    }
    let region = &environment.region;
    let domain = match region.split('-').collect::<Vec<_>>().as_slice() {
        ["cn", ..] => "amazonaws.cn",
        ["us", "gov", ..] => "amazonaws-us-gov.com",
        _ => "aws.amazon.com",
    };
    let id: String = url::form_urlencoded::byte_serialize(stack_id.as_bytes()).collect();
    Some(format!("https://{region}.console.{domain}/cloudformation/home?region={region}#/stacks/events?stackId={id}"))
}

/// The first real cause, and the stack that contains it. The events are those of the operation, as far as they are known.
async fn find(clients: &Clients, stack_id: &str, events: &[Event]) -> Result<Option<(Cause, String)>, Failure> {
    let seen = first_cause(events, stack_id);
    let end = events.iter().rfind(|event| event.is_own(stack_id));
    if end.is_some_and(|end| end.status.ends_with("ROLLBACK_FAILED"))
        && let Some(event) = first_cause(since_rollback(events, stack_id), stack_id)
    {
        // What prevents the rollback must be fixed first.
        let mut cause = Cause::from(event);
        if let Some(first) = seen.filter(|seen| seen.id != event.id).map(Cause::from) {
            cause.notes.push(format!(
                "the update that was rolled back had failed at {}: {}",
                first.resource(),
                first.reason
            ));
        }
        return Ok(Some(inside(clients, stack_id, event, cause).await));
    }
    let (described, denied) = match described_failure(clients, stack_id, events).await {
        Ok(event) => (event, None),
        Err(failure) => (None, Some(failure)),
    };
    let Some(event) = described.as_ref().or(seen) else { return denied.map_or(Ok(None), Err) };
    let mut cause = Cause::from(event);
    let same = seen.filter(|seen| seen.logical_id == event.logical_id);
    cause.physical_id = cause.physical_id.or_else(|| same?.physical_id.clone());
    Ok(Some(inside(clients, stack_id, event, cause).await))
}

/// The first failure of the operation according to `DescribeEvents`.
async fn described_failure(clients: &Clients, stack_id: &str, events: &[Event]) -> Result<Option<Event>, Failure> {
    let operation = first_cause(events, stack_id).or(events.first()).and_then(|event| event.operation.as_deref());
    let of = operation.map_or(Scope::Stack(stack_id), Scope::Operation);
    let since = events.first().map_or(0.0, |event| event.seconds - SLACK);
    let mut failed = events::failed_events(&clients.cloudformation, of).await?;
    // Without an id the events may be those of an older operation.
    failed.retain(|event| operation.is_some() || event.seconds >= since);
    failed.retain(|event| event.is_failure() && !event.is_cancelled() && !event.is_own(stack_id));
    Ok(failed.into_iter().next())
}

/// Follows the cause into nested stacks, as far as they can be read.
async fn inside(clients: &Clients, stack_id: &str, event: &Event, mut cause: Cause) -> (Cause, String) {
    let (mut event, mut owner) = (event.clone(), stack_id.to_owned());
    event.physical_id.clone_from(&cause.physical_id);
    for _ in 0..DEPTH {
        let Some(child) = nested(&event, &owner).map(str::to_owned) else { break };
        let history = match events::last_operation(&clients.cloudformation, &child).await {
            Ok(history) => history,
            Err(error) => {
                cause.notes.push(unreadable_events(&Failure::of(&error)));
                break;
            }
        };
        let Some(inner) = first_cause(&history, &child).filter(|inner| !inner.is_own(&child)) else { break };
        let within = [cause.within, vec![cause.logical_id]].concat();
        cause = Cause { within, notes: cause.notes, ..Cause::from(inner) };
        (event, owner) = (inner.clone(), child);
    }
    (cause, owner)
}

/// The nested stack that an event of `stack_id` is about, if any.
fn nested<'a>(event: &'a Event, stack_id: &str) -> Option<&'a str> {
    let id = event.physical_id.as_deref().filter(|_| event.resource_type == STACK_TYPE)?;
    (id.starts_with("arn:") && id != stack_id).then_some(id)
}

/// The name in the ARN of a stack.
fn stack_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

/// The events since the stack began to roll back.
fn since_rollback<'a>(events: &'a [Event], stack_id: &str) -> &'a [Event] {
    let start = |event: &Event| event.is_own(stack_id) && event.status.ends_with("ROLLBACK_IN_PROGRESS");
    events.iter().position(start).map_or(&[], |at| &events[at..])
}

#[cfg(test)]
mod tests;
