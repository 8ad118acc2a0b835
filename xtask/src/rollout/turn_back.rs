//! Turns an operation back: cancels what is under way, continues what got stuck.

use anyhow::Result;
use config::deployment::Environment;

use super::gate::Gate;
use super::{Doubt, blame, tear_down, token};
use crate::diagnose;
use crate::ui::Ui;
use aws::Clients;
use aws::stack;
use aws::stack::NotBegun;
use aws::stack::Watch;
use aws::stack::events;
use aws::stack::events::Mark;
use aws::stack::follow::Following;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::Stack;
use model::status::Ending;

/// Cancels an update, or deletes a stack that is being created; returns what the stack is then.
///
/// # Errors
/// What AWS says, or a stack that did not come back.
pub(crate) async fn turn_back(clients: &Clients, environment: &Environment, stack: &Stack, ui: &Ui) -> Result<String> {
    if stack.status == "CREATE_IN_PROGRESS" {
        tear_down(clients, environment, stack, ui).await?;
        return Ok("DELETE_COMPLETE".to_owned());
    }
    let (mark, token) = (events::mark(&clients.cloudformation, &stack.id).await, token());
    // Before the call: it may reach AWS also where nobody waits for its answer.
    rolls_back(environment, stack, ui);
    let begun = stack::cancel_update(&clients.cloudformation, stack, &token).await;
    // The update itself may end before it is cancelled.
    back(clients, environment, stack, (mark, Vec::new(), begun), "cancelled", ui).await
}

/// Brings a stack back that stopped half-way; what is in `skip` is given up.
///
/// # Errors
/// What AWS says, or a stack that is stuck again.
pub(crate) async fn recover(
    clients: &Clients,
    environment: &Environment,
    stack: &Stack,
    halted: bool,
    skip: &[String],
    ui: &Ui,
) -> Result<String> {
    let (mark, role) = (events::mark(&clients.cloudformation, &stack.id).await, environment.execution_role.as_deref());
    let token = token();
    rolls_back(environment, stack, ui);
    let begun = if halted {
        stack::rollback(&clients.cloudformation, stack, role, &token).await
    } else {
        stack::continue_rollback(&clients.cloudformation, stack, role, skip, &token).await
    };
    back(clients, environment, stack, (mark, vec![token], begun), "rolled back", ui).await
}

fn rolls_back(environment: &Environment, stack: &Stack, ui: &Ui) {
    ui.still_runs(Some(format!(
        "stack {} is rolling back and goes on without this tool; cargo xtask events {} --follow watches it",
        stack.name, environment.name
    )));
}

/// Follows a stack on its way back.
async fn back(
    clients: &Clients,
    environment: &Environment,
    stack: &Stack,
    (mark, tokens, begun): (Mark, Vec<String>, Result<(), NotBegun>),
    done: &str,
    ui: &Ui,
) -> Result<String> {
    let phase = ui.phase("rollback");
    let doubt = Doubt::of(begun, &phase, ui)?;
    let in_doubt = doubt.exists();
    let watch = Watch { tokens, in_doubt, until_paused: true, ..Watch::of(&stack.id, Some(stack), mark) };
    let watched = Gate::back(clients, ui).watch(&mut Following::new(clients, watch), &phase).await?;
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
        "mend the cause and repeat cargo xtask recover {}; what cannot be brought back is given up with --skip LOGICAL_ID",
        environment.name
    );
    let failure = blame(failure.hint(hint), &stack.name, &followed);
    Err(diagnose::explain(clients, environment, None, &stack.id, &followed, failure).await.into())
}
