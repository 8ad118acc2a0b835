//! `status`: the state of an environment's stack, its image, and the releases that can be rolled back to.

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::engine::observe::observe;
use crate::session::Session;
use aws::journal::{self, inputs};
use local::ui::Ui;
use model::history;
use model::record::{Outcome, Record};
use model::report::Release;
use model::stack::Stack;

/// Releases shown as text; `--json` has all.
const SHOWN: usize = 10;

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let (seen, records, (inputs, _)) = tokio::try_join!(
        observe(clients, environment),
        journal::list_releases(&clients.ssm, &environment.stack),
        inputs::stored_hashes(&clients.ssm, &environment.stack)
    )?;
    let mut lines = vec![
        ("environment", environment.name.clone()),
        ("account", session.identity.account.clone()),
        ("region", environment.region.clone()),
        ("stack", environment.stack.clone()),
    ];
    match &seen.stack {
        None => lines.push(("state", "does not exist".to_owned())),
        Some(stack) => {
            lines.push(("state", stack.status.clone()));
            lines.extend(stack.status_reason.clone().map(|reason| ("reason", reason)));
            lines.extend(stack.updated.clone().map(|updated| ("updated", updated)));
            lines.extend(stack.image_uri(environment).map(|uri| ("image", uri.to_owned())));
            if lacks_service(context, environment, stack) {
                lines.push(("service", "none yet: the command before the first release has not succeeded".to_owned()));
            }
            lines.extend(stack.outputs.iter().map(|(name, value)| (name.as_str(), value.clone())));
            note_stack(environment, stack, ui);
        }
    }
    if let Some(held) = &seen.remembered.lock {
        let dead = if held.is_alive() { "" } else { " (stale)" };
        lines.push(("locked by", format!("{}{dead}", held.holder)));
        ui.note(|report| report.locked_by = Some(held.holder.to_string()));
    }
    print_table(&lines, ui);
    let runs = history::StackState::of(environment, seen.stack.as_ref());
    let running = history::running(&records, runs).map(|record| record.number);
    let back = history::rollback_targets(&records, runs).into_iter().filter(|record| inputs.contains(&record.inputs));
    let back: Vec<i64> = back.map(|record| record.number).collect();
    if !records.is_empty() {
        ui.result("\nreleases, newest first:");
    }
    for record in records.iter().take(SHOWN) {
        ui.result(&release_line(record, running, &back));
    }
    let releases = records.into_iter().map(|record| Release {
        running: Some(record.number) == running,
        can_go_back: back.contains(&record.number),
        record,
    });
    ui.note(|report| report.releases = Some(releases.collect()));
    Ok(())
}

/// Whether the first release made everything but the service, as far as the template of the work tree shows that.
fn lacks_service(context: &Context, environment: &Environment, stack: &Stack) -> bool {
    let before = context.template(environment).ok().and_then(|template| template.before);
    before.is_some_and(|before| stack.parameters.get(&before.parameter) == Some(&before.values[1]))
}

fn note_stack(environment: &Environment, stack: &Stack, ui: &Ui) {
    ui.note(|report| {
        report.image = stack.image_uri(environment).map(str::to_owned);
        report.digest = stack.image_uri(environment).and_then(|uri| Some(uri.split_once('@')?.1.to_owned()));
        report.stack_status = Some(stack.status.clone());
        report.stack_updated.clone_from(&stack.updated);
        report.outputs = Some(stack.outputs.clone());
    });
}

/// One release: a mark, its number, time, outcome, image and commit.
fn release_line(record: &Record, running: Option<i64>, back: &[i64]) -> String {
    let mark = match record.number {
        number if Some(number) == running => "runs",
        number if back.contains(&number) => "back",
        _ => "",
    };
    let outcome = match record.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled back",
        Outcome::Unproved => "unverified",
        Outcome::Failed => "failed",
    };
    let digest = record.image.split_once("@sha256:").map_or(record.image.as_str(), |(_, hex)| hex);
    let digest = digest.get(..12).unwrap_or(digest);
    let commit = record.commit.as_deref().map(|commit| format!(", commit {}", commit.get(..12).unwrap_or(commit)));
    let from = record.back_to.map(|number| format!(", rollback to {number}"));
    let (commit, from) = (commit.unwrap_or_default(), from.unwrap_or_default());
    format!("{mark:<4} {:>4}  {}  {outcome:<11}  {digest}{commit}{from}", record.number, record.at)
}

fn print_table(lines: &[(&str, String)], ui: &Ui) {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    ui.result(&lines.join("\n"));
}
