//! `iam-policy`: prints the permissions that this tool's own calls need for an environment.

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::needs::changed_needs;
use local::cli::IamPolicy;
use local::ui::Ui;
use model::policy;

pub(super) fn run(arguments: &IamPolicy, context: &Context, ui: &Ui) -> Result<()> {
    let name = &arguments.environment.environment;
    // For an environment with instances, the policy covers all of them.
    let environment = if name.contains('/') { context.environment(name) } else { context.section(name) }?;
    let changed = changed_needs(context, environment)?;
    let policy = policy::policy(&context.deployment, environment, &changed, arguments.level);
    ui.result(&serde_json::to_string_pretty(&policy).context("a policy is text and lists")?);
    let policy = serde_json::to_value(policy).context("a policy is text and lists")?;
    ui.note(|report| {
        report.environment = Some(environment.name.clone());
        report.policy = Some(policy);
    });
    Ok(())
}
