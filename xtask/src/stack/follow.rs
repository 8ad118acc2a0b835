//! Follows a stack event by event until it comes to rest.
//!
//! The stack's own status decides how an operation ended; events only tell why. So an event call that fails is a
//! warning and nothing more.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::StackEvent;
use tokio::time::Instant;

use crate::outcome::{Exit, Failure};
use crate::stack::{self, Stack};
use crate::status::{self, Ending};
use crate::ui::Phase;

/// Longest that an operation is watched, three hours of alarms included; CloudFormation's own limits end most much
/// earlier.
const DEADLINE: Duration = Duration::from_secs(5 * 60 * 60);
/// Longest pause between two looks; AWS throttles what asks more often.
const PAUSE: Duration = Duration::from_secs(5);
/// After this long a state that has not changed is believed to be the end.
const STALE: Duration = Duration::from_secs(60);
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

    fn turns_back(&self) -> bool {
        self.status.ends_with("ROLLBACK_IN_PROGRESS")
    }

    fn is_cancelled(&self) -> bool {
        self.reason.as_deref().is_some_and(stack::is_cancelled)
    }
}

/// The first failure that is not a consequence of another, or why the stack turned back where nothing in it failed: an
/// alarm went off, or someone cancelled the update.
pub(crate) fn first_cause(events: &[Event]) -> Option<&Event> {
    let mut failures = events.iter().filter(|event| event.is_failure());
    let turned = || events.iter().find(|event| event.turns_back() && event.reason.is_some());
    failures.clone().find(|event| !event.is_cancelled()).or_else(|| failures.next()).or_else(turned)
}

/// Marks the point from which events are new; `None` until the history could be read.
#[derive(Debug, Default)]
pub(crate) struct Mark(Option<HashSet<String>>);

impl Mark {
    /// Events since the mark, oldest first; none where they cannot be read.
    pub(crate) async fn since(mut self, client: &Client, stack_id: &str) -> Vec<Event> {
        fresh(client, stack_id, &mut self).await.unwrap_or_default()
    }
}

/// Notes what has happened up to now. Where that cannot be read, the mark is set at the first time that it can: an old
/// failure must not be taken for the cause of a new one.
pub(crate) async fn mark(client: &Client, stack_id: &str) -> Mark {
    let page = newest(client, stack_id, None).await.ok();
    Mark(page.map(|(events, _)| events.into_iter().map(|event| event.id).collect()))
}

/// The newest events of a stack, oldest first; none where they cannot be read.
pub(crate) async fn history(client: &Client, stack_id: &str) -> Vec<Event> {
    let page = newest(client, stack_id, None).await.ok();
    page.map(|(events, _)| events.into_iter().rev().collect()).unwrap_or_default()
}

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) stack_id: &'a str,
    /// The stack as it was before the operation, which a look that comes too early still shows.
    pub(crate) before: Option<&'a Stack>,
    pub(crate) mark: Mark,
    /// Whether the operation ends with no stack.
    pub(crate) deleting: bool,
}

/// Shows new events until the stack comes to rest.
///
/// # Errors
/// AWS out of reach for long, or the deadline: the operation itself goes on then.
pub(crate) async fn follow(client: &Client, watch: Watch<'_>, phase: &Phase<'_>) -> Result<Followed> {
    let Watch { stack_id, before, mut mark, deleting } = watch;
    let started = Instant::now();
    let mut pause = Duration::from_millis(500);
    let (mut events, mut lost, mut warned) = (Vec::new(), 0, false);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
        // Status before events: the events of the end are then surely among those read. But events of this round may be
        // younger than the status, so only earlier ones prove that it has moved.
        let known_to_move = !events.is_empty();
        let described = stack::describe(client, stack_id).await;
        match fresh(client, stack_id, &mut mark).await {
            Ok(new) => {
                for event in new {
                    phase.line(&line(&event));
                    events.push(event);
                }
            }
            Err(error) if !warned => {
                warned = true;
                phase.line(&format!("events cannot be read: {:#}", Failure::of(&error)));
            }
            Err(_) => {}
        }
        match described {
            Ok(None) if deleting => return Ok(Followed { ending: Ending::Done, stack: None, events }),
            Ok(Some(stack)) => {
                lost = 0;
                phase.doing(&stack.status);
                let moved =
                    known_to_move || started.elapsed() > STALE || before.is_none_or(|before| differs(before, &stack));
                if let Some(ending) = status::ending(&stack.status).filter(|_| moved) {
                    return Ok(Followed { ending, stack: Some(stack), events });
                }
            }
            // A stack that was just made is not everywhere yet.
            Ok(None) if lost + 1 < LOST => lost += 1,
            Ok(None) => return Ok(Followed { ending: Ending::Stuck, stack: None, events }),
            Err(error) if lost + 1 >= LOST => return Err(error.context("the stack cannot be watched any more")),
            Err(error) => {
                lost += 1;
                phase.doing(&format!("AWS does not answer, trying again: {}", Failure::of(&error)));
            }
        }
        if started.elapsed() > DEADLINE {
            let message = format!("the stack is still at work after {} minutes", DEADLINE.as_secs() / 60);
            return Err(Failure::new(Exit::NeedsHuman, "deadline", message).resource(stack_id).into());
        }
    }
}

fn differs(before: &Stack, now: &Stack) -> bool {
    before.status != now.status || before.updated != now.updated
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
        let Some(known) = &mark.0 else {
            mark.0 = Some(page.into_iter().map(|event| event.id).collect());
            return Ok(Vec::new());
        };
        let (before, whole) = (new.len(), page.len());
        new.extend(page.into_iter().filter(|event| !known.contains(&event.id)));
        token = next;
        // Events come newest first: a page with a known one ends the new ones.
        if token.is_none() || new.len() - before < whole {
            break;
        }
    }
    new.reverse();
    mark.0.get_or_insert_default().extend(new.iter().map(|event| event.id.clone()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(events: &[(&str, Option<&str>)]) -> Option<String> {
        let event = |(status, reason): &(&str, Option<&str>)| Event {
            id: String::new(),
            logical_id: "It".to_owned(),
            resource_type: "A::B".to_owned(),
            status: (*status).to_owned(),
            reason: reason.map(str::to_owned),
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        first_cause(&events).map(|event| event.reason.clone().unwrap_or_default())
    }

    #[test]
    fn a_failure_comes_before_its_consequences() {
        let turned = ("UPDATE_ROLLBACK_IN_PROGRESS", Some("The following resource(s) failed"));
        let cancelled = ("CREATE_FAILED", Some("Resource creation cancelled"));
        let failed = ("UPDATE_FAILED", Some("no such image"));
        assert_eq!(cause(&[turned, cancelled, failed]).as_deref(), Some("no such image"));
        assert_eq!(cause(&[turned, cancelled]).as_deref(), Some("Resource creation cancelled"));
    }

    #[test]
    fn an_alarm_that_turns_a_stack_back_is_the_cause() {
        let alarm = "Alarm arn:aws:cloudwatch:eu-central-1:111122223333:alarm:x breached";
        let events = [
            ("UPDATE_COMPLETE", None),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Some(alarm)),
            ("UPDATE_COMPLETE", None),
            ("UPDATE_ROLLBACK_COMPLETE", None),
        ];
        assert_eq!(cause(&events).as_deref(), Some(alarm));
        assert_eq!(cause(&events[2..]), None);
        assert_eq!(cause(&[("ROLLBACK_IN_PROGRESS", None)]), None);
    }
}
