//! `status`: the state of an environment's stack, its image, and the releases that can be rolled back to.

use std::collections::BTreeSet;

use anyhow::Result;
use config::deployment::Environment;
use time::OffsetDateTime;

use crate::context::Context;
use crate::engine::observe::observe;
use crate::engine::verify;
use crate::session::Session;
use aws::ecs::{self, Service};
use aws::journal::{self, inputs};
use aws::stack::cause::SERVICE_TYPE;
use aws::{Clients, stack};
use local::smoke::shown_url;
use local::ui::Ui;
use model::age::with_age;
use model::history;
use model::record::{Outcome, Record};
use model::report::{Difference, Release, Tasks};
use model::stack::Stack;

/// Releases shown as text; `--verbose` shows more, `--json` has all.
const SHOWN: usize = 3;
const SHOWN_VERBOSE: usize = 10;

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
    let (tasks, difference) =
        tokio::join!(tasks(clients, seen.stack.as_ref()), difference(clients, &environment.stack, &records, &inputs));
    let now = OffsetDateTime::now_utc();
    let mut lines = vec![("environment", environment.name.clone()), ("stack", environment.stack.clone())];
    if ui.is_verbose() {
        lines.push(("account", session.identity.account.clone()));
        lines.push(("region", environment.region.clone()));
        lines.push(("caller", session.identity.arn.clone()));
        lines.extend(seen.stack.as_ref().map(|stack| ("arn", stack.id.clone())));
    }
    let runs = history::StackState::of(environment, seen.stack.as_ref());
    let running = history::running(&records, runs);
    match &seen.stack {
        None => lines.push(("state", "does not exist".to_owned())),
        Some(stack) => {
            let since = stack.updated.as_ref().map(|at| format!(", {}", with_age(at, now)));
            lines.push(("state", format!("{}{}", stack.status, since.unwrap_or_default())));
            lines.extend(stack.status_reason.clone().map(|reason| ("reason", reason)));
            lines.extend(image_line(environment, stack, running, ui).map(|image| ("image", image)));
            if lacks_service(context, environment, stack) {
                lines.push(("service", "none yet: the command before the first release has not succeeded".to_owned()));
            }
            lines.extend(tasks.line.map(|line| ("tasks", line)));
            lines.extend(verify::base_url(environment, stack, None).ok().map(|url| ("url", shown_url(&url))));
            note_stack(environment, stack, ui);
        }
    }
    if let Some(last) = records.first() {
        lines.push(("release", last_release(last, now)));
        lines.extend(
            last.cause.as_ref().map(|cause| ("cause", cause.split('\n').next().unwrap_or_default().to_owned())),
        );
        lines.extend(difference.as_ref().map(|difference| ("changed", difference.to_string())));
    }
    if let Some(held) = &seen.remembered.lock {
        let dead = if held.is_alive() { "" } else { " (stale)" };
        lines.push(("locked by", format!("{}{dead}", held.holder)));
        ui.note(|report| report.locked_by = Some(held.holder.to_string()));
    }
    let back = history::rollback_targets(&records, runs).into_iter().filter(|record| inputs.contains(&record.inputs));
    let back: Vec<i64> = back.map(|record| record.number).collect();
    let go_back = back.first().map(|number| format!("cargo xtask rollback {} {number}", environment.name));
    if seen.stack.is_some() {
        let none = || "not possible: no other successful release is recorded".to_owned();
        lines.push(("go back", go_back.clone().unwrap_or_else(none)));
    }
    if ui.is_verbose() {
        let outputs = seen.stack.iter().flat_map(|stack| &stack.outputs);
        lines.extend(outputs.map(|(name, value)| (name.as_str(), value.clone())));
    }
    print_table(&lines, ui);
    let running = running.map(|record| record.number);
    if !records.is_empty() {
        ui.text("\nreleases, newest first:");
    }
    for record in records.iter().take(if ui.is_verbose() { SHOWN_VERBOSE } else { SHOWN }) {
        ui.text(&release_line(record, running, &back));
    }
    let releases = records.into_iter().map(|record| Release {
        running: Some(record.number) == running,
        can_go_back: back.contains(&record.number),
        record,
    });
    ui.note(|report| {
        report.releases = Some(releases.collect());
        report.tasks = tasks.known;
        report.difference = difference;
        report.go_back = go_back;
    });
    Ok(())
}

/// The tasks of a stack.
#[derive(Default)]
struct StackTasks {
    known: Option<Tasks>,
    /// As text; `None` for a stack without a service.
    line: Option<String>,
}

/// The tasks of a stack's services. A call that fails leaves them unknown.
async fn tasks(clients: &Clients, stack: Option<&Stack>) -> StackTasks {
    let Some(stack) = stack else { return StackTasks::default() };
    let unknown = || StackTasks { known: None, line: Some("unknown".to_owned()) };
    let Ok(resources) = stack::resources(&clients.cloudformation, &stack.id).await else { return unknown() };
    let services = resources.iter().filter(|resource| resource.resource_type == SERVICE_TYPE && resource.exists());
    let services: Vec<Service> =
        services.filter_map(|service| Service::of_arn(service.physical_id.as_deref()?)).collect();
    if services.is_empty() {
        return StackTasks::default();
    }
    let mut sum = Tasks::default();
    for service in &services {
        let Ok(Some(tasks)) = ecs::task_counts(&clients.ecs, service).await else {
            return running(clients, &services).await.unwrap_or_else(unknown);
        };
        sum.running += tasks.running;
        sum.desired += tasks.desired;
    }
    StackTasks { known: Some(sum), line: Some(format!("{} of {} running", sum.running, sum.desired)) }
}

/// The tasks of services that cannot be read themselves, as with an emulator; `None` if the tasks cannot be either.
async fn running(clients: &Clients, services: &[Service]) -> Option<StackTasks> {
    let mut count = 0;
    for service in services {
        count += ecs::tasks(&clients.ecs, service, false).await.ok()?.len();
    }
    Some(StackTasks { known: None, line: Some(format!("{count} running; how many are wanted is not known")) })
}

/// What the newest release changed; `None` where that cannot be read.
async fn difference(
    clients: &Clients,
    stack: &str,
    records: &[Record],
    stored: &BTreeSet<String>,
) -> Option<Difference> {
    let newest = records.first()?;
    let before = history::succeeded(records).find(|record| record.number < newest.number)?;
    let (template, parameters, variables) = if newest.inputs == before.inputs {
        (false, Vec::new(), Vec::new())
    } else if stored.contains(&newest.inputs) && stored.contains(&before.inputs) {
        let read = |hash| inputs::read_inputs(&clients.ssm, stack, hash);
        let (new, old) = tokio::try_join!(read(&newest.inputs), read(&before.inputs)).ok()?;
        new.difference(&old)
    } else {
        return None;
    };
    Some(Difference { since: before.number, image: newest.image != before.image, template, parameters, variables })
}

/// The image that the stack names, short unless `--verbose`, with its commit where that is recorded.
fn image_line(environment: &Environment, stack: &Stack, running: Option<&Record>, ui: &Ui) -> Option<String> {
    let uri = stack.image_uri(environment)?;
    let digest = stack.image(environment).and_then(|image| image.digest);
    let image = match &digest {
        Some(digest) if !ui.is_verbose() => ui.shown(digest.as_str()),
        _ => uri.to_owned(),
    };
    let commit = running.and_then(|record| record.commit.as_deref());
    Some(format!("{image}{}", commit.map(|commit| format!(", commit {}", short(commit))).unwrap_or_default()))
}

/// The newest release: its number, time, outcome and who released.
fn last_release(last: &Record, now: OffsetDateTime) -> String {
    // The part of an ARN behind the account.
    let by = last.by.rsplit(':').next().unwrap_or(&last.by);
    format!("{}, {}, {}, by {by}", last.number, with_age(&last.at, now), outcome(last))
}

fn outcome(record: &Record) -> &'static str {
    match record.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled back",
        Outcome::Unproved => "unverified",
        Outcome::Failed => "failed",
    }
}

/// The first twelve characters of a commit or digest.
fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
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
    let outcome = outcome(record);
    let digest = record.image.split_once("@sha256:").map_or(record.image.as_str(), |(_, hex)| hex);
    let digest = short(digest);
    let commit = record.commit.as_deref().map(|commit| format!(", commit {}", short(commit)));
    let from = record.back_to.map(|number| format!(", rollback to {number}"));
    let (commit, from) = (commit.unwrap_or_default(), from.unwrap_or_default());
    format!("{mark:<4} {:>4}  {}  {outcome:<11}  {digest}{commit}{from}", record.number, record.at)
}

fn print_table(lines: &[(&str, String)], ui: &Ui) {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    ui.text(&lines.join("\n"));
}
