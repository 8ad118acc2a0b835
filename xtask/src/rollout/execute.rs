//! Carries a proposal out and watches it to its end.

use std::time::Duration;

use anyhow::Result;
use config::deployment::Environment;

use super::conclusion::{conclude, superseded};
use super::gate::{Asker, Course, Gate};
use super::{Proposal, token};
use crate::aws::{self, Clients};
use crate::context::Context;
use crate::diagnose;
use crate::outcome::{Exit, Failure};
use crate::stack::change_set;
use crate::stack::events::{self, Mark};
use crate::stack::follow::{Followed, Following, Watch};
use crate::stack::{self, Stack};
use crate::status::{self, Answer, Ending};
use crate::template::Template;
use crate::ui::{Phase, Ui};

/// How often a stack is looked at whose execution was asked for without an answer.
const LOOKS: u32 = 5;
/// Pause between these looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Executes the proposal of a release and returns the stack that came of it.
///
/// # Errors
/// A stack that failed, with what became of it and why; or another release that was faster.
pub(crate) async fn execute(
    asker: Asker<'_>,
    clients: &Clients,
    proposal: &Proposal,
    phase: Phase<'_>,
    ui: &Ui,
) -> Result<Stack> {
    let Asker { context, wanted, .. } = asker;
    let gate = Gate::new(clients, asker, proposal.before.as_ref(), ui);
    let stack = carry(context, (wanted.environment, &wanted.template), proposal, gate, &phase).await?;
    let image = &wanted.image;
    if stack.container_uri() != Some(image.to_string().as_str()) {
        return Err(superseded(&stack, image).into());
    }
    phase.done(&format!("{} {}", stack.name, work(proposal)));
    Ok(stack)
}

fn work(proposal: &Proposal) -> &'static str {
    if proposal.create { "created" } else { "updated" }
}

/// Executes the proposal, whatever it is for, and returns the stack that came of it.
///
/// # Errors
/// A stack that failed, with what became of it and why.
pub(crate) async fn bring(
    context: &Context,
    clients: &Clients,
    of: (&Environment, &Template),
    proposal: &Proposal,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Stack> {
    carry(context, of, proposal, Gate::back(clients, ui), phase).await
}

/// Executes the proposal; the gate answers what waits meanwhile.
async fn carry(
    context: &Context,
    (environment, template): (&Environment, &Template),
    proposal: &Proposal,
    mut gate: Gate<'_>,
    phase: &Phase<'_>,
) -> Result<Stack> {
    let (clients, ui) = (gate.clients, gate.ui);
    let (client, set) = (&clients.cloudformation, &proposal.set);
    let mark = match context.interrupt.or(async { Ok(events::mark(client, &set.stack_id).await) }).await {
        Ok(mark) => mark,
        Err(error) => {
            proposal.abandon(client).await;
            return Err(error);
        }
    };
    ui.still_runs(Some(format!(
        "stack {} is being {work} and goes on without this tool; the same command follows it, cargo xtask events {name} \
         --follow watches it, cargo xtask cancel {name} takes it back",
        environment.stack,
        work = work(proposal),
        name = environment.name
    )));
    // This call is not left in the middle: whether it was sent must be known.
    let executed = change_set::execute(client, set, &token()).await;
    let carry_out = async {
        match executed {
            Ok(()) => Box::pin(watch(environment, proposal, mark, &mut gate, phase)).await,
            Err(failure) => Box::pin(after_refusal(environment, proposal, mark, failure, &mut gate, phase)).await,
        }
    };
    let Watched { followed, deleted } = context.interrupt.or(carry_out).await?;
    ui.still_runs(None);
    let gone = followed.stack.as_ref().is_none_or(|stack| stack.status == "DELETE_COMPLETE");
    let concluded = if deleted && gone { Err(given_up(environment)) } else { conclude(environment, &followed) };
    match concluded {
        Ok(stack) => Ok(stack),
        Err(failure) => {
            let explain = diagnose::explain(clients, environment, Some(template), &set.stack_id, &followed, failure);
            Err(gate.explain(explain.await).into())
        }
    }
}

/// How the operation ended, and whether it was given up by deleting the stack.
struct Watched {
    followed: Followed,
    deleted: bool,
}

impl From<Followed> for Watched {
    fn from(followed: Followed) -> Self {
        Self { followed, deleted: false }
    }
}

/// Watches the operation to its end. One that can only fail is turned back where the user wants that.
async fn watch(
    environment: &Environment,
    proposal: &Proposal,
    mark: Mark,
    gate: &mut Gate<'_>,
    phase: &Phase<'_>,
) -> Result<Watched> {
    let (clients, ui) = (gate.clients, gate.ui);
    let watch = Watch::of(&proposal.set.stack_id, proposal.before.as_ref(), mark);
    let mut following = Following::new(clients, Watch { until_hopeless: true, until_paused: true, ..watch });
    let cause = match gate.watch(&mut following, phase).await? {
        Course::Ended(followed) => return Ok(followed.into()),
        Course::Hopeless(cause) => cause,
    };
    let turned = turn(clients, environment, proposal, phase, ui).await?;
    let deleted = turned && proposal.create;
    following.only_ends(cause, deleted);
    let followed = gate.watch(&mut following, phase).await?.ended();
    Ok(Watched { followed, deleted })
}

/// Turns back what can only fail, if the user agrees; says whether it did.
async fn turn(
    clients: &Clients,
    environment: &Environment,
    proposal: &Proposal,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<bool> {
    let (question, what) = if proposal.create {
        (format!("It can only fail. Delete stack {} again?", environment.stack), "the creation")
    } else {
        (format!("It can only fail. Cancel the update of stack {}?", environment.stack), "the update")
    };
    let agreed = ui.must_be_able_to_ask(&question).is_ok() && ui.confirm(&question).await?;
    if !agreed {
        phase.line(&format!("{what} goes on to its own end; cargo xtask cancel {} ends it now", environment.name));
        return Ok(false);
    }
    let client = &clients.cloudformation;
    let stack = Stack { id: proposal.set.stack_id.clone(), name: environment.stack.clone(), ..Stack::default() };
    let turned = if proposal.create {
        stack::delete(client, &stack, environment.execution_role.as_deref(), &token()).await
    } else {
        stack::cancel_update(client, &stack, &token()).await
    };
    match &turned {
        Ok(()) => phase.line(&format!("{what} is cancelled")),
        // Perhaps it failed by itself at this moment; the stack tells.
        Err(error) => phase.line(&format!("{what} cannot be cancelled: {}", Failure::of(error))),
    }
    Ok(turned.is_ok())
}

fn given_up(environment: &Environment) -> Failure {
    let message = format!("stack {} could not be created, and is deleted again", environment.stack);
    Failure::new(Exit::RolledBack, "rolled-back", message).hint("mend the cause, then repeat the command")
}

/// An execution whose call failed: perhaps nothing happened, perhaps the answer was lost, perhaps the stack is already
/// rolled back. The stack itself tells.
async fn after_refusal(
    environment: &Environment,
    proposal: &Proposal,
    mark: Mark,
    failure: Failure,
    gate: &mut Gate<'_>,
    phase: &Phase<'_>,
) -> Result<Watched> {
    let (clients, ui) = (gate.clients, gate.ui);
    let (client, set) = (&clients.cloudformation, &proposal.set);
    // A refusal means that nothing began. After a lost answer the stack may need a moment to show it.
    let refused = aws::is_refusal(&failure);
    let Ok(Some(mut stack)) = stack::describe(client, &set.stack_id).await else { return Err(failure.into()) };
    for _ in 0..if refused { 0 } else { LOOKS } {
        let resting = proposal.before.as_ref().map_or("REVIEW_IN_PROGRESS", |before| &before.status);
        if stack.status != resting {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        stack = stack::describe(client, &set.stack_id).await.ok().flatten().unwrap_or(stack);
    }
    if stack.status != "REVIEW_IN_PROGRESS" && status::answer(Some(&stack.status)) == Answer::Wait {
        return watch(environment, proposal, mark, gate, phase).await;
    }
    ui.still_runs(None);
    let events = mark.since(client, &set.stack_id).await;
    let reason = failure.reason.clone().unwrap_or_default();
    match status::ending(&stack.status) {
        // The answer was lost and the work is done; whose it was is looked at where all endings are.
        Some(Ending::Done) if !events.is_empty() => {
            Ok(Followed { ending: Ending::Done, stack: Some(stack), events, evidence: Vec::new() }.into())
        }
        // An older failure may have left the same state: only new events, or the refusal's own words, tie it to this.
        Some(ending) if ending != Ending::Done && (!events.is_empty() || reason.contains(&stack.status)) => {
            let stack = Stack { status_reason: Some(reason), ..stack };
            Ok(Followed { ending, stack: Some(stack), events, evidence: Vec::new() }.into())
        }
        _ => {
            // A change set that can still be deleted was not executed.
            let idle =
                refused || (!proposal.planned && change_set::discard(client, &set.id, &set.stack_id).await.is_ok());
            if idle {
                proposal.abandon(client).await;
            }
            Err(failure.into())
        }
    }
}
