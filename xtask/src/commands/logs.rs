//! `logs`: what the service has logged to CloudWatch; with `--follow` also what it logs from now on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use config::deployment::Environment;

use crate::cli::Logs;
use crate::commands;
use crate::context::Context;
use crate::session::Session;
use crate::ui::Ui;
use aws::Clients;
use aws::logs as log;
use aws::logs::Follower;
use aws::stack;
use aws::stack::cause;
use machine::http::jitter;
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Line;
use model::stack::Stack;

/// The output under which the templates name their log group.
const LOG_GROUP_NAME: &str = "LogGroupName";
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest that is waited when AWS asks for patience.
const BACK_OFF: Duration = Duration::from_secs(20);
/// Looks in a row that may fail before following ends.
const LOST: u32 = 10;

pub(super) async fn run(arguments: &Logs, context: &Context, ui: &Ui) -> Result<()> {
    match context.interrupt.or(show(arguments, context, ui)).await {
        // Nothing else ends a log that is followed.
        Err(error) if arguments.follow && Failure::of(&error).exit == Exit::Interrupted => Ok(()),
        other => other,
    }
}

async fn show(arguments: &Logs, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let stack = stack::describe(&clients.cloudformation, &environment.stack).await?;
    let stack = stack.ok_or_else(|| commands::events::missing(environment))?;
    let group = group(&clients, environment, &stack).await?;
    let begin = begin(arguments.since);
    let mut lines = log::newest_lines(&clients.logs, &group, begin, arguments.limit).await?;
    if !arguments.follow {
        if lines.is_empty() {
            ui.warn(&format!("{group} has no line that young; --since looks further back"));
        } else {
            ui.result(&lines.iter().map(text).collect::<Vec<_>>().join("\n"));
        }
        ui.note(|report| report.logs = Some(lines));
        return Ok(());
    }
    // What the limit has left out stays out.
    let mut follower = Follower::new(lines.first().map_or(begin, |line| line.millis));
    follower.note(&mut lines);
    lines.iter().for_each(|line| ui.each(line, &text(line)));
    follow(&clients, &group, follower, ui).await
}

/// Shows new lines until it is interrupted.
async fn follow(clients: &Clients, group: &str, mut follower: Follower, ui: &Ui) -> Result<()> {
    let _wait = ui.waiting(format!("new lines of log group {group}"));
    let mut lost = 0;
    loop {
        tokio::time::sleep(PAUSE).await;
        match follower.fresh(&clients.logs, group).await {
            Ok(lines) => {
                lost = 0;
                lines.iter().for_each(|line| ui.each(line, &text(line)));
            }
            Err(failure) if aws::is_throttled(&failure) => tokio::time::sleep(jitter(BACK_OFF)).await,
            Err(failure) if lost + 1 >= LOST || aws::is_denied(&failure) || aws::is_expired(&failure) => {
                return Err(failure.into());
            }
            Err(_) => {
                lost += 1;
                tokio::time::sleep(jitter(BACK_OFF)).await;
            }
        }
    }
}

/// The group that the stack names, or else the first that it has.
async fn group(clients: &Clients, environment: &Environment, stack: &Stack) -> Result<String, Failure> {
    if let Some(group) = stack.outputs.get(LOG_GROUP_NAME) {
        return Ok(group.clone());
    }
    let groups = cause::log_groups(clients, &stack.id).await?;
    groups.into_iter().next().ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::NoLogGroup, format!("stack {} has no log group", stack.name))
            .resource(&environment.template)
            .reason(format!("it has neither an output {LOG_GROUP_NAME} nor a resource AWS::Logs::LogGroup"))
            .hint(format!("name the service's log group in an output {LOG_GROUP_NAME} of the template"))
    })
}

/// Milliseconds since 1970 at which the log is to begin.
fn begin(since: Duration) -> i64 {
    let begin = SystemTime::now().checked_sub(since).and_then(|begin| begin.duration_since(UNIX_EPOCH).ok());
    begin.and_then(|begin| i64::try_from(begin.as_millis()).ok()).unwrap_or_default()
}

fn text(line: &Line) -> String {
    let part = |message: &String| format!("{} {} {message}", line.time, line.stream);
    log::clean(&line.message).iter().map(part).collect::<Vec<_>>().join("\n")
}
