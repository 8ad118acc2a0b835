//! `iam-policy`: the permissions that this tool's own calls need, for one environment.

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::policy;
use crate::ui::Ui;

pub(super) fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    let policy = policy::policy(&context.deployment.service, environment);
    ui.result(&serde_json::to_string_pretty(&policy).context("a policy is text and lists")?);
    let policy = serde_json::to_value(policy).context("a policy is text and lists")?;
    context.report(|report| {
        report.environment = Some(environment.name.clone());
        report.policy = Some(policy);
    });
    Ok(())
}
