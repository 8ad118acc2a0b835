//! Follows a stack event by event until it comes to rest, or until it is seen that it can only fail.
//!
//! The stack's own status decides how an operation ended; events and tasks only tell why. So a call for those that fails
//! is a warning and nothing more.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::aws::{self, Clients};
use crate::outcome::{Exit, Failure};
use crate::stack::cause::Cause;
use crate::stack::crash::Guard;
use crate::stack::events::{self, Event, Mark};
use crate::stack::{self, Stack, evidence};
use crate::status::{self, Ending};
use crate::ui::Phase;

/// Longest that an operation is watched; CloudFormation's own limits end most much earlier.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);
/// Longest pause between two looks; AWS throttles what asks more often.
const PAUSE: Duration = Duration::from_secs(5);
/// After this long a state that has not changed is believed to be the end.
const STALE: Duration = Duration::from_secs(60);
/// Looks in a row that may fail before watching ends. The SDK has then retried each of them.
const LOST: u32 = 10;
/// Longest that is waited for AWS to have time again.
const BACK_OFF: Duration = Duration::from_secs(30);

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) ending: Ending,
    /// The stack at its end; `None` when it is gone.
    pub(crate) stack: Option<Stack>,
    /// Events since the start, oldest first.
    pub(crate) events: Vec<Event>,
    /// What failed resources left behind, taken while it was there: a rollback removes it.
    pub(crate) evidence: Vec<Cause>,
}

/// How watching ended.
#[derive(Debug)]
pub(crate) enum Watched {
    Ended(Followed),
    /// The operation goes on and can only fail; it has been told why.
    Hopeless {
        cause: Cause,
        /// Events up to now, oldest first.
        events: Vec<Event>,
        /// Where watching can go on.
        mark: Mark,
    },
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
    /// Whether watching ends when the operation can only fail.
    pub(crate) until_hopeless: bool,
}

/// Shows new events until the stack comes to rest or, if asked, until it can only fail.
///
/// # Errors
/// AWS out of reach for long, or the deadline: the operation itself goes on then.
pub(crate) async fn follow(clients: &Clients, watch: Watch<'_>, phase: &Phase<'_>) -> Result<Watched> {
    let show = |event: &Event| {
        let line = events::line(event);
        // What failed because something else did would only push the cause off the screen.
        if event.is_failure() && event.is_cancelled() { phase.doing(&line) } else { phase.line(&line) }
    };
    follow_with(clients, watch, phase, show).await
}

/// As [`follow`], to the end whatever is seen on the way.
///
/// # Errors
/// As for `follow`.
pub(crate) async fn to_end(clients: &Clients, watch: Watch<'_>, phase: &Phase<'_>) -> Result<Followed> {
    match follow(clients, Watch { until_hopeless: false, ..watch }, phase).await? {
        Watched::Ended(followed) => Ok(followed),
        Watched::Hopeless { .. } => unreachable!("watching ends so only where that is asked for"),
    }
}

/// As [`follow`], with a choice of how events are shown.
///
/// # Errors
/// As for `follow`.
pub(crate) async fn follow_with(
    clients: &Clients,
    watch: Watch<'_>,
    phase: &Phase<'_>,
    mut show: impl FnMut(&Event),
) -> Result<Watched> {
    let client = &clients.cloudformation;
    let Watch { stack_id, before, mut mark, deleting, until_hopeless } = watch;
    let started = Instant::now();
    let mut pause = Duration::from_millis(500);
    let (mut events, mut evidence, mut guard) = (Vec::new(), Vec::new(), Guard::new());
    let (mut lost, mut throttled, mut warned) = (0, 0, false);
    let say = |text: &str| phase.line(text);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
        // Status before events: the events of the end are then surely among those read. But events of this round may be
        // younger than the status, so only earlier ones prove that it has moved.
        let known_to_move = !events.is_empty();
        let described = stack::describe(client, stack_id).await;
        match mark.fresh(client, stack_id).await {
            Ok(new) => {
                for event in new {
                    show(&event);
                    collect(clients, stack_id, &event, &mut evidence).await;
                    events.push(event);
                }
            }
            Err(error) if aws::is_throttled(&Failure::of(&error)) => pause += aws::jitter(PAUSE),
            Err(error) if !warned => {
                warned = true;
                phase.line(&format!("events cannot be read: {}", in_words(&error)));
            }
            Err(_) => {}
        }
        match described {
            Ok(None) if deleting => {
                return Ok(Watched::Ended(Followed { ending: Ending::Done, stack: None, events, evidence }));
            }
            Ok(Some(stack)) => {
                (lost, throttled) = (0, 0);
                phase.doing(&stack.status);
                let moved =
                    known_to_move || started.elapsed() > STALE || before.is_none_or(|before| differs(before, &stack));
                if let Some(ending) = status::ending(&stack.status).filter(|_| moved) {
                    return Ok(Watched::Ended(Followed { ending, stack: Some(stack), events, evidence }));
                }
                if matches!(stack.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
                    && let Some(cause) = guard.look(clients, stack_id, mark.before().iter().chain(&events), &say).await
                {
                    if until_hopeless {
                        return Ok(Watched::Hopeless { cause, events, mark });
                    }
                    evidence.push(cause);
                }
            }
            // A stack that was just made is not everywhere yet.
            Ok(None) if lost + 1 < LOST => lost += 1,
            Ok(None) => {
                return Ok(Watched::Ended(Followed { ending: Ending::Stuck, stack: None, events, evidence }));
            }
            Err(error) => {
                // Being asked for patience says nothing about the stack, however often.
                let patience = aws::is_throttled(&Failure::of(&error));
                (lost, throttled) = if patience { (lost, throttled + 1) } else { (lost + 1, throttled) };
                if lost >= LOST {
                    return Err(error.context("the stack cannot be watched any more"));
                }
                pause += aws::jitter(BACK_OFF.min(Duration::from_secs(1 << (lost + throttled).min(5))));
                phase.doing(&format!("AWS does not answer, trying again: {}", in_words(&error)));
            }
        }
        if started.elapsed() > DEADLINE {
            let message = format!("the stack is still at work after {} minutes", DEADLINE.as_secs() / 60);
            return Err(Failure::new(Exit::NeedsHuman, "deadline", message).resource(stack_id).into());
        }
    }
}

/// Takes what a failed resource leaves behind; what a look before had found stays where nothing is left.
async fn collect(clients: &Clients, stack_id: &str, event: &Event, evidence: &mut Vec<Cause>) {
    if !event.is_failure() || event.is_cancelled() || !evidence::exists_for(&event.resource_type) {
        return;
    }
    let mut cause = evidence::gather(clients, stack_id, Cause::from(event)).await;
    match evidence.iter_mut().find(|earlier| earlier.logical_id == event.logical_id) {
        Some(earlier) if cause.log.is_empty() => {
            cause.log = std::mem::take(&mut earlier.log);
            cause.reason = format!("{}; {}", cause.reason, earlier.reason);
            *earlier = cause;
        }
        Some(earlier) if earlier.log.is_empty() => *earlier = cause,
        Some(_) => {}
        None => evidence.push(cause),
    }
}

fn in_words(error: &anyhow::Error) -> String {
    let failure = Failure::of(error);
    let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{failure}{reason}")
}

fn differs(before: &Stack, now: &Stack) -> bool {
    before.status != now.status || before.updated != now.updated
}
