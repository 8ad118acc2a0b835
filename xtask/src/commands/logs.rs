//! `logs`: the service's log in CloudWatch; with `--follow` also new lines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::commands;
use crate::context::Context;
use crate::session::Session;
use aws::logs as log;
use aws::logs::Follower;
use aws::stack::{self, cause};
use local::cli::Logs;
use local::ui::{Paint, Ui};
use machine::http::jitter;
use model::log::{Entry, Weight, date_and_time, parse};
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Line;
use model::stack::Stack;

/// The template output that names the log group.
const LOG_GROUP_NAME: &str = "LogGroupName";
/// Pause between two polls.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest pause after AWS throttled a call.
const BACK_OFF: Duration = Duration::from_secs(20);
/// Consecutive failed polls after which following ends.
const MAX_FAILURES: u32 = 10;

pub(super) async fn run(arguments: &Logs, context: &Context, ui: &Ui) -> Result<()> {
    match context.interrupt.or(show_logs(arguments, context, ui)).await {
        // An interruption is the normal end of following.
        Err(error) if arguments.follow && Failure::of(&error).exit == Exit::Interrupted => Ok(()),
        other => other,
    }
}

async fn show_logs(arguments: &Logs, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let stack = stack::describe(&session.clients.cloudformation, &environment.stack).await?;
    let stack = stack.ok_or_else(|| commands::events::no_stack(environment))?;
    let group = log_group(&session, &stack).await?;
    let begin = begin(arguments.since);
    let mut printer = Printer::new(arguments.raw, ui);
    let mut lines = log::newest_lines(&session.clients.logs, &group, begin, arguments.limit).await?;
    if !arguments.follow {
        if lines.is_empty() {
            ui.warn(&format!("{group} has no line in this period; --since AGE reads further back"));
        } else {
            ui.text(&lines.iter().map(|line| printer.text(line)).collect::<Vec<_>>().join("\n"));
        }
        ui.note(|report| report.logs = Some(lines));
        return Ok(());
    }
    // Lines before the limit are not shown later either.
    let mut follower = Follower::new(lines.first().map_or(begin, |line| line.millis));
    follower.note(&mut lines);
    lines.iter().for_each(|line| ui.each(line, &printer.text(line)));
    follow_logs(&session, &group, follower, printer).await
}

/// Shows new lines until interrupted.
async fn follow_logs(
    session: &Session<'_>,
    group: &str,
    mut follower: Follower,
    mut printer: Printer<'_>,
) -> Result<()> {
    let ui = session.ui;
    let _wait = ui.waiting(format!("new lines of log group {group}"));
    let mut failures = 0;
    loop {
        tokio::time::sleep(PAUSE).await;
        match follower.fresh(&session.clients.logs, group).await {
            Ok(lines) => {
                failures = 0;
                lines.iter().for_each(|line| ui.each(line, &printer.text(line)));
            }
            Err(failure) if aws::is_throttled(&failure) => tokio::time::sleep(jitter(BACK_OFF)).await,
            Err(failure) if failures + 1 >= MAX_FAILURES || aws::is_denied(&failure) || aws::is_expired(&failure) => {
                return Err(failure.into());
            }
            Err(_) => {
                failures += 1;
                tokio::time::sleep(jitter(BACK_OFF)).await;
            }
        }
    }
}

/// The log group that the stack's output names, or else its first one.
async fn log_group(session: &Session<'_>, stack: &Stack) -> Result<String, Failure> {
    if let Some(group) = stack.outputs.get(LOG_GROUP_NAME) {
        return Ok(group.clone());
    }
    let groups = cause::log_groups(&session.clients, &stack.id).await?;
    groups.into_iter().next().ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::NoLogGroup, format!("stack {} has no log group", stack.name))
            .resource(&session.environment.template)
            .reason(format!("it has neither an output {LOG_GROUP_NAME} nor a resource AWS::Logs::LogGroup"))
            .hint(format!("name the service's log group in an output {LOG_GROUP_NAME} of the template"))
    })
}

/// The start of the log, in milliseconds since 1970.
fn begin(since: Duration) -> i64 {
    let begin = SystemTime::now().checked_sub(since).and_then(|begin| begin.duration_since(UNIX_EPOCH).ok());
    begin.and_then(|begin| i64::try_from(begin.as_millis()).ok()).unwrap_or_default()
}

/// Writes lines as text, each date once.
struct Printer<'a> {
    ui: &'a Ui,
    raw: bool,
    /// That of the last line.
    date: String,
}

impl<'a> Printer<'a> {
    fn new(raw: bool, ui: &'a Ui) -> Self {
        Self { ui, raw, date: String::new() }
    }

    fn text(&mut self, line: &Line) -> String {
        let messages = log::clean(&line.message);
        let Some((date, time)) = date_and_time(&line.time).filter(|_| !self.raw) else {
            let part = |message: &String| format!("{} {} {message}", line.time, line.stream);
            return messages.iter().map(part).collect::<Vec<_>>().join("\n");
        };
        let time = self.ui.paint_result(Paint::Dim, &time);
        let mut parts = match parse(&line.message) {
            Some(entry) => vec![format!("{time} {}", self.entry(&entry))],
            None => messages.iter().map(|message| format!("{time} {message}")).collect(),
        };
        if self.date != date {
            date.clone_into(&mut self.date);
            parts.insert(0, self.ui.paint_result(Paint::Dim, &format!("{date} (UTC)")));
        }
        parts.join("\n")
    }

    fn entry(&self, entry: &Entry) -> String {
        let level = entry.level.as_ref().map(|level| {
            let level = format!("{level:<5}");
            match entry.weight() {
                Weight::Error => self.ui.paint_result(Paint::Red, &level),
                Weight::Warning => self.ui.paint_result(Paint::Yellow, &level),
                Weight::Detail => self.ui.paint_result(Paint::Dim, &level),
                Weight::Normal => level,
            }
        });
        let message = Some(entry.message.clone()).filter(|message| !message.is_empty());
        let fields = entry.fields.join(" ");
        let fields = Some(fields).filter(|fields| !fields.is_empty());
        let fields = fields.map(|fields| self.ui.paint_result(Paint::Dim, &fields));
        level.into_iter().chain(message).chain(fields).collect::<Vec<_>>().join(" ")
    }
}
