//! `unlock`: remove the lock that is shown, and say whose it was.

use anyhow::Result;

use crate::context::Context;
use crate::session::Session;
use crate::ui::Ui;
use aws::journal::lock;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let Some(held) = lock::current(&clients.ssm, &environment.stack).await? else {
        ui.result("nobody holds it");
        return Ok(());
    };
    let seconds = held.age().as_secs();
    let lives = held.is_alive();
    let state = if lives { "it seems to be at work" } else { "it seems to be dead" };
    ui.line(&format!("held by {}, last heard of {seconds} s ago; {state}", held.holder));
    if !ui.confirm(&format!("Take the lock of stack {} away?", environment.stack)).await? {
        return Err(outcome::declined("the lock was left alone", format!("stack {}", environment.stack)).into());
    }
    if let Some(now) = lock::remove(&clients.ssm, &environment.stack, &held, lives).await? {
        return Err(Failure::new(Exit::Failed, FailureKind::Locked, "the lock changed before it could be removed")
            .resource(format!("stack {}", environment.stack))
            .reason(format!("it is held by {}, last heard of {} s ago", now.holder, now.age().as_secs()))
            .hint(format!("cargo xtask unlock {name} shows it, and asks again"))
            .into());
    }
    ui.note(|report| report.removed = Some(vec![format!("lock of {}", held.holder)]));
    ui.result(&format!("taken away from {}", held.holder));
    Ok(())
}
