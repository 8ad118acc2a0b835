//! `unlock`: take the lock away from whoever holds it, and say from whom.

use anyhow::Result;

use super::release;
use crate::context::Context;
use crate::journal::lock;
use crate::outcome;
use crate::preflight;
use crate::ui::Ui;

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    release::note(context, environment);
    let (clients, _) = preflight::account(context, environment).await?;
    let Some(held) = lock::look(&clients.ssm, &environment.stack).await? else {
        ui.result("nobody holds it");
        return Ok(());
    };
    let seconds = held.age().as_secs();
    let lives = if held.lives() { "it seems to be at work" } else { "it seems to be dead" };
    ui.line(&format!("held by {}, last heard of {seconds} s ago; {lives}", held.holder));
    if !ui.confirm(&format!("Take the lock of stack {} away?", environment.stack)).await? {
        return Err(outcome::declined("the lock was left alone", format!("stack {}", environment.stack)).into());
    }
    lock::drop_lock(&clients.ssm, &environment.stack).await?;
    context.report(|report| report.removed = Some(vec![format!("lock of {}", held.holder)]));
    ui.result(&format!("taken away from {}", held.holder));
    Ok(())
}
