//! Brings a stack to an image: change set, consent, execution, the end of it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::image::ImageReference;
use crate::outcome::{Exit, Failure};
use crate::plan::{self, Value};
use crate::preflight::Ready;
use crate::report::Change;
use crate::stack::change_set::{self, ChangeSet, Prepared, Request};
use crate::stack::follow::{self, Followed, Mark};
use crate::stack::{self, Stack};
use crate::status::{self, Answer, Ending};
use crate::ui::{Paint, Phase, Ui};

/// A stack that runs what was asked for.
pub(crate) struct Rolled {
    pub(crate) change: Change,
    pub(crate) stack: Stack,
}

/// Deploys `image` to the environment's stack, unless it runs there already.
///
/// # Errors
/// A refusal, a declined question, or a stack that failed: with what became of it.
pub(crate) async fn roll_out(
    context: &Context,
    ready: &Ready,
    environment: &Environment,
    image: &ImageReference,
    ui: &Ui,
) -> Result<Rolled> {
    let client = &ready.clients.cloudformation;
    let phase = ui.phase("stack");
    let before = settle(ready, environment, &phase, ui).await?;
    let create = before.as_ref().is_none_or(|stack| status::answer(Some(&stack.status)) == Answer::Create);
    let names = before.as_ref().filter(|_| !create).map(Stack::parameter_names).unwrap_or_default();
    let parameters = plan::parameters(&ready.template, &context.deployment.service, environment, image, &names);
    if let Some(stack) = before.as_ref().filter(|stack| !create && has_all(stack, &parameters))
        && stack::template_body(client, &stack.name).await?.trim() == ready.template.body.trim()
    {
        phase.skipped(&format!("{} is already current", stack.name));
        return Ok(Rolled { change: Change::None, stack: stack.clone() });
    }
    let token = token();
    let request = Request {
        stack: &environment.stack,
        create,
        template: &ready.template,
        parameters: &parameters,
        tags: &[("managed-by", "xtask")],
        token: &token,
    };
    let set = match (change_set::prepare(client, &request).await?, before) {
        (Prepared::Ready(set), _) => set,
        (Prepared::Empty, Some(stack)) => {
            phase.skipped(&format!("{} is already current", stack.name));
            return Ok(Rolled { change: Change::None, stack });
        }
        (Prepared::Empty, None) => anyhow::bail!("CloudFormation finds nothing to create in {}", ready.template.path),
    };
    show(&set, &phase, ui);
    consent(ready, environment, &set, ui).await?;
    let mark = follow::mark(client, &set.stack_id).await;
    let work = if create { "created" } else { "updated" };
    ui.still_runs(Some(format!(
        "stack {} is being {work} and goes on without this tool; the same command follows it",
        environment.stack
    )));
    let followed = match change_set::execute(client, &set, &token).await {
        Ok(()) => follow::follow(client, &set.stack_id, mark, &phase).await?,
        Err(failure) => after_refusal(ready, &set, mark, failure, &phase).await?,
    };
    ui.still_runs(None);
    match conclude(environment, followed)? {
        Some(stack) => {
            phase.done(&format!("{} {work}", stack.name));
            Ok(Rolled { change: if create { Change::Create } else { Change::Update }, stack })
        }
        None => anyhow::bail!("stack {} was deleted by someone while it was being {work}", environment.stack),
    }
}

/// Waits until nothing is under way, and refuses states that nothing can be deployed into.
async fn settle(ready: &Ready, environment: &Environment, phase: &Phase<'_>, ui: &Ui) -> Result<Option<Stack>> {
    let client = &ready.clients.cloudformation;
    loop {
        let stack = stack::describe(client, &environment.stack).await?;
        let status = stack.as_ref().map(|stack| stack.status.as_str());
        match (status::answer(status), stack) {
            (Answer::Wait, Some(stack)) => {
                phase.line(&format!("{} is {}: waiting for its end", stack.name, stack.status));
                ui.still_runs(Some(format!("stack {} was {} before this command", stack.name, stack.status)));
                let mark = follow::mark(client, &stack.id).await;
                follow::follow(client, &stack.id, mark, phase).await?;
                ui.still_runs(None);
            }
            (Answer::Refuse(refusal), Some(stack)) => {
                let hint = refusal.hint(&stack.name, &environment.name, &environment.region);
                let message = format!("stack {} is {}; nothing can be deployed into it", stack.name, stack.status);
                let failure = Failure::new(Exit::NeedsHuman, "stack-state", message).resource(&stack.id).hint(hint);
                let reason = stack.status_reason.unwrap_or_else(|| "an earlier operation failed".to_owned());
                return Err(failure.reason(reason).into());
            }
            (_, stack) => return Ok(stack),
        }
    }
}

/// Whether the stack already has every value that would be sent.
fn has_all(stack: &Stack, parameters: &BTreeMap<String, Value>) -> bool {
    parameters.iter().all(|(name, value)| match value {
        Value::Is(value) => stack.parameters.get(name) == Some(value),
        Value::Previous => true,
    })
}

/// A name that no other run has: time and process, as a change set may be named.
pub(crate) fn token() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("xtask-{millis}-{}", std::process::id())
}

fn show(set: &ChangeSet, phase: &Phase<'_>, ui: &Ui) {
    for change in &set.changes {
        let replacement = match change.replacement.as_deref() {
            Some("True") => ui.paint(Paint::Yellow, "  replaced"),
            Some("Conditional") => "  perhaps replaced".to_owned(),
            _ => String::new(),
        };
        phase.line(&format!("{:<6} {} ({}){replacement}", change.action, change.logical_id, change.resource_type));
    }
}

/// Asks before a protected environment changes; a refusal leaves nothing behind.
async fn consent(ready: &Ready, environment: &Environment, set: &ChangeSet, ui: &Ui) -> Result<()> {
    if !environment.protected {
        return Ok(());
    }
    let answer = ui.confirm(&question(environment));
    if matches!(answer, Ok(true)) {
        return Ok(());
    }
    change_set::discard(&ready.clients.cloudformation, &set.id, &set.stack_id).await?;
    answer?;
    Err(Failure::new(Exit::Failed, "declined", "the change was declined")
        .resource(format!("stack {}", environment.stack))
        .reason("the change set is deleted; nothing was changed")
        .into())
}

/// What is asked before a protected environment changes.
pub(crate) fn question(environment: &Environment) -> String {
    format!("{} is protected. Change stack {} in {}?", environment.name, environment.stack, environment.region)
}

/// An execution whose call failed: perhaps nothing happened, perhaps the answer was lost, perhaps the stack is already
/// rolled back. The stack itself tells.
async fn after_refusal(
    ready: &Ready,
    set: &ChangeSet,
    mark: Mark,
    failure: Failure,
    phase: &Phase<'_>,
) -> Result<Followed> {
    let client = &ready.clients.cloudformation;
    let Ok(Some(stack)) = stack::describe(client, &set.stack_id).await else { return Err(failure.into()) };
    if status::ending(&stack.status).is_none() && stack.status != "REVIEW_IN_PROGRESS" {
        return follow::follow(client, &set.stack_id, mark, phase).await;
    }
    let events = mark.since(client, &set.stack_id).await;
    let reason = failure.reason.clone().unwrap_or_default();
    match status::ending(&stack.status) {
        // An older failure may have left the same state: only new events, or the refusal's own words, tie it to this.
        Some(ending) if ending != Ending::Done && (!events.is_empty() || reason.contains(&stack.status)) => {
            let stack = Stack { status_reason: Some(reason), ..stack };
            Ok(Followed { ending, stack: Some(stack), events })
        }
        _ => Err(failure.into()),
    }
}

/// Turns a stack's end into a result.
fn conclude(environment: &Environment, followed: Followed) -> Result<Option<Stack>, Failure> {
    let (exit, kind, what, hint) = match followed.ending {
        Ending::Done => return Ok(followed.stack),
        Ending::RolledBack => (
            Exit::RolledBack,
            "rolled-back",
            "failed and is rolled back; the previous release runs",
            format!("mend the cause, then repeat the command; cargo xtask status {} shows what runs", environment.name),
        ),
        Ending::RolledBackToNothing => (
            Exit::RolledBack,
            "rolled-back",
            "could not be created; what had been created is gone",
            format!("mend the cause, then cargo xtask destroy {} and release again", environment.name),
        ),
        Ending::Stuck => (
            Exit::NeedsHuman,
            "stuck",
            "failed and could not be rolled back",
            format!("cargo xtask status {}; then repeat the command, which names the way out", environment.name),
        ),
    };
    let status = followed.stack.as_ref().map(|stack| stack.status.clone()).unwrap_or_default();
    let failure = Failure::new(exit, kind, format!("stack {} {what} ({status})", environment.stack)).hint(hint);
    let stack_reason = followed.stack.and_then(|stack| stack.status_reason);
    Err(match follow::first_cause(&followed.events) {
        Some(cause) => failure
            .resource(format!("{} ({})", cause.logical_id, cause.resource_type))
            .reason(cause.reason.clone().or(stack_reason).unwrap_or_else(|| cause.status.clone())),
        None => failure
            .resource(format!("stack {}", environment.stack))
            .reason(stack_reason.unwrap_or_else(|| "CloudFormation gave no reason".to_owned())),
    })
}

/// Deletes the environment's stack and follows it to its end. `None` when there was none.
///
/// # Errors
/// A stack that is at work, or that cannot be deleted.
pub(crate) async fn tear_down(
    client: &aws_sdk_cloudformation::Client,
    environment: &Environment,
    stack: &Stack,
    ui: &Ui,
) -> Result<()> {
    let phase = ui.phase("stack");
    let mark = follow::mark(client, &stack.id).await;
    stack::delete(client, stack, &token()).await?;
    ui.still_runs(Some(format!("stack {} is being deleted and goes on without this tool", stack.name)));
    let followed = follow::follow(client, &stack.id, mark, &phase).await?;
    ui.still_runs(None);
    if followed.ending == Ending::Done {
        phase.done(&format!("{} deleted", stack.name));
        return Ok(());
    }
    let cause = follow::first_cause(&followed.events).cloned();
    let status = followed.stack.map(|stack| stack.status).unwrap_or_default();
    let failure = Failure::new(Exit::NeedsHuman, "stuck", format!("stack {} is not deleted ({status})", stack.name))
        .hint(format!("remove what holds it, then cargo xtask destroy {}", environment.name));
    Err(match cause {
        Some(cause) => failure
            .resource(format!("{} ({})", cause.logical_id, cause.resource_type))
            .reason(cause.reason.unwrap_or(cause.status)),
        None => failure.resource(format!("stack {}", stack.name)),
    }
    .into())
}

#[cfg(test)]
mod tests;
