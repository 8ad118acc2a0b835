//! `status`: what an environment's stack is, and which image it was told to run.

use anyhow::Result;

use crate::context::Context;
use crate::ui::Ui;
use crate::{preflight, stack};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    context.report(|report| {
        report.environment = Some(environment.name.clone());
        report.stack = Some(environment.stack.clone());
    });
    let (clients, identity) = preflight::account(context, environment).await?;
    let stack = stack::describe(&clients.cloudformation, &environment.stack).await?;
    let mut lines = vec![
        ("environment", environment.name.clone()),
        ("account", identity.account),
        ("region", environment.region.clone()),
        ("stack", environment.stack.clone()),
    ];
    let Some(stack) = stack else {
        lines.push(("state", "does not exist".to_owned()));
        print(&lines, ui);
        return Ok(());
    };
    lines.push(("state", stack.status.clone()));
    lines.extend(stack.status_reason.clone().map(|reason| ("reason", reason)));
    lines.extend(stack.updated.clone().map(|updated| ("updated", updated)));
    lines.extend(stack.container_uri().map(|uri| ("image", uri.to_owned())));
    let outputs = stack.outputs.iter().map(|(name, value)| (name.as_str(), value.clone()));
    lines.extend(outputs);
    print(&lines, ui);
    context.report(|report| {
        report.image = stack.container_uri().map(str::to_owned);
        report.digest = stack.container_uri().and_then(|uri| Some(uri.split_once('@')?.1.to_owned()));
        report.stack_status = Some(stack.status.clone());
        report.stack_updated.clone_from(&stack.updated);
        report.outputs = Some(stack.outputs.clone());
    });
    Ok(())
}

fn print(lines: &[(&str, String)], ui: &Ui) {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    ui.result(&lines.join("\n"));
}
