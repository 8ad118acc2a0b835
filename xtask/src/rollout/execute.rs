//! Carries a proposal out and watches it to its end.

use anyhow::Result;

use super::conclusion::{conclude, superseded};
use super::{Proposal, Wanted, abandon, token};
use crate::aws::Clients;
use crate::context::Context;
use crate::outcome::Failure;
use crate::stack::change_set;
use crate::stack::follow::{self, Followed, Mark, Watch};
use crate::stack::{self, Stack};
use crate::status::{self, Answer, Ending};
use crate::ui::{Phase, Ui};

/// Executes the proposal and returns the stack that came of it.
///
/// # Errors
/// A stack that failed, with what became of it; or another release that was faster.
pub(crate) async fn execute(
    context: &Context,
    clients: &Clients,
    wanted: &Wanted<'_>,
    proposal: &Proposal,
    phase: Phase<'_>,
    ui: &Ui,
) -> Result<Stack> {
    let (client, set) = (&clients.cloudformation, &proposal.set);
    let environment = wanted.environment;
    let mark = context.interrupt.or(async { Ok(follow::mark(client, &set.stack_id).await) }).await?;
    let work = if proposal.create { "created" } else { "updated" };
    ui.still_runs(Some(format!(
        "stack {} is being {work} and goes on without this tool; the same command follows it, cargo xtask events {name} \
         --follow watches it, cargo xtask cancel {name} takes it back",
        environment.stack,
        name = environment.name
    )));
    // This call is not left in the middle: whether it was sent must be known.
    let executed = change_set::execute(client, set, &token()).await;
    let carry_out = async {
        match executed {
            Ok(()) => {
                let watch = Watch { stack_id: &set.stack_id, before: proposal.before.as_ref(), mark, deleting: false };
                follow::follow(client, watch, &phase).await
            }
            Err(failure) => after_refusal(clients, proposal, mark, failure, &phase, ui).await,
        }
    };
    let followed = context.interrupt.or(carry_out).await?;
    ui.still_runs(None);
    let stack = conclude(environment, followed)?;
    let image = &wanted.image;
    if stack.container_uri() != Some(image.to_string().as_str()) {
        return Err(superseded(&stack, image).into());
    }
    phase.done(&format!("{} {work}", stack.name));
    Ok(stack)
}

/// An execution whose call failed: perhaps nothing happened, perhaps the answer was lost, perhaps the stack is already
/// rolled back. The stack itself tells.
async fn after_refusal(
    clients: &Clients,
    proposal: &Proposal,
    mark: Mark,
    failure: Failure,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Followed> {
    let (client, set) = (&clients.cloudformation, &proposal.set);
    let Ok(Some(stack)) = stack::describe(client, &set.stack_id).await else { return Err(failure.into()) };
    if status::answer(Some(&stack.status)) == Answer::Wait {
        let watch = Watch { stack_id: &set.stack_id, before: proposal.before.as_ref(), mark, deleting: false };
        return follow::follow(client, watch, phase).await;
    }
    ui.still_runs(None);
    let events = mark.since(client, &set.stack_id).await;
    let reason = failure.reason.clone().unwrap_or_default();
    match status::ending(&stack.status) {
        // The answer was lost and the work is done; whose it was is looked at where all endings are.
        Some(Ending::Done) if !events.is_empty() => Ok(Followed { ending: Ending::Done, stack: Some(stack), events }),
        // An older failure may have left the same state: only new events, or the refusal's own words, tie it to this.
        Some(ending) if ending != Ending::Done && (!events.is_empty() || reason.contains(&stack.status)) => {
            let stack = Stack { status_reason: Some(reason), ..stack };
            Ok(Followed { ending, stack: Some(stack), events })
        }
        _ => {
            abandon(client, &set.stack_id, Some(&set.id), proposal.before.is_none()).await;
            Err(failure.into())
        }
    }
}
