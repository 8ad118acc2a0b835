//! `events`: what a stack says of its operations; with `--follow` until the one that is under way comes to rest.

use crate::engine::conclusion;
use anyhow::Result;
use config::deployment::Environment;

use crate::cli::Events;
use crate::context::Context;
use crate::diagnose;
use crate::session::Session;
use crate::ui::Ui;
use aws::Clients;
use aws::stack;
use aws::stack::Watch;
use aws::stack::events;
use aws::stack::events::Mark;
use aws::stack::follow::{Followed, Following, Watched};
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::Event;
use model::stack::Stack;
use model::status;

pub(super) async fn run(arguments: &Events, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let client = &clients.cloudformation;
    let stack = stack::describe(client, &environment.stack).await?.ok_or_else(|| missing(environment))?;
    let (history, mark) = events::newest_events(client, &stack.id, arguments.limit).await?;
    if !arguments.follow {
        let lines: Vec<String> = history.iter().map(line).collect();
        ui.result(&lines.join("\n"));
        ui.note(|report| {
            report.stack_status = Some(stack.status.clone());
            report.events = Some(history);
        });
        return Ok(());
    }
    for event in &history {
        ui.each(event, &line(event));
    }
    let end = if is_under_way(&stack.status) {
        follow(context, environment, &clients, &stack, mark, ui).await?
    } else {
        stack.status.clone()
    };
    ui.note(|report| report.stack_status = Some(end));
    Ok(())
}

/// The failure of whoever asks about a stack that is not there.
pub(super) fn missing(environment: &Environment) -> Failure {
    Failure::new(Exit::Failed, FailureKind::NoStack, format!("there is no stack {}", environment.stack))
        .resource(format!("environment {}", environment.name))
        .reason(format!("the account has none of that name in {}", environment.region))
        .hint(format!("cargo xtask release {} makes it", environment.name))
}

/// A change set that waits to create a stack is nothing that comes to an end.
fn is_under_way(status: &str) -> bool {
    status::ending(status).is_none() && status != "REVIEW_IN_PROGRESS"
}

/// Shows new events until the stack comes to rest, and ends as the command that began the operation would have.
async fn follow(
    context: &Context,
    environment: &Environment,
    clients: &Clients,
    stack: &Stack,
    mark: Mark,
    ui: &Ui,
) -> Result<String> {
    let phase = ui.phase("stack");
    ui.still_runs(Some(format!(
        "stack {} is {} and goes on without this tool; the same command follows it",
        stack.name, stack.status
    )));
    let deleting = stack.status == "DELETE_IN_PROGRESS";
    let watch = Watch { deleting, ..Watch::of(&stack.id, None, mark) };
    let watched = Following::new(clients, watch)
        .watch_with(&|step| phase.report(step), |event| ui.each(event, &line(event)))
        .await?;
    ui.still_runs(None);
    let Watched::Ended(mut followed) = watched else { return Ok(stack.status.clone()) };
    let status = followed.stack.as_ref().map_or("DELETE_COMPLETE", |stack| stack.status.as_str()).to_owned();
    if !(deleting && status == "DELETE_COMPLETE") {
        conclude(context, environment, clients, &stack.id, &mut followed).await?;
    }
    phase.done(&format!("{} is {status}", stack.name));
    Ok(status)
}

async fn conclude(
    context: &Context,
    environment: &Environment,
    clients: &Clients,
    stack_id: &str,
    followed: &mut Followed,
) -> Result<()> {
    let Err(failure) = conclusion::conclude(environment, followed) else { return Ok(()) };
    // What failed may have failed before anyone looked.
    if let Ok(whole) = events::last_operation(&clients.cloudformation, stack_id).await {
        followed.events = whole;
    }
    // Another template than the stack's would tell wrong places, none is still a diagnosis.
    let template = context.template(environment).ok();
    Err(diagnose::explain(clients, environment, template.as_ref(), stack_id, followed, failure).await.into())
}

fn line(event: &Event) -> String {
    format!("{:<20} {}", event.time, event.to_string())
}
