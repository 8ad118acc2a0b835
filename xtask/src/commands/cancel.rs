//! `cancel`: cancels the operation in progress.

use anyhow::Result;

use crate::context::Context;
use crate::engine::turn_back;
use crate::session::Session;
use aws::stack;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let stack = stack::describe(&session.clients.cloudformation, &environment.stack).await?;
    let Some(stack) =
        stack.filter(|stack| ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"].contains(&stack.status.as_str()))
    else {
        return Err(Failure::new(
            Exit::Failed,
            FailureKind::NothingToCancel,
            "no operation in progress can be cancelled",
        )
        .resource(format!("stack {}", environment.stack))
        .hint(format!("cargo xtask status {name}"))
        .into());
    };
    if stack.status == "CREATE_IN_PROGRESS" {
        turn_back::check_deletable(environment, &stack)?;
    }
    let question = if stack.status == "CREATE_IN_PROGRESS" {
        format!("Delete stack {}, which is being created?", stack.name)
    } else {
        format!("Cancel the update of stack {} and return to the previous release?", stack.name)
    };
    ui.still_runs(Some(format!(
        "stack {} is {} and continues without this tool; cargo xtask events {name} --follow follows it",
        stack.name, stack.status
    )));
    let agreed = ui.confirm(&question).await;
    if !matches!(agreed, Ok(true)) {
        // This command has started nothing.
        ui.still_runs(None);
    }
    if !agreed? {
        return Err(outcome::declined("the operation continues", format!("stack {}", stack.name)).into());
    }
    let status = turn_back::turn_back(&session, environment, &stack).await?;
    ui.note(|report| report.stack_status = Some(status.clone()));
    ui.result(&format!("stack {} is {status}", environment.stack));
    Ok(())
}
