//! Follows a stack event by event until it comes to rest.
//!
//! The stack's own status decides how an operation ended; events only tell why. So an event call that fails is a
//! warning and nothing more.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::StackEvent;

use crate::outcome::{Exit, Failure};
use crate::stack::{self, Stack};
use crate::status::{self, Ending};
use crate::ui::Phase;

/// Longest that an operation is watched; CloudFormation's own limits end most much earlier.
const DEADLINE: Duration = Duration::from_secs(2 * 60 * 60);
/// Longest pause between two looks; AWS throttles what asks more often.
const PAUSE: Duration = Duration::from_secs(5);
/// Looks in a row that may fail before watching ends. The SDK has then retried each of them.
const LOST: u32 = 5;

/// One line of a stack's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) ending: Ending,
    /// The stack at its end; `None` when it is gone.
    pub(crate) stack: Option<Stack>,
    /// Events since the start, oldest first.
    pub(crate) events: Vec<Event>,
}

impl Event {
    fn is_failure(&self) -> bool {
        self.status.ends_with("_FAILED")
    }

    /// A resource that stopped because another one failed.
    fn is_cancelled(&self) -> bool {
        self.reason.as_deref().is_some_and(|reason| reason.to_lowercase().contains("cancelled"))
    }
}

/// The first failure that is not a consequence of another.
pub(crate) fn first_cause(events: &[Event]) -> Option<&Event> {
    let mut failures = events.iter().filter(|event| event.is_failure());
    failures.clone().find(|event| !event.is_cancelled()).or_else(|| failures.next())
}

/// Marks the point from which events are new.
#[derive(Debug, Default)]
pub(crate) struct Mark(HashSet<String>);

impl Mark {
    /// Events since the mark, oldest first; none where they cannot be read.
    pub(crate) async fn since(mut self, client: &Client, stack_id: &str) -> Vec<Event> {
        fresh(client, stack_id, &mut self).await.unwrap_or_default()
    }
}

/// Notes what has happened up to now. A history that cannot be read counts as empty: more is shown, nothing is lost.
pub(crate) async fn mark(client: &Client, stack_id: &str) -> Mark {
    let page = newest(client, stack_id, None).await.map(|page| page.0).unwrap_or_default();
    Mark(page.into_iter().map(|event| event.id).collect())
}

/// Shows new events until the stack comes to rest.
///
/// # Errors
/// AWS out of reach for long, or the deadline: the operation itself goes on then.
pub(crate) async fn follow(client: &Client, stack_id: &str, mut mark: Mark, phase: &Phase<'_>) -> Result<Followed> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(500);
    let (mut events, mut lost) = (Vec::new(), 0);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
        // Status before events: the events of the end are then surely among those read.
        let described = stack::describe(client, stack_id).await;
        match fresh(client, stack_id, &mut mark).await {
            Ok(new) => {
                for event in new {
                    phase.line(&line(&event));
                    events.push(event);
                }
            }
            Err(error) => phase.doing(&format!("events cannot be read: {:#}", error)),
        }
        match described {
            Ok(None) => return Ok(Followed { ending: Ending::Done, stack: None, events }),
            Ok(Some(stack)) => {
                lost = 0;
                phase.doing(&stack.status);
                if let Some(ending) = status::ending(&stack.status) {
                    return Ok(Followed { ending, stack: Some(stack), events });
                }
            }
            Err(error) if lost + 1 >= LOST => return Err(error.context("the stack goes on, but cannot be watched")),
            Err(error) => {
                lost += 1;
                phase.doing(&format!("AWS does not answer, trying again: {error:#}"));
            }
        }
        if tokio::time::Instant::now() > deadline {
            let message = format!("the stack is still at work after {} minutes", DEADLINE.as_secs() / 60);
            return Err(Failure::new(Exit::NeedsHuman, "deadline", message).resource(stack_id).into());
        }
    }
}

/// One plain line of an event.
pub(crate) fn line(event: &Event) -> String {
    let reason = event.reason.as_deref().map(|reason| format!("  {reason}")).unwrap_or_default();
    format!("{:<28} {} ({}){reason}", event.status, event.logical_id, event.resource_type)
}

/// New events, oldest first.
async fn fresh(client: &Client, stack_id: &str, mark: &mut Mark) -> Result<Vec<Event>> {
    let mut new = Vec::new();
    let mut token = None;
    loop {
        let (page, next) = newest(client, stack_id, token).await?;
        let before = new.len();
        let whole = page.len();
        new.extend(page.into_iter().filter(|event| !mark.0.contains(&event.id)));
        token = next;
        // Events come newest first: a page with a known one ends the new ones.
        if token.is_none() || new.len() - before < whole {
            break;
        }
    }
    new.reverse();
    mark.0.extend(new.iter().map(|event| event.id.clone()));
    Ok(new)
}

async fn newest(client: &Client, stack_id: &str, token: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
    let answer = client.describe_stack_events().stack_name(stack_id).set_next_token(token).send().await;
    let answer = answer
        .map_err(|e| crate::aws::failure("cloudformation:DescribeStackEvents", &format!("stack {stack_id}"), &e))?;
    Ok((answer.stack_events().iter().map(read).collect(), answer.next_token))
}

fn read(event: &StackEvent) -> Event {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    Event {
        id: text(event.event_id()),
        logical_id: text(event.logical_resource_id()),
        resource_type: text(event.resource_type()),
        status: text(event.resource_status().map(|status| status.as_str())),
        reason: event.resource_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
    }
}
