//! `recover`: rolls back a stack whose update or rollback is stuck.

use anyhow::Result;

use crate::context::Context;
use crate::engine::turn_back;
use crate::session::Session;
use aws::stack;
use local::cli::Recover;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::status::{self, Answer, Refusal};

pub(super) async fn run(arguments: &Recover, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let found = stack::describe(&session.clients.cloudformation, &environment.stack).await?;
    let answer = status::answer(found.as_ref().map(|stack| stack.status.as_str()));
    let (stack, halted) = match (found, answer) {
        (Some(stack), Answer::Refuse(Refusal::Halted)) => (stack, true),
        (Some(stack), Answer::Refuse(Refusal::RollbackFailed)) => (stack, false),
        (found, _) => {
            let reason =
                found.map_or_else(|| "it does not exist".to_owned(), |stack| format!("it is {}", stack.status));
            return Err(Failure::new(Exit::Failed, FailureKind::NothingToRecover, "the stack needs no recovery")
                .resource(format!("stack {}", environment.stack))
                .reason(reason)
                .hint(format!("cargo xtask release {}", environment.name))
                .into());
        }
    };
    let skip = &arguments.skip;
    if halted && !skip.is_empty() {
        return Err(Failure::new(Exit::Usage, FailureKind::Skip, "no resource can be skipped")
            .resource(format!("stack {}", stack.name))
            .reason(format!("it is {}; resources can be skipped only after a rollback failed", stack.status))
            .hint(format!("cargo xtask recover {}", environment.name))
            .into());
    }
    let mut question = format!("Roll back stack {}, which is {}", stack.name, stack.status);
    if !skip.is_empty() {
        question.push_str(&format!(", skipping {}", skip.join(", ")));
    }
    if !ui.confirm(&(question + "?")).await? {
        return Err(outcome::declined("the stack was not changed", format!("stack {}", stack.name)).into());
    }
    let status = turn_back::recover(&session, environment, &stack, halted, skip).await?;
    ui.note(|report| report.stack_status = Some(status.clone()));
    ui.result(&format!("stack {} is {status}", environment.stack));
    Ok(())
}
