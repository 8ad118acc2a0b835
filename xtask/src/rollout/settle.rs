//! Brings a stack into a state that something can be deployed into, or says why that is not to be.

use std::collections::BTreeSet;

use anyhow::Result;
use config::deployment::Environment;

use super::gate::{Asker, Gate};
use super::{check_deletable, conclude, tear_down};
use crate::context::Context;
use crate::diagnose;
use crate::ui::Ui;
use aws::Clients;
use aws::stack;
use aws::stack::Watch;
use aws::stack::events;
use aws::stack::follow::Following;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{Resource, Stack};
use model::status;
use model::status::{Answer, Refusal};
use model::{guard, template};

/// What may be done to get there.
#[derive(Clone, Copy)]
pub(crate) struct Manners<'a> {
    /// Follow what is under way to its end.
    pub(crate) follow: bool,
    /// Delete a stack that can only be deleted, if the user agrees.
    pub(crate) recreate: bool,
    /// Precious resources that may be lost.
    pub(crate) allow: &'a [String],
    /// Who answers a deployment that waits for its proof; nobody where nothing may be changed.
    pub(crate) asker: Option<Asker<'a>>,
}

/// The stack once nothing is under way; `None` where there is none, or none any more.
///
/// # Errors
/// States that nothing can be deployed into, with the way out.
pub(crate) async fn settle(
    context: &Context,
    clients: &Clients,
    environment: &Environment,
    mut found: Option<Stack>,
    manners: Manners<'_>,
    ui: &Ui,
) -> Result<Option<Stack>> {
    loop {
        let status = found.as_ref().map(|stack| stack.status.as_str());
        found = match (status::answer(status), found) {
            (Answer::Wait, Some(stack)) if manners.follow => {
                context.interrupt.or(to_its_end(clients, environment, &stack, manners.asker, ui)).await?;
                context.interrupt.or(stack::describe(&clients.cloudformation, &environment.stack)).await?
            }
            (Answer::Wait, Some(stack)) => return Err(busy(&stack, environment).into()),
            (Answer::Recreate, Some(stack)) => {
                let agreed = context.interrupt.or(agree(clients, environment, &stack, manners, ui)).await;
                agreed?;
                context.interrupt.or(tear_down(clients, environment, &stack, ui)).await?;
                None
            }
            (Answer::Refuse(refusal), Some(stack)) => {
                let message = format!("stack {} is {}; nothing can be deployed into it", stack.name, stack.status);
                let failure = earlier(clients, environment, &stack, message).await;
                let mut hint = refusal.hint(&stack.name, &environment.name, &environment.region);
                if refusal == Refusal::RollbackFailed {
                    let stuck = diagnose::stuck_resources(clients, &stack.id).await;
                    let stuck: Vec<String> = stuck.iter().map(|name| format!(" --skip {name}")).collect();
                    hint.push_str(&if stuck.is_empty() { String::new() } else { format!(": here{}", stuck.concat()) });
                }
                return Err(failure.hint(hint).into());
            }
            (_, stack) => return Ok(stack),
        };
    }
}

async fn to_its_end(
    clients: &Clients,
    environment: &Environment,
    stack: &Stack,
    asker: Option<Asker<'_>>,
    ui: &Ui,
) -> Result<()> {
    let phase = ui.phase("waiting");
    phase.line(&format!("{} is {}: waiting for its end", stack.name, stack.status));
    ui.still_runs(Some(format!(
        "stack {} was {} before this command and goes on; the same command follows it",
        stack.name, stack.status
    )));
    let mark = events::mark(&clients.cloudformation, &stack.id).await;
    let deleting = stack.status == "DELETE_IN_PROGRESS";
    let watch = Watch { deleting, until_paused: asker.is_some(), ..Watch::of(&stack.id, Some(stack), mark) };
    // What is under way is only proved by whoever wants the same.
    let asker = asker.filter(|asker| stack.container_uri() == Some(asker.wanted.image.to_string().as_str()));
    let mut gate = match asker {
        Some(asker) => Gate::new(clients, asker, Some(stack), ui),
        None => Gate::back(clients, ui),
    };
    let watched = Box::pin(gate.watch(&mut Following::new(clients, watch), &phase)).await?;
    let followed = watched.ended();
    ui.still_runs(None);
    if gate.has_refused()
        && let Err(failure) = conclude(environment, &followed)
    {
        return Err(gate.explain(failure).into());
    }
    let status = followed.stack.map_or_else(|| "gone".to_owned(), |stack| stack.status);
    phase.done(&format!("{} is {status}", stack.name));
    Ok(())
}

/// Tells why the earlier attempt failed, makes sure that nothing is lost, and asks.
async fn agree(
    clients: &Clients,
    environment: &Environment,
    stack: &Stack,
    manners: Manners<'_>,
    ui: &Ui,
) -> Result<()> {
    let what = format!("stack {} is {}; it can only be deleted and created again", stack.name, stack.status);
    let failure = earlier(clients, environment, stack, what).await;
    let (resources, body) = tokio::try_join!(
        stack::resources(&clients.cloudformation, &stack.id),
        stack::template_body(&clients.cloudformation, &stack.id)
    )?;
    let kept = retained(&resources, &body);
    if !kept.is_empty() {
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let reason = format!("{} would stay behind, and the new stack could not have it", kept.join(", "));
        return Err(Failure { reason: Some(reason), ..failure }
            .hint(format!("look after what is retained, then cargo xtask destroy {}", environment.name))
            .into());
    }
    check_deletable(environment, stack)?;
    if !manners.recreate {
        return Err(failure
            .hint(format!("cargo xtask release {name}, or cargo xtask destroy {name}", name = environment.name))
            .into());
    }
    guard::check_deletion(&stack.name, &resources, manners.allow)?;
    let command = format!("repeat the command with --yes, or: cargo xtask destroy {}", environment.name);
    let cause = failure.reason.as_deref().unwrap_or("an unknown reason");
    let resource = failure.resource.as_deref().unwrap_or(&stack.name);
    ui.warn(&format!("stack {} is {}: {resource} failed: {cause}", stack.name, stack.status));
    let question = format!("Delete stack {} and create it again?", stack.name);
    if ui.must_be_able_to_ask(&question).is_err() {
        return Err(failure.hint(command).into());
    }
    if ui.confirm(&question).await? { Ok(()) } else { Err(failure.hint(command).into()) }
}

/// Resources that deleting the stack would leave behind, by logical id.
fn retained(resources: &[Resource], body: &str) -> BTreeSet<String> {
    let stays = template::retained(body);
    let there = resources.iter().filter(|resource| {
        resource.exists() && (resource.status == "DELETE_SKIPPED" || stays.contains(&resource.logical_id))
    });
    there.map(|resource| resource.logical_id.clone()).collect()
}

/// Why the stack is in its state, from its own history.
async fn earlier(clients: &Clients, environment: &Environment, stack: &Stack, message: String) -> Failure {
    let failure = Failure::new(Exit::NeedsHuman, FailureKind::StackState, message)
        .console(diagnose::console(environment, &stack.id));
    match diagnose::earlier(clients, stack).await {
        Some(cause) => cause.add_to(failure, None),
        None => failure
            .resource(format!("stack {}", stack.name))
            .reason(stack.status_reason.clone().unwrap_or_else(|| "an earlier operation failed".to_owned())),
    }
}

fn busy(stack: &Stack, environment: &Environment) -> Failure {
    Failure::new(Exit::Failed, FailureKind::InProgress, "the stack is at work")
        .resource(format!("stack {}", stack.name))
        .reason(format!("it is {}", stack.status))
        .hint(format!("leave out --no-follow, or watch it with cargo xtask events {} --follow", environment.name))
}
