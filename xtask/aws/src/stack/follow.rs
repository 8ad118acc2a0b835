//! Follows a stack event by event until it comes to rest, or until it is seen that it can only fail.
//!
//! The stack's own status decides how an operation ended; events and tasks only tell why. So a call for those that fails
//! is a warning and nothing more.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::Clients;
use crate::error;
use crate::stack;
use crate::stack::Watch;
use crate::stack::cause::{self, Cause};
use crate::stack::crash::CrashDetector;
use crate::stack::pause::{Pause, PauseDetector};
use crate::stack::watch::{LAG, StateTracker, Verdict};
use machine::http::jitter;
use model::outcome::{Exit, Failure, FailureKind};
use model::progress::{Progress, Reporter};
use model::stack::Event;
use model::stack::Stack;
use model::status::Ending;

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
pub struct Followed {
    pub ending: Ending,
    /// Whether anything was seen of the operation, in the stack's state or its events.
    pub began: bool,
    /// The stack at its end; `None` when it is gone.
    pub stack: Option<Stack>,
    /// Events since the start, oldest first.
    pub events: Vec<Event>,
    /// What failed resources left behind, taken while it was there: a rollback removes it.
    pub evidence: Vec<Cause>,
}

/// What watching was for.
#[derive(Debug)]
pub enum Watched {
    Ended(Followed),
    /// The operation goes on and can only fail; it has been told why.
    Hopeless {
        cause: Cause,
    },
    /// A deployment waits for its proof, and goes on or back when it is answered.
    Paused(Pause),
}

/// Watching that can be taken up where it stopped.
#[derive(Debug)]
pub struct Following<'a> {
    clients: &'a Clients,
    watch: Watch<'a>,
    events: Vec<Event>,
    evidence: Vec<Cause>,
    guard: CrashDetector,
    waits: PauseDetector,
    tracker: StateTracker,
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
pub async fn to_end(clients: &Clients, watch: Watch<'_>, report: Reporter<'_>) -> Result<Followed> {
    let watch = Watch { until_hopeless: false, until_paused: false, ..watch };
    match Following::new(clients, watch).watch(report).await? {
        Watched::Ended(followed) => Ok(followed),
        Watched::Hopeless { .. } | Watched::Paused(_) => unreachable!("watching stops so only where that is asked for"),
    }
}

impl<'a> Following<'a> {
    pub fn new(clients: &'a Clients, watch: Watch<'a>) -> Self {
        Self {
            clients,
            watch,
            events: Vec::new(),
            evidence: Vec::new(),
            guard: CrashDetector::new(),
            waits: PauseDetector::new(),
            tracker: StateTracker::new(),
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
    pub fn only_ends(&mut self, cause: Cause, turned: Option<String>, deleting: bool) {
        self.evidence.push(cause);
        self.watch.tokens.extend(turned);
        (self.watch.deleting, self.watch.until_hopeless) = (deleting, false);
    }

    /// Shows new events until the stack comes to rest or, if asked, until something is to be done about it.
    ///
    /// # Errors
    /// AWS out of reach for long, or the deadline: the operation itself goes on then.
    pub async fn watch(&mut self, report: Reporter<'_>) -> Result<Watched> {
        let show = |event: &Event| {
            let line = event.to_string();
            // What failed because something else did would only push the cause off the screen.
            if event.is_failure() && event.is_cancelled() {
                report(Progress::Doing(&line))
            } else {
                report(Progress::Line(&line))
            }
        };
        self.watch_with(report, show).await
    }

    /// As [`Following::watch`], with a choice of how events are shown.
    ///
    /// # Errors
    /// As for `watch`.
    pub async fn watch_with(&mut self, report: Reporter<'_>, mut show: impl FnMut(&Event)) -> Result<Watched> {
        self.pause = START;
        loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE);
            // Status before events: the events of the end are then among those read, if AWS shows them in time.
            let described = stack::describe(&self.clients.cloudformation, self.watch.stack_id).await;
            self.read_events(report, &mut show).await;
            match described {
                Ok(None) if self.watch.deleting => return Ok(self.ended(Ending::Done, true, None)),
                Ok(Some(stack)) => {
                    (self.seen, self.lost, self.throttled) = (true, 0, 0);
                    report(Progress::Doing(&stack.status));
                    let events = (!self.unreadable).then_some(self.events.as_slice());
                    match self.tracker.assess(&self.watch, &stack, events) {
                        Verdict::Ended { ending, began } => return Ok(self.ended(ending, began, Some(stack))),
                        Verdict::AwaitsReason => {
                            report(Progress::Doing(&format!("{}, waiting for the events that say why", stack.status)));
                        }
                        Verdict::AwaitsState => report(Progress::Doing("AWS, to show the new state")),
                        Verdict::GoesOn => {}
                    }
                    if let Some(watched) = self.look(&stack.status, report).await {
                        return Ok(watched);
                    }
                }
                // A stack that was just made is not everywhere yet.
                Ok(None) if !self.seen && self.started.elapsed() < LAG => {
                    report(Progress::Doing("AWS, to show the stack"))
                }
                Ok(None) if self.seen && self.lost + 1 < LOST => self.lost += 1,
                Ok(None) => return Ok(self.ended(Ending::Stuck, true, None)),
                Err(error) => self.endure(error, report)?,
            }
            if self.started.elapsed() > DEADLINE {
                let message = format!("the stack is still at work after {} minutes", DEADLINE.as_secs() / 60);
                let failure = Failure::new(Exit::NeedsHuman, FailureKind::Deadline, message);
                return Err(failure.resource(self.watch.stack_id).into());
            }
        }
    }

    /// Looks at the services of a stack that works.
    async fn look(&mut self, status: &str, report: Reporter<'_>) -> Option<Watched> {
        let say = |text: &str| report(Progress::Line(text));
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

    async fn read_events(&mut self, report: Reporter<'_>, show: &mut impl FnMut(&Event)) {
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
            Err(error) if error::is_throttled(&Failure::of(&error)) => self.pause += jitter(PAUSE),
            // The stack's own state tells of it.
            Err(error) if error::is_expired(&Failure::of(&error)) => {}
            Err(_) if !self.seen => {}
            Err(error) => {
                self.unreadable = true;
                if !std::mem::replace(&mut self.warned, true) {
                    report(Progress::Line(&format!("events cannot be read: {}", in_words(&error))));
                }
            }
        }
    }

    /// A look that failed, unless it is one too many.
    fn endure(&mut self, error: anyhow::Error, report: Reporter<'_>) -> Result<()> {
        let failure = Failure::of(&error);
        if error::is_expired(&failure) {
            // Asking again with the same credentials cannot help.
            let message = "the stack cannot be watched any more: the credentials have expired".to_owned();
            let hint = failure.hint.clone();
            let failure = Failure { exit: Exit::NeedsHuman, kind: FailureKind::Credentials, message, ..failure };
            return Err(hint.into_iter().fold(failure, Failure::note).into());
        }
        // Being asked for patience says nothing about the stack, however often.
        if error::is_throttled(&failure) {
            self.throttled += 1;
        } else {
            self.lost += 1;
        }
        if self.lost >= LOST {
            return Err(error.context("the stack cannot be watched any more"));
        }
        self.pause += jitter(BACK_OFF.min(Duration::from_secs(1 << (self.lost + self.throttled).min(5))));
        report(Progress::Doing(&format!("AWS does not answer, trying again: {}", in_words(&error))));
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
    if !event.is_failure() || event.is_cancelled() || !cause::has_evidence(&event.resource_type) {
        return;
    }
    let mut cause = cause::gather_evidence(clients, stack_id, Cause::from(event)).await;
    if let Some(said) = said.filter(|said| !cause.has_task && !cause.reason.contains(said)) {
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
mod tests {
    use aws_sdk_cloudformation::Client;
    use aws_sdk_cloudformation::config::{BehaviorVersion, Config};

    use super::*;
    use crate::stack::events::Mark;
    use model::outcome::{AwsClass, AwsError};
    use model::progress::unread;

    /// A look that AWS answers with this; nothing is asked.
    fn failed(class: AwsClass) -> anyhow::Error {
        let said = AwsError { operation: "cloudformation:DescribeStacks".to_owned(), code: None, class, refused: true };
        Failure::new(Exit::Failed, FailureKind::Aws, "it failed").aws(said).into()
    }

    #[test]
    fn polling_that_is_throttled_for_minutes_decides_nothing() {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let clients = Clients::modelled(Client::from_conf(config));
        let mut following = Following::new(&clients, Watch::of("arn:stack", None, Mark::nothing()));
        for _ in 0..60 {
            following.endure(failed(AwsClass::Throttled), &unread).unwrap();
        }
        // Every other look that fails counts.
        for _ in 1..LOST {
            following.endure(failed(AwsClass::Lost), &unread).unwrap();
        }
        following.endure(failed(AwsClass::Lost), &unread).unwrap_err();
    }
}
