//! `template`: the text that a release would deploy.

use anyhow::Result;
use model::outcome;

use super::diff;
use crate::context::Context;
use crate::session::Session;
use crate::{container_secrets, needs};
use local::ui::Ui;

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let template = diff::template(context, environment)?;
    let environment = &needs::foresee_needs(context, environment, ui).await?.complete()?;
    let session = context.interrupt.or(async { Ok(Session::open(context, environment, ui).await?) }).await?;
    let sent = context.interrupt.or(async { Ok(container_secrets::as_sent(&session, &template).await) }).await?;
    let template = sent.map_err(|problems| outcome::preflight(&problems))?;
    ui.result(template.body.trim_end());
    ui.note(|report| report.template = Some(template.body));
    Ok(())
}
