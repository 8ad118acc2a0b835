//! `recover`: bring a stack that is stuck half-way back to where it was.

use crate::engine::turn_back;
use anyhow::Result;

use crate::cli::Recover;
use crate::context::Context;
use crate::session::Session;
use crate::ui::Ui;
use aws::stack;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::status;
use model::status::{Answer, Refusal};

pub(super) async fn run(arguments: &Recover, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let found = stack::describe(&clients.cloudformation, &environment.stack).await?;
    let answer = status::answer(found.as_ref().map(|stack| stack.status.as_str()));
    let (stack, halted) = match (found, answer) {
        (Some(stack), Answer::Refuse(Refusal::Halted)) => (stack, true),
        (Some(stack), Answer::Refuse(Refusal::RollbackFailed)) => (stack, false),
        (found, _) => {
            let state = found.map_or_else(|| "not there".to_owned(), |stack| stack.status);
            return Err(Failure::new(Exit::Failed, FailureKind::NothingToRecover, "the stack is not stuck half-way")
                .resource(format!("stack {}", environment.stack))
                .reason(format!("it is {state}"))
                .hint(format!("cargo xtask release {}", environment.name))
                .into());
        }
    };
    let skip = &arguments.skip;
    if halted && !skip.is_empty() {
        return Err(Failure::new(Exit::Usage, FailureKind::Skip, "nothing can be skipped here")
            .resource(format!("stack {}", stack.name))
            .reason(format!("it is {}; only a rollback that got stuck can leave resources out", stack.status))
            .hint(format!("cargo xtask recover {}", environment.name))
            .into());
    }
    let mut question = format!("Roll stack {} back, which is {}", stack.name, stack.status);
    if !skip.is_empty() {
        question.push_str(&format!(", and give up {}", skip.join(", ")));
    }
    if !ui.confirm(&(question + "?")).await? {
        return Err(outcome::declined("the stack was left as it is", format!("stack {}", stack.name)).into());
    }
    let status = turn_back::recover(&session, environment, &stack, halted, skip).await?;
    ui.note(|report| report.stack_status = Some(status.clone()));
    ui.result(&format!("stack {} is {status}", environment.stack));
    Ok(())
}
