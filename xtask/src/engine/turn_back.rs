//! Turns an operation back or deletes a stack: cancels what is under way, continues what got stuck.

use anyhow::Result;
use aws::stack::events::{self, Mark};
use aws::stack::follow::{self, Followed, Following};
use aws::stack::{self, NotBegun, Watch};
use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::Stack;
use model::status::Ending;

use super::conclusion::blame;
use super::gate::Gate;
use crate::diagnose;
use crate::session::{Session, token};
use local::ui::{Phase, Ui};

/// Cancels an update, or deletes a stack that is being created; returns what the stack is then.
///
/// # Errors
/// What AWS says, or a stack that did not come back.
pub(crate) async fn turn_back(session: &Session<'_>, environment: &Environment, stack: &Stack) -> Result<String> {
    let (clients, ui) = (&session.clients, session.ui);
    if stack.status == "CREATE_IN_PROGRESS" {
        tear_down(session, environment, stack).await?;
        return Ok("DELETE_COMPLETE".to_owned());
    }
    let (mark, token) = (events::mark(&clients.cloudformation, &stack.id).await, token());
    // Before the call: it may reach AWS even if its answer is lost.
    rolls_back(environment, stack, ui);
    let begun = stack::cancel_update(&clients.cloudformation, stack, &token).await;
    // The update itself may end before it is cancelled.
    back(session, environment, stack, (mark, Vec::new(), begun), "cancelled").await
}

/// Brings a stack back that stopped half-way; what is in `skip` is given up.
///
/// # Errors
/// What AWS says, or a stack that is stuck again.
pub(crate) async fn recover(
    session: &Session<'_>,
    environment: &Environment,
    stack: &Stack,
    halted: bool,
    skip: &[String],
) -> Result<String> {
    let (clients, ui) = (&session.clients, session.ui);
    let (mark, role) = (events::mark(&clients.cloudformation, &stack.id).await, environment.execution_role.as_deref());
    let token = token();
    rolls_back(environment, stack, ui);
    let begun = if halted {
        stack::rollback(&clients.cloudformation, stack, role, &token).await
    } else {
        stack::continue_rollback(&clients.cloudformation, stack, role, skip, &token).await
    };
    back(session, environment, stack, (mark, vec![token], begun), "rolled back").await
}

fn rolls_back(environment: &Environment, stack: &Stack, ui: &Ui) {
    ui.still_runs(Some(format!(
        "stack {} is rolling back and goes on without this tool; cargo xtask events {} --follow watches it",
        stack.name, environment.name
    )));
}

/// Follows a stack on its way back.
async fn back(
    session: &Session<'_>,
    environment: &Environment,
    stack: &Stack,
    (mark, tokens, begun): (Mark, Vec<String>, Result<(), NotBegun>),
    done: &str,
) -> Result<String> {
    let (clients, ui) = (&session.clients, session.ui);
    let phase = ui.phase("rollback");
    let doubt = Doubt::of(begun, &phase, ui)?;
    let in_doubt = doubt.exists();
    let watch = Watch { tokens, in_doubt, until_paused: true, ..Watch::of(&stack.id, Some(stack), mark) };
    let watched = Gate::back(session).watch(&mut Following::new(clients, watch), &phase).await?;
    let followed = watched.ended();
    ui.still_runs(None);
    doubt.resolve(&followed)?;
    let status = followed.stack.as_ref().map_or_else(|| "gone".to_owned(), |stack| stack.status.clone());
    if followed.ending == Ending::Done {
        phase.done(&format!("{} had come to its end already: {status}", stack.name));
        return Ok(status);
    }
    if followed.ending == Ending::RolledBack {
        phase.done(&format!("{} is {done}: {status}", stack.name));
        return Ok(status);
    }
    let failure =
        Failure::new(Exit::NeedsHuman, FailureKind::Stuck, format!("stack {} is not back ({status})", stack.name));
    let hint = format!(
        "fix the cause and repeat cargo xtask recover {}; what cannot be brought back is given up with --skip LOGICAL_ID",
        environment.name
    );
    let failure = blame(failure.hint(hint), &stack.name, &followed);
    Err(diagnose::explain(clients, environment, None, &stack.id, &followed, failure).await.into())
}

/// Makes sure that CloudFormation lets the stack be deleted; to be asked before anybody is.
///
/// # Errors
/// Termination protection, with the command that switches it off.
pub(crate) fn check_deletable(environment: &Environment, stack: &Stack) -> Result<(), Failure> {
    if !stack.has_termination_protection {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        FailureKind::TerminationProtection,
        format!("stack {} cannot be deleted", stack.name),
    )
    .resource(format!("stack {}", stack.name))
    .reason("its termination protection is on")
    .hint(stack::unprotect(&stack.name, Some(&environment.region))))
}

/// Deletes the environment's stack and follows it to its end.
///
/// # Errors
/// A stack that cannot be deleted.
pub(crate) async fn tear_down(session: &Session<'_>, environment: &Environment, stack: &Stack) -> Result<()> {
    let (clients, ui) = (&session.clients, session.ui);
    let (client, token) = (&clients.cloudformation, token());
    let phase = ui.phase("stack");
    let mark = events::mark(client, &stack.id).await;
    ui.still_runs(Some(format!(
        "stack {} is being deleted and goes on without this tool; the same command follows it",
        stack.name
    )));
    let role = environment.execution_role.as_deref();
    let doubt = Doubt::of(stack::delete(client, stack, role, &token).await, &phase, ui)?;
    let watch = Watch {
        deleting: true,
        tokens: vec![token],
        in_doubt: doubt.exists(),
        ..Watch::of(&stack.id, Some(stack), mark)
    };
    let followed = follow::to_end(clients, watch, &|step| phase.report(step)).await?;
    ui.still_runs(None);
    doubt.resolve(&followed)?;
    let status = followed.stack.as_ref().map_or("DELETE_COMPLETE", |stack| stack.status.as_str());
    if status == "DELETE_COMPLETE" {
        phase.done(&format!("{} deleted", stack.name));
        return Ok(());
    }
    let failure =
        Failure::new(Exit::NeedsHuman, FailureKind::Stuck, format!("stack {} is not deleted ({status})", stack.name))
            .hint(format!("remove what prevents it, then cargo xtask destroy {}", environment.name));
    let failure = blame(failure, &stack.name, &followed);
    Err(diagnose::explain(clients, environment, None, &stack.id, &followed, failure).await.into())
}

/// The failure of the call, where it is not known whether AWS has taken it.
struct Doubt(Option<Failure>);

impl Doubt {
    /// What a call leaves; the refusal itself where AWS has said so and nothing has begun.
    fn of(begun: Result<(), NotBegun>, phase: &Phase<'_>, ui: &Ui) -> Result<Self, Failure> {
        match begun {
            Ok(()) => Ok(Self(None)),
            Err(NotBegun { failure, in_doubt: true }) => {
                let reason = failure.reason.as_deref().unwrap_or_default();
                phase.line(&format!("no answer, checking whether it has begun: {failure}: {reason}"));
                Ok(Self(Some(failure)))
            }
            Err(NotBegun { failure, in_doubt: false }) => {
                ui.still_runs(None);
                Err(failure)
            }
        }
    }

    fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// The call's failure, if nothing was seen of the operation: the stack is as it was.
    fn resolve(self, followed: &Followed) -> Result<(), Failure> {
        match self.0 {
            Some(failure) if !followed.began => {
                Err(failure.note("the stack is as it was: neither its state nor its events changed"))
            }
            _ => Ok(()),
        }
    }
}
