//! Gets a stack into a state that something can be deployed into, or says why that cannot be.

use std::collections::BTreeSet;

use anyhow::Result;
use aws::stack::follow::Following;
use aws::stack::{self, Watch, events};
use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{Resource, Stack};
use model::status::{self, Answer, Refusal};
use model::{guard, template};

use super::Operation;
use super::conclusion::conclude;
use super::gate::Gate;
use super::observe::Observed;
use super::turn_back::{check_deletable, tear_down};
use crate::diagnose;
use crate::session::Session;

impl Operation<'_> {
    /// What is observed once nothing is under way; no stack where there is none, or none any more. With `recreate` a stack
    /// that can only be deleted is deleted, if the user agrees; with `verify` a deployment under way of the same image that
    /// waits for its proof is proved.
    ///
    /// # Errors
    /// States that nothing can be deployed into, with the way out.
    pub(crate) async fn settle(&mut self, observed: &Observed, recreate: bool, verify: bool) -> Result<Observed> {
        let (environment, interrupt) = (self.desired.environment, &self.session.context.interrupt);
        let clients = self.clients();
        let mut found = observed.stack.clone();
        loop {
            let status = found.as_ref().map(|stack| stack.status.as_str());
            found = match (status::answer(status), found) {
                (Answer::Wait, Some(stack)) if !self.conduct.no_follow => {
                    interrupt.or(self.to_its_end(&stack, verify)).await?;
                    interrupt.or(stack::describe(&clients.cloudformation, &environment.stack)).await?
                }
                (Answer::Wait, Some(stack)) => return Err(busy(&stack, environment).into()),
                (Answer::Recreate, Some(stack)) => {
                    interrupt.or(self.agree(&stack, recreate)).await?;
                    interrupt.or(tear_down(self.session, environment, &stack)).await?;
                    None
                }
                (Answer::Refuse(refusal), Some(stack)) => return Err(self.refused(&stack, refusal).await.into()),
                (_, stack) => {
                    if stack != observed.stack {
                        self.desired.observe(stack.as_ref());
                    }
                    return Ok(observed.with(stack));
                }
            };
        }
    }

    async fn refused(&self, stack: &Stack, refusal: Refusal) -> Failure {
        let environment = self.desired.environment;
        let message = format!("stack {} is {}; nothing can be deployed into it", stack.name, stack.status);
        let failure = earlier_failure(self.session, environment, stack, message).await;
        let mut hint = refusal.hint(&stack.name, &environment.name, &environment.region);
        if refusal == Refusal::RollbackFailed {
            let stuck = diagnose::stuck_resources(self.clients(), &stack.id).await;
            let stuck: Vec<String> = stuck.iter().map(|name| format!(" --skip {name}")).collect();
            hint.push_str(&if stuck.is_empty() { String::new() } else { format!(": here{}", stuck.concat()) });
        }
        failure.hint(hint)
    }

    async fn to_its_end(&self, stack: &Stack, verify: bool) -> Result<()> {
        let (clients, ui) = (self.clients(), self.ui());
        let phase = ui.phase("waiting");
        phase.line(&format!("{} is {}: waiting for its end", stack.name, stack.status));
        ui.still_runs(Some(format!(
            "stack {} was {} before this command and goes on; the same command follows it",
            stack.name, stack.status
        )));
        let mark = events::mark(&clients.cloudformation, &stack.id).await;
        let deleting = stack.status == "DELETE_IN_PROGRESS";
        let can_verify = verify && self.release.is_some();
        let watch = Watch { deleting, until_paused: can_verify, ..Watch::of(&stack.id, Some(stack), mark) };
        // What is under way is only proved by a command that desires the same.
        let same = self.desired.image.is_some() && stack.image(self.desired.environment) == self.desired.image;
        let mut gate = if can_verify && same { Gate::new(self, Some(stack)) } else { Gate::back(self.session) };
        let watched = Box::pin(gate.watch(&mut Following::new(clients, watch), &phase)).await?;
        let followed = watched.ended();
        ui.still_runs(None);
        if gate.has_refused()
            && let Err(failure) = conclude(self.desired.environment, &followed)
        {
            return Err(gate.explain(failure).into());
        }
        let status = followed.stack.map_or_else(|| "gone".to_owned(), |stack| stack.status);
        phase.done(&format!("{} is {status}", stack.name));
        Ok(())
    }

    /// Says why the earlier attempt failed, makes sure that nothing is lost, and asks.
    async fn agree(&self, stack: &Stack, recreate: bool) -> Result<()> {
        let (environment, client, ui) = (self.desired.environment, &self.clients().cloudformation, self.ui());
        let what = format!("stack {} is {}; it can only be deleted and created again", stack.name, stack.status);
        let failure = earlier_failure(self.session, environment, stack, what).await;
        let (resources, body) =
            tokio::try_join!(stack::resources(client, &stack.id), stack::template_body(client, &stack.id))?;
        let kept = retained(&resources, &body);
        if !kept.is_empty() {
            let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
            let reason = format!("{} would stay behind, and the new stack could not have it", kept.join(", "));
            return Err(Failure { reason: Some(reason), ..failure }
                .hint(format!("take care of what is retained, then cargo xtask destroy {}", environment.name))
                .into());
        }
        check_deletable(environment, stack)?;
        if !recreate {
            return Err(failure
                .hint(format!("cargo xtask release {name}, or cargo xtask destroy {name}", name = environment.name))
                .into());
        }
        guard::check_deletion(&stack.name, &resources, &self.conduct.allow)?;
        let command = format!("repeat the command with --yes, or: cargo xtask destroy {}", environment.name);
        let cause = failure.reason.as_deref().unwrap_or("an unknown reason");
        let resource = failure.resource.as_deref().unwrap_or(&stack.name);
        ui.warn(&format!("stack {} is {}: {resource} failed: {cause}", stack.name, stack.status));
        let question = format!("Delete stack {} and create it again?", stack.name);
        if ui.require_confirmation_possible(&question).is_err() {
            return Err(failure.hint(command).into());
        }
        if ui.confirm(&question).await? { Ok(()) } else { Err(failure.hint(command).into()) }
    }
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
async fn earlier_failure(session: &Session<'_>, environment: &Environment, stack: &Stack, message: String) -> Failure {
    let failure = Failure::new(Exit::NeedsHuman, FailureKind::StackState, message)
        .console(diagnose::console(environment, &stack.id));
    match diagnose::earlier_cause(&session.clients, stack).await {
        Some(cause) => cause.add_to(failure, None),
        None => failure
            .resource(format!("stack {}", stack.name))
            .reason(stack.status_reason.clone().unwrap_or_else(|| "an earlier operation failed".to_owned())),
    }
}

fn busy(stack: &Stack, environment: &Environment) -> Failure {
    Failure::new(Exit::Failed, FailureKind::InProgress, "an operation of the stack is in progress")
        .resource(format!("stack {}", stack.name))
        .reason(format!("it is {}", stack.status))
        .hint(format!("leave out --no-follow, or watch it with cargo xtask events {} --follow", environment.name))
}
