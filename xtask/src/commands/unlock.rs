//! `unlock`: removes the environment lock after showing its holder.

use anyhow::Result;

use crate::context::Context;
use crate::session::Session;
use aws::journal::lock;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let client = &session.clients.ssm;
    let Some(held) = lock::current(client, &environment.stack).await? else {
        ui.result("the environment is not locked");
        return Ok(());
    };
    let seconds = held.age().as_secs();
    let lives = held.is_alive();
    let state = if lives { "its holder seems to be active" } else { "its holder seems to have stopped" };
    ui.line(&format!("held by {}, last heartbeat {seconds} s ago; {state}", held.holder));
    if !ui.confirm(&format!("Remove the lock of stack {}?", environment.stack)).await? {
        return Err(outcome::declined("the lock was not removed", format!("stack {}", environment.stack)).into());
    }
    if let Some(now) = lock::remove(client, &environment.stack, &held, lives).await? {
        return Err(Failure::new(Exit::Failed, FailureKind::Locked, "the lock changed before it could be removed")
            .resource(format!("stack {}", environment.stack))
            .reason(format!("it is now held by {}, last heartbeat {} s ago", now.holder, now.age().as_secs()))
            .hint(format!("cargo xtask unlock {name} shows it and asks again"))
            .into());
    }
    ui.note(|report| report.removed = Some(vec![format!("lock of {}", held.holder)]));
    ui.result(&format!("removed the lock of {}", held.holder));
    Ok(())
}
