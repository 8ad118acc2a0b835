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
use crate::stack::progress::{LAG, Progress, Verdict};
use crate::stack::{self, Stack, evidence};
use crate::status::Ending;
use crate::ui::Phase;

/// Longest that an operation is watched; CloudFormation's own limits end most much earlier.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);
/// The first pause.
const START: Duration = Duration::from_millis(500);
/// Longest pause between two looks; AWS throttles what asks more often.
const PAUSE: Duration = Duration::from_secs(5);
/// Looks in a row that may fail before watching ends. The SDK has then retried each of them.
const LOST: u32 = 10;
/// Longest that is waited for AWS to have time again.
const BACK_OFF: Duration = Duration::from_secs(30);

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) ending: Ending,
    /// Whether anything was seen of the operation, in the stack's state or its events.
    pub(crate) began: bool,
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
    /// The stack as it was before the operation, which AWS may still show for a while.
    pub(crate) before: Option<&'a Stack>,
    pub(crate) mark: Mark,
    /// The tokens of the calls that began the operation; none where another run did.
    pub(crate) tokens: Vec<String>,
    /// Whether it is not known that the operation has begun: then watching also ends where nothing is seen of it.
    pub(crate) in_doubt: bool,
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
        Self {
            stack_id,
            before,
            mark,
            tokens: Vec::new(),
            in_doubt: false,
            deleting: false,
            until_hopeless: false,
            until_paused: false,
        }
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
    progress: Progress,
    started: Instant,
    pause: Duration,
    /// Whether the stack was seen at all.
    seen: bool,
    /// Looks in a row that failed, and those in which AWS asked for patience.
    lost: u32,
    throttled: u32,
    /// Whether the events cannot be read.
    unreadable: bool,
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
            progress: Progress::new(),
            started: Instant::now(),
            pause: START,
            seen: false,
            lost: 0,
            throttled: 0,
            unreadable: false,
            warned: false,
        }
    }

    /// What can only fail is known for its cause: from here on its end is what is watched for. `turned` is the token of
    /// the call that turned it back.
    pub(crate) fn only_ends(&mut self, cause: Cause, turned: Option<String>, deleting: bool) {
        self.evidence.push(cause);
        self.watch.tokens.extend(turned);
        (self.watch.deleting, self.watch.until_hopeless) = (deleting, false);
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
            // Status before events: the events of the end are then among those read, if AWS shows them in time.
            let described = stack::describe(&self.clients.cloudformation, self.watch.stack_id).await;
            self.read_events(phase, &mut show).await;
            match described {
                Ok(None) if self.watch.deleting => return Ok(self.ended(Ending::Done, true, None)),
                Ok(Some(stack)) => {
                    (self.seen, self.lost, self.throttled) = (true, 0, 0);
                    phase.doing(&stack.status);
                    let events = (!self.unreadable).then_some(self.events.as_slice());
                    match self.progress.judge(&self.watch, &stack, events) {
                        Verdict::Ended { ending, began } => return Ok(self.ended(ending, began, Some(stack))),
                        Verdict::AwaitsReason => {
                            phase.doing(&format!("{}, waiting for the events that say why", stack.status));
                        }
                        Verdict::AwaitsState => phase.doing("AWS, to show the new state"),
                        Verdict::GoesOn => {}
                    }
                    if let Some(watched) = self.look(&stack.status, phase).await {
                        return Ok(watched);
                    }
                }
                // A stack that was just made is not everywhere yet.
                Ok(None) if !self.seen && self.started.elapsed() < LAG => phase.doing("AWS, to show the stack"),
                Ok(None) if self.seen && self.lost + 1 < LOST => self.lost += 1,
                Ok(None) => return Ok(self.ended(Ending::Stuck, true, None)),
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
                self.unreadable = false;
                for event in new {
                    show(&event);
                    let said = self.guard.said(&event.logical_id);
                    collect(self.clients, self.watch.stack_id, &event, said, &mut self.evidence).await;
                    self.events.push(event);
                }
            }
            Err(error) if aws::is_throttled(&Failure::of(&error)) => self.pause += aws::jitter(PAUSE),
            // The stack's own state tells of it.
            Err(error) if aws::is_expired(&Failure::of(&error)) => {}
            Err(_) if !self.seen => {}
            Err(error) => {
                self.unreadable = true;
                if !std::mem::replace(&mut self.warned, true) {
                    phase.line(&format!("events cannot be read: {}", in_words(&error)));
                }
            }
        }
    }

    /// A look that failed, unless it is one too many.
    fn endure(&mut self, error: anyhow::Error, phase: &Phase<'_>) -> Result<()> {
        let failure = Failure::of(&error);
        if aws::is_expired(&failure) {
            // Asking again with the same credentials cannot help.
            let message = "the stack cannot be watched any more: the credentials have expired".to_owned();
            let hint = failure.hint.clone();
            let failure = Failure { exit: Exit::NeedsHuman, kind: "credentials", message, ..failure };
            return Err(hint.into_iter().fold(failure, Failure::note).into());
        }
        // Being asked for patience says nothing about the stack, however often.
        if aws::is_throttled(&failure) {
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

    fn ended(&mut self, ending: Ending, began: bool, stack: Option<Stack>) -> Watched {
        let (events, evidence) = (std::mem::take(&mut self.events), std::mem::take(&mut self.evidence));
        Watched::Ended(Followed { ending, began, stack, events, evidence })
    }
}

/// Takes what a failed resource leaves behind; what a look before had found stays where nothing is left. `said` is what
/// ECS said of a service whose tasks could not be started.
async fn collect(clients: &Clients, stack_id: &str, event: &Event, said: Option<&str>, evidence: &mut Vec<Cause>) {
    if !event.is_failure() || event.is_cancelled() || !evidence::exists_for(&event.resource_type) {
        return;
    }
    let mut cause = evidence::gather(clients, stack_id, Cause::from(event)).await;
    if let Some(said) = said.filter(|said| !cause.reason.contains("; task ") && !cause.reason.contains(said)) {
        cause.reason = format!("{}; ECS says: {said}", cause.reason);
    }
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

#[cfg(test)]
mod tests;
