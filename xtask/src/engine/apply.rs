//! Executes a proposal and follows it to its end.

use anyhow::Result;
use aws::Clients;
use aws::stack::events::{self, Mark};
use aws::stack::follow::{Followed, Following};
use aws::stack::{self, NotBegun, Watch, change_set};
use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{Stack, texts};
use model::status::{self, Answer, Ending};

use super::Operation;
use super::conclusion::{conclude, superseded};
use super::gate::{Course, Gate};
use super::plan::Proposal;
use crate::diagnose;
use crate::session::token;
use local::ui::{Phase, Ui};

impl Operation<'_> {
    /// Executes the proposal and returns the stack that came of it; the gate answers deployments that wait meanwhile.
    ///
    /// # Errors
    /// A stack that failed, with what became of it and why; or another release that was faster.
    pub(super) async fn execute(&self, proposal: &Proposal, phase: Phase<'_>) -> Result<Stack> {
        let gate = match self.release {
            Some(_) => Gate::new(self, proposal.before.as_ref()),
            None => Gate::back(self.session),
        };
        let stack = self.follow(proposal, gate, &phase).await?;
        let runs = stack.image(self.desired.environment);
        if let Some(image) = self.desired.image.as_ref().filter(|image| runs.as_ref() != Some(image)) {
            return Err(superseded(self.desired.environment, &stack, image).into());
        }
        phase.done(&format!("{} {}", stack.name, work(proposal)));
        Ok(stack)
    }

    pub(super) async fn follow(&self, proposal: &Proposal, mut gate: Gate<'_>, phase: &Phase<'_>) -> Result<Stack> {
        let (clients, ui, interrupt) = (self.clients(), self.ui(), &self.session.context.interrupt);
        let environment = self.desired.environment;
        let (client, set) = (&clients.cloudformation, &proposal.set);
        let mark = match interrupt.or(async { Ok(events::mark(client, &set.stack_id).await) }).await {
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
        let token = token();
        // This call is not left in the middle: whether it was sent must be known.
        let executed = change_set::execute(client, set, &token, interrupt).await;
        if let Err(NotBegun { failure, in_doubt: false }) = &executed
            && failure.exit == Exit::Interrupted
        {
            ui.still_runs(None);
            proposal.abandon(client).await;
            return Err(failure.clone().into());
        }
        let execution = Execution { environment, proposal, mark, token: Some(token), in_doubt: false };
        let carry_out = async {
            match executed {
                Ok(()) => Box::pin(watch(execution, &mut gate, phase)).await,
                Err(NotBegun { failure, in_doubt: true }) => {
                    let execution = Execution { in_doubt: true, ..execution };
                    Box::pin(after_loss(execution, failure, &mut gate, phase)).await
                }
                Err(NotBegun { failure, in_doubt: false }) => {
                    Box::pin(after_refusal(execution, failure, &mut gate, phase)).await
                }
            }
        };
        let Watched { followed, deleted } = interrupt.or(carry_out).await?;
        ui.still_runs(None);
        if !followed.began {
            return Err(unseen(environment).into());
        }
        let gone = followed.stack.as_ref().is_none_or(|stack| stack.status == "DELETE_COMPLETE");
        let concluded = if deleted && gone { Err(given_up(environment)) } else { conclude(environment, &followed) };
        match concluded {
            Ok(stack) => Ok(stack),
            Err(failure) => {
                let explain = diagnose::explain(
                    clients,
                    environment,
                    Some(&self.desired.template),
                    &set.stack_id,
                    &followed,
                    failure,
                );
                Err(gate.explain(explain.await).into())
            }
        }
    }
}

fn work(proposal: &Proposal) -> &'static str {
    if proposal.create { "created" } else { "updated" }
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

/// An execution that was asked for.
struct Execution<'a> {
    environment: &'a Environment,
    proposal: &'a Proposal,
    mark: Mark,
    /// The token of the call; `None` where another run's operation is watched.
    token: Option<String>,
    /// Whether AWS's answer was lost.
    in_doubt: bool,
}

/// Watches the operation to its end. One that can only fail is turned back where the user wants that.
async fn watch(execution: Execution<'_>, gate: &mut Gate<'_>, phase: &Phase<'_>) -> Result<Watched> {
    let Execution { environment, proposal, mark, token, in_doubt } = execution;
    let (clients, ui) = (gate.clients, gate.ui);
    let watch = Watch::of(&proposal.set.stack_id, proposal.before.as_ref(), mark);
    phase.changes(proposal.set.changes.iter().map(|change| change.logical_id.clone()));
    // What another run began is neither proved nor turned back here.
    let ours = token.is_some();
    let tokens = token.into_iter().collect();
    let watch = Watch { tokens, in_doubt, until_hopeless: ours, until_paused: ours, ..watch };
    let mut following = Following::new(clients, watch);
    let cause = match gate.watch(&mut following, phase).await? {
        Course::Ended(followed) => return Ok(followed.into()),
        Course::Hopeless(cause) => cause,
    };
    let turned = turn(clients, environment, proposal, phase, ui).await?;
    let deleted = turned.is_some() && proposal.create;
    following.only_ends(cause, turned, deleted);
    let followed = gate.watch(&mut following, phase).await?.ended();
    Ok(Watched { followed, deleted })
}

/// Turns back what can only fail, if the user agrees; the token of the call that did.
async fn turn(
    clients: &Clients,
    environment: &Environment,
    proposal: &Proposal,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Option<String>> {
    let (question, what) = if proposal.create {
        (format!("It can only fail. Delete stack {} again?", environment.stack), "the creation")
    } else {
        (format!("It can only fail. Cancel the update of stack {}?", environment.stack), "the update")
    };
    let agreed = ui.require_confirmation_possible(&question).is_ok() && ui.confirm(&question).await?;
    if !agreed {
        phase.line(&format!("{what} goes on to its own end; cargo xtask cancel {} ends it now", environment.name));
        return Ok(None);
    }
    let (client, token) = (&clients.cloudformation, token());
    let stack = Stack { id: proposal.set.stack_id.clone(), name: environment.stack.clone(), ..Stack::default() };
    let turned = if proposal.create {
        stack::delete(client, &stack, environment.execution_role.as_deref(), &token).await
    } else {
        stack::cancel_update(client, &stack, &token).await
    };
    match turned {
        Ok(()) => phase.line(&format!("{what} is cancelled")),
        Err(NotBegun { failure, in_doubt: true }) => {
            phase.line(&format!("whether {what} is cancelled is not known, the stack's end will show it: {failure}"));
        }
        // Perhaps it failed by itself at this moment; its end shows that.
        Err(NotBegun { failure, in_doubt: false }) => {
            let reason = failure.reason.as_deref().unwrap_or_default();
            phase.line(&format!("{what} cannot be cancelled: {failure}: {reason}"));
            return Ok(None);
        }
    }
    Ok(Some(token))
}

fn given_up(environment: &Environment) -> Failure {
    let message = format!("stack {} could not be created, and is deleted again", environment.stack);
    Failure::new(Exit::RolledBack, FailureKind::RolledBack, message).hint("fix the cause, then repeat the command")
}

/// AWS accepted the execution, and shows nothing of it.
fn unseen(environment: &Environment) -> Failure {
    let name = &environment.name;
    Failure::new(
        Exit::NeedsHuman,
        FailureKind::NotSeen,
        format!("stack {} shows no sign of the change", environment.stack),
    )
    .resource(format!("stack {}", environment.stack))
    .reason("AWS accepted the execution of the change set, but neither the stack's state nor its events changed")
    .hint(format!("cargo xtask events {name} --follow shows what happens; then repeat the command"))
}

/// An execution whose answer was lost: the stack's state and events show whether it has begun. Only a change set that still
/// waits, after the time for which AWS may show what was before, proves that it has not.
async fn after_loss(
    execution: Execution<'_>,
    failure: Failure,
    gate: &mut Gate<'_>,
    phase: &Phase<'_>,
) -> Result<Watched> {
    let Execution { environment, proposal, .. } = execution;
    let (client, set, ui) = (&gate.clients.cloudformation, &proposal.set, gate.ui);
    let reason = failure.reason.as_deref().unwrap_or_default();
    phase.line(&format!("no answer to the execution, checking whether it has begun: {reason}"));
    ui.still_runs(Some(format!(
        "whether stack {} is being {} is not known; cargo xtask events {} --follow shows it",
        environment.stack,
        work(proposal),
        environment.name
    )));
    let watched = watch(execution, gate, phase).await?;
    if watched.followed.began {
        return Ok(watched);
    }
    if let Ok(change_set::Availability::Available { .. }) =
        change_set::availability(client, &set.stack_id, &set.id, &environment.image_parameter).await
    {
        ui.still_runs(None);
        proposal.abandon(client).await;
        return Err(failure.note("it was not executed: the change set still waited").into());
    }
    Err(failure.into())
}

/// An execution that AWS has refused, so that nothing of ours has begun. But another release may have, and some failures
/// of a stack come only so.
async fn after_refusal(
    execution: Execution<'_>,
    failure: Failure,
    gate: &mut Gate<'_>,
    phase: &Phase<'_>,
) -> Result<Watched> {
    let Execution { proposal, .. } = execution;
    let (client, set, ui) = (&gate.clients.cloudformation, &proposal.set, gate.ui);
    let described = stack::describe(client, &set.stack_id).await;
    let Ok(Some(stack)) = described else {
        ui.still_runs(None);
        proposal.abandon(client).await;
        return Err(failure.into());
    };
    if stack.status != "REVIEW_IN_PROGRESS" && status::answer(Some(&stack.status)) == Answer::Wait {
        return watch(Execution { token: None, ..execution }, gate, phase).await;
    }
    ui.still_runs(None);
    let events = execution.mark.since(client, &set.stack_id).await;
    let reason = failure.reason.clone().unwrap_or_default();
    match status::ending(&stack.status) {
        // An older failure may have left the same state: only new events, or the refusal's own words, tie it to this.
        Some(ending)
            if ending != Ending::Done && (!events.is_empty() || texts::names_status(&reason, &stack.status)) =>
        {
            let stack = Stack { status_reason: Some(reason), ..stack };
            Ok(Followed { ending, began: true, stack: Some(stack), events, evidence: Vec::new() }.into())
        }
        _ => {
            proposal.abandon(client).await;
            Err(failure.into())
        }
    }
}
