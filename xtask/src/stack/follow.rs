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
use crate::stack::pause::{Pause, Waits};
use crate::stack::{self, Stack, evidence};
use crate::status::{self, Ending};
use crate::ui::Phase;

/// Longest that an operation is watched; CloudFormation's own limits end most much earlier.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);
/// The first pause.
const START: Duration = Duration::from_millis(500);
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

/// What watching was for.
#[derive(Debug)]
pub(crate) enum Watched {
    Ended(Followed),
    /// The operation goes on and can only fail; it has been told why.
    Hopeless {
        cause: Cause,
    },
    /// A deployment waits for its proof, and goes on or back when it is answered.
    Paused(Pause),
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
    /// Whether watching stops when the operation can only fail.
    pub(crate) until_hopeless: bool,
    /// Whether watching stops when a deployment waits for its proof.
    pub(crate) until_paused: bool,
}

impl<'a> Watch<'a> {
    /// To the end, whatever is seen on the way.
    pub(crate) fn of(stack_id: &'a str, before: Option<&'a Stack>, mark: Mark) -> Self {
        Self { stack_id, before, mark, deleting: false, until_hopeless: false, until_paused: false }
    }
}

/// Watching that can be taken up where it stopped.
#[derive(Debug)]
pub(crate) struct Following<'a> {
    clients: &'a Clients,
    watch: Watch<'a>,
    events: Vec<Event>,
    evidence: Vec<Cause>,
    guard: Guard,
    waits: Waits,
    started: Instant,
    pause: Duration,
    /// Looks in a row that failed, and those in which AWS asked for patience.
    lost: u32,
    throttled: u32,
    warned: bool,
}

/// Watches to the end, whatever is seen on the way.
///
/// # Errors
/// As for [`Following::watch`].
pub(crate) async fn to_end(clients: &Clients, watch: Watch<'_>, phase: &Phase<'_>) -> Result<Followed> {
    let watch = Watch { until_hopeless: false, until_paused: false, ..watch };
    match Following::new(clients, watch).watch(phase).await? {
        Watched::Ended(followed) => Ok(followed),
        Watched::Hopeless { .. } | Watched::Paused(_) => unreachable!("watching stops so only where that is asked for"),
    }
}

impl<'a> Following<'a> {
    pub(crate) fn new(clients: &'a Clients, watch: Watch<'a>) -> Self {
        Self {
            clients,
            watch,
            events: Vec::new(),
            evidence: Vec::new(),
            guard: Guard::new(),
            waits: Waits::new(),
            started: Instant::now(),
            pause: START,
            lost: 0,
            throttled: 0,
            warned: false,
        }
    }

    /// What can only fail is known for its cause: from here on its end is what is watched for.
    pub(crate) fn only_ends(&mut self, cause: Cause, deleting: bool) {
        self.evidence.push(cause);
        (self.watch.before, self.watch.deleting, self.watch.until_hopeless) = (None, deleting, false);
    }

    /// Shows new events until the stack comes to rest or, if asked, until something is to be done about it.
    ///
    /// # Errors
    /// AWS out of reach for long, or the deadline: the operation itself goes on then.
    pub(crate) async fn watch(&mut self, phase: &Phase<'_>) -> Result<Watched> {
        let show = |event: &Event| {
            let line = events::line(event);
            // What failed because something else did would only push the cause off the screen.
            if event.is_failure() && event.is_cancelled() { phase.doing(&line) } else { phase.line(&line) }
        };
        self.watch_with(phase, show).await
    }

    /// As [`Following::watch`], with a choice of how events are shown.
    ///
    /// # Errors
    /// As for `watch`.
    pub(crate) async fn watch_with(&mut self, phase: &Phase<'_>, mut show: impl FnMut(&Event)) -> Result<Watched> {
        self.pause = START;
        loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE);
            // Status before events: the events of the end are then surely among those read. But events of this round
            // may be younger than the status, so only earlier ones prove that it has moved.
            let known_to_move = !self.events.is_empty();
            let described = stack::describe(&self.clients.cloudformation, self.watch.stack_id).await;
            self.read_events(phase, &mut show).await;
            match described {
                Ok(None) if self.watch.deleting => return Ok(self.ended(Ending::Done, None)),
                Ok(Some(stack)) => {
                    (self.lost, self.throttled) = (0, 0);
                    phase.doing(&stack.status);
                    let moved = known_to_move
                        || self.started.elapsed() > STALE
                        || self.watch.before.is_none_or(|before| differs(before, &stack));
                    if let Some(ending) = status::ending(&stack.status).filter(|_| moved) {
                        return Ok(self.ended(ending, Some(stack)));
                    }
                    if let Some(watched) = self.look(&stack.status, phase).await {
                        return Ok(watched);
                    }
                }
                // A stack that was just made is not everywhere yet.
                Ok(None) if self.lost + 1 < LOST => self.lost += 1,
                Ok(None) => return Ok(self.ended(Ending::Stuck, None)),
                Err(error) => self.endure(error, phase)?,
            }
            if self.started.elapsed() > DEADLINE {
                let message = format!("the stack is still at work after {} minutes", DEADLINE.as_secs() / 60);
                let failure = Failure::new(Exit::NeedsHuman, "deadline", message);
                return Err(failure.resource(self.watch.stack_id).into());
            }
        }
    }

    /// Looks at the services of a stack that works.
    async fn look(&mut self, status: &str, phase: &Phase<'_>) -> Option<Watched> {
        let say = |text: &str| phase.line(text);
        let Self { clients, watch, events, evidence, guard, waits, .. } = self;
        let happened = || watch.mark.before().iter().chain(events.iter());
        if matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
            && let Some(cause) = guard.look(clients, watch.stack_id, happened(), &say).await
        {
            if watch.until_hopeless {
                return Some(Watched::Hopeless { cause });
            }
            evidence.push(cause);
        }
        if guard.is_denied() {
            return None;
        }
        let pause = waits.look(clients, status, happened(), &say).await?;
        if watch.until_paused {
            return Some(Watched::Paused(pause));
        }
        say("whoever released proves it; the same command once more takes that up");
        None
    }

    async fn read_events(&mut self, phase: &Phase<'_>, show: &mut impl FnMut(&Event)) {
        match self.watch.mark.fresh(&self.clients.cloudformation, self.watch.stack_id).await {
            Ok(new) => {
                for event in new {
                    show(&event);
                    collect(self.clients, self.watch.stack_id, &event, &mut self.evidence).await;
                    self.events.push(event);
                }
            }
            Err(error) if aws::is_throttled(&Failure::of(&error)) => self.pause += aws::jitter(PAUSE),
            Err(error) if !self.warned => {
                self.warned = true;
                phase.line(&format!("events cannot be read: {}", in_words(&error)));
            }
            Err(_) => {}
        }
    }

    /// A look that failed, unless it is one too many.
    fn endure(&mut self, error: anyhow::Error, phase: &Phase<'_>) -> Result<()> {
        // Being asked for patience says nothing about the stack, however often.
        if aws::is_throttled(&Failure::of(&error)) {
            self.throttled += 1;
        } else {
            self.lost += 1;
        }
        if self.lost >= LOST {
            return Err(error.context("the stack cannot be watched any more"));
        }
        self.pause += aws::jitter(BACK_OFF.min(Duration::from_secs(1 << (self.lost + self.throttled).min(5))));
        phase.doing(&format!("AWS does not answer, trying again: {}", in_words(&error)));
        Ok(())
    }

    fn ended(&mut self, ending: Ending, stack: Option<Stack>) -> Watched {
        let (events, evidence) = (std::mem::take(&mut self.events), std::mem::take(&mut self.evidence));
        Watched::Ended(Followed { ending, stack, events, evidence })
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
