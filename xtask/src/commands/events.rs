//! `events`: the events of a stack; with `--follow` until the operation in progress has ended.

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::diagnose;
use crate::engine::conclusion;
use crate::session::Session;
use aws::stack::events::{self, Mark};
use aws::stack::follow::{Followed, Following, Watched};
use aws::stack::{self, Watch};
use local::cli::Events;
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{Event, Stack};
use model::status;

pub(super) async fn run(arguments: &Events, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let client = &session.clients.cloudformation;
    let stack = stack::describe(client, &environment.stack).await?.ok_or_else(|| no_stack(environment))?;
    let (history, mark) = events::newest_events(client, &stack.id, arguments.limit).await?;
    if !arguments.follow {
        let lines: Vec<String> = history.iter().map(event_line).collect();
        ui.text(&lines.join("\n"));
        ui.note(|report| {
            report.stack_status = Some(stack.status.clone());
            report.events = Some(history);
        });
        return Ok(());
    }
    for event in &history {
        ui.each(event, &event_line(event));
    }
    let end = if has_operation_in_progress(&stack.status) {
        follow_events(&session, &stack, mark).await?
    } else {
        stack.status.clone()
    };
    ui.note(|report| report.stack_status = Some(end));
    Ok(())
}

/// The failure of a command whose stack does not exist.
pub(super) fn no_stack(environment: &Environment) -> Failure {
    Failure::new(Exit::Failed, FailureKind::NoStack, format!("there is no stack {}", environment.stack))
        .resource(format!("environment {}", environment.name))
        .reason(format!("the account has none of that name in {}", environment.region))
        .hint(format!("cargo xtask release {} creates it", environment.name))
}

/// A stack that only has an unexecuted change set has no operation that would end.
fn has_operation_in_progress(status: &str) -> bool {
    status::ending(status).is_none() && status != "REVIEW_IN_PROGRESS"
}

/// Shows new events until the operation has ended, and fails as the command that started it would have.
async fn follow_events(session: &Session<'_>, stack: &Stack, mark: Mark) -> Result<String> {
    let ui = session.ui;
    let phase = ui.phase("stack");
    ui.still_runs(Some(format!(
        "stack {} is {} and continues without this tool; repeat the command to follow it",
        stack.name, stack.status
    )));
    let deleting = stack.status == "DELETE_IN_PROGRESS";
    let watch = Watch { deleting, ..Watch::of(&stack.id, None, mark) };
    let watched = Following::new(&session.clients, watch)
        .watch_with(&|step| phase.report(step), |event| ui.each(event, &event_line(event)))
        .await?;
    ui.still_runs(None);
    let Watched::Ended(mut followed) = watched else { return Ok(stack.status.clone()) };
    let status = followed.stack.as_ref().map_or("DELETE_COMPLETE", |stack| stack.status.as_str()).to_owned();
    if !(deleting && status == "DELETE_COMPLETE") {
        explain_failure(session, &stack.id, &mut followed).await?;
    }
    phase.done(&format!("{} is {status}", stack.name));
    Ok(status)
}

async fn explain_failure(session: &Session<'_>, stack_id: &str, followed: &mut Followed) -> Result<()> {
    let Session { context, environment, clients, .. } = session;
    let Err(failure) = conclusion::conclude(environment, followed) else { return Ok(()) };
    // The cause may be older than the events that were followed.
    if let Ok(whole) = events::last_operation(&clients.cloudformation, stack_id).await {
        followed.events = whole;
    }
    // Without the template the diagnosis only lacks the line.
    let template = context.template(environment).ok();
    Err(diagnose::explain(clients, environment, template.as_ref(), stack_id, followed, failure).await.into())
}

fn event_line(event: &Event) -> String {
    format!("{:<20} {}", event.time, event)
}
