//! Brings a stack to an image: change set, consent, execution, the end of it.

mod conclusion;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_sdk_cloudformation::Client;
use config::deployment::Environment;

use crate::aws::Clients;
use crate::context::Context;
use crate::image::ImageReference;
use crate::outcome::{Exit, Failure};
use crate::plan::{self, Value};
use crate::preflight::Ready;
use crate::report::Change;
use crate::stack::change_set::{self, ChangeSet, Prepared, Request};
use crate::stack::events::{self, Mark};
use crate::stack::follow::{self, Followed, Watch};
use crate::stack::{self, Stack};
use crate::status::{self, Answer, Ending};
use crate::ui::{Paint, Phase, Ui};
pub(crate) use conclusion::conclude;
use conclusion::{blame, superseded};

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
    let before = context.interrupt.or(settle(ready, environment, &phase, ui)).await?;
    let create = status::answer(before.as_ref().map(|stack| stack.status.as_str())) == Answer::Create;
    let existing = before.as_ref().filter(|_| !create);
    let names = existing.map(Stack::parameter_names).unwrap_or_default();
    let parameters = plan::parameters(&ready.template, &context.deployment.service, environment, image, &names);
    if let Some(stack) = existing.filter(|stack| !ready.template.is_dynamic && has_all(stack, &parameters))
        && stack::template_body(client, &stack.name).await?.trim() == ready.template.body.trim()
    {
        phase.skipped(&format!("{} is already current", stack.name));
        return Ok(Rolled { change: Change::None, stack: stack.clone() });
    }
    let token = token();
    let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.insert("managed-by".to_owned(), "xtask".to_owned());
    let template = &ready.template;
    let request =
        Request { stack: &environment.stack, create, template, parameters: &parameters, tags: &tags, token: &token };
    let Some((set, mark)) = propose(context, client, environment, &request, &before, &phase, ui).await? else {
        let stack = before.filter(|_| !create);
        let stack = stack.with_context(|| format!("CloudFormation finds nothing to create in {}", template.path))?;
        phase.skipped(&format!("{} is already current", stack.name));
        return Ok(Rolled { change: Change::None, stack });
    };
    let work = if create { "created" } else { "updated" };
    ui.still_runs(Some(format!(
        "stack {} is being {work} and goes on without this tool; the same command follows it",
        environment.stack
    )));
    // This call is not left in the middle: whether it was sent must be known.
    let executed = change_set::execute(client, &set, &token).await;
    let carry_out = async {
        match executed {
            Ok(()) => {
                let watch = Watch {
                    stack_id: &set.stack_id,
                    before: before.as_ref(),
                    mark,
                    deleting: false,
                    until_hopeless: false,
                };
                follow::to_end(&ready.clients, watch, &phase).await
            }
            Err(failure) => after_refusal(&ready.clients, &set, mark, &before, failure, &phase, ui).await,
        }
    };
    let followed = context.interrupt.or(carry_out).await?;
    ui.still_runs(None);
    let stack = conclude(environment, &followed)?;
    if stack.container_uri() != Some(image.to_string().as_str()) {
        return Err(superseded(&stack, image).into());
    }
    phase.done(&format!("{} {work}", stack.name));
    Ok(Rolled { change: if create { Change::Create } else { Change::Update }, stack })
}

/// A change set that was shown, and consented to where that is needed, with the stack's history up to it; `None` where
/// nothing would change.
///
/// Whatever else it ends with, also an interruption, leaves nothing behind.
async fn propose(
    context: &Context,
    client: &Client,
    environment: &Environment,
    request: &Request<'_>,
    before: &Option<Stack>,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Option<(ChangeSet, Mark)>> {
    let set = match context.interrupt.or(change_set::prepare(client, request)).await {
        Ok(Prepared::Ready(set)) => set,
        Ok(Prepared::Empty) => return Ok(None),
        Err(error) => {
            let made = Some(request.token).filter(|_| is_interruption(&error));
            abandon(client, request.stack, made, before).await;
            return Err(error);
        }
    };
    show(&set, phase, ui);
    let consented = async {
        consent(environment, ui).await?;
        Ok(events::mark(client, &set.stack_id).await)
    };
    match context.interrupt.or(consented).await {
        Ok(mark) => Ok(Some((set, mark))),
        Err(error) => {
            abandon(client, &set.stack_id, Some(&set.id), before).await;
            Err(error)
        }
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    Failure::of(error).exit == Exit::Interrupted
}

/// Takes back what was asked for and is not executed: the change set, and the empty stack that a first one makes. What
/// cannot be taken back does no harm, and must not hide why it came to this.
async fn abandon(client: &Client, stack: &str, set: Option<&str>, before: &Option<Stack>) {
    if let Some(set) = set {
        drop(change_set::discard(client, set, stack).await);
    }
    if before.is_none()
        && let Ok(Some(left)) = stack::describe(client, stack).await
        && left.status == "REVIEW_IN_PROGRESS"
    {
        drop(stack::delete(client, &left, &token()).await);
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
                ui.still_runs(Some(format!(
                    "stack {} was {} before this command and goes on; the same command follows it",
                    stack.name, stack.status
                )));
                let mark = events::mark(client, &stack.id).await;
                let deleting = stack.status == "DELETE_IN_PROGRESS";
                let watch = Watch { stack_id: &stack.id, before: Some(&stack), mark, deleting, until_hopeless: false };
                follow::to_end(&ready.clients, watch, phase).await?;
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

/// Asks before a protected environment changes.
async fn consent(environment: &Environment, ui: &Ui) -> Result<()> {
    if !environment.protected || ui.confirm(&question(environment)).await? {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "declined", "the change was declined")
        .resource(format!("stack {}", environment.stack))
        .reason("the stack was not changed")
        .into())
}

/// What is asked before a protected environment changes.
pub(crate) fn question(environment: &Environment) -> String {
    format!("{} is protected. Change stack {} in {}?", environment.name, environment.stack, environment.region)
}

/// An execution whose call failed: perhaps nothing happened, perhaps the answer was lost, perhaps the stack is already
/// rolled back. The stack itself tells.
async fn after_refusal(
    clients: &Clients,
    set: &ChangeSet,
    mark: Mark,
    before: &Option<Stack>,
    failure: Failure,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Followed> {
    let client = &clients.cloudformation;
    let Ok(Some(stack)) = stack::describe(client, &set.stack_id).await else { return Err(failure.into()) };
    if status::answer(Some(&stack.status)) == Answer::Wait {
        let watch =
            Watch { stack_id: &set.stack_id, before: before.as_ref(), mark, deleting: false, until_hopeless: false };
        return follow::to_end(clients, watch, phase).await;
    }
    ui.still_runs(None);
    let events = mark.since(client, &set.stack_id).await;
    let reason = failure.reason.clone().unwrap_or_default();
    match status::ending(&stack.status) {
        // The answer was lost and the work is done; whose it was is looked at where all endings are.
        Some(Ending::Done) if !events.is_empty() => {
            Ok(Followed { ending: Ending::Done, stack: Some(stack), events, evidence: Vec::new() })
        }
        // An older failure may have left the same state: only new events, or the refusal's own words, tie it to this.
        Some(ending) if ending != Ending::Done && (!events.is_empty() || reason.contains(&stack.status)) => {
            let stack = Stack { status_reason: Some(reason), ..stack };
            Ok(Followed { ending, stack: Some(stack), events, evidence: Vec::new() })
        }
        _ => {
            abandon(client, &set.stack_id, Some(&set.id), before).await;
            Err(failure.into())
        }
    }
}

/// Deletes the environment's stack and follows it to its end.
///
/// # Errors
/// A stack that cannot be deleted.
pub(crate) async fn tear_down(clients: &Clients, environment: &Environment, stack: &Stack, ui: &Ui) -> Result<()> {
    let client = &clients.cloudformation;
    let phase = ui.phase("stack");
    let mark = events::mark(client, &stack.id).await;
    ui.still_runs(Some(format!(
        "stack {} is being deleted and goes on without this tool; the same command follows it",
        stack.name
    )));
    if let Err(error) = stack::delete(client, stack, &token()).await {
        ui.still_runs(None);
        return Err(error);
    }
    let watch = Watch { stack_id: &stack.id, before: Some(stack), mark, deleting: true, until_hopeless: false };
    let followed = follow::to_end(clients, watch, &phase).await?;
    ui.still_runs(None);
    let status = followed.stack.as_ref().map_or("DELETE_COMPLETE", |stack| stack.status.as_str());
    if status == "DELETE_COMPLETE" {
        phase.done(&format!("{} deleted", stack.name));
        return Ok(());
    }
    let failure = Failure::new(Exit::NeedsHuman, "stuck", format!("stack {} is not deleted ({status})", stack.name))
        .hint(format!("remove what holds it, then cargo xtask destroy {}", environment.name));
    Err(blame(failure, &stack.name, &followed).into())
}

#[cfg(test)]
mod tests;
