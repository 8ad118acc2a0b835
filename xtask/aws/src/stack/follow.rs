//! Follows a stack's operation event by event until it ends, or until it can only fail.
//!
//! The stack's own status decides how an operation ended; events and tasks only explain it. So a failed call for those is
//! only a warning.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::stack::cause::{self, Cause};
use crate::stack::crash::CrashDetector;
use crate::stack::pause::{Pause, PauseDetector};
use crate::stack::watch::{LAG, StateTracker, Verdict};
use crate::stack::{self, Watch};
use crate::{Clients, error};
use machine::http::jitter;
use model::outcome::{Exit, Failure, FailureKind};
use model::progress::{Progress, Reporter};
use model::stack::{Event, Stack};
use model::status::Ending;

/// How long an operation is watched; CloudFormation's own timeouts end most of them much earlier.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);
/// The first pause between two polls.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two polls; AWS throttles clients that poll more often.
const PAUSE: Duration = Duration::from_secs(5);
/// Consecutive polls that may fail before watching ends. The SDK has retried each of them.
const MAX_FAILED_POLLS: u32 = 10;
/// The longest additional pause after a failed poll.
const BACK_OFF: Duration = Duration::from_secs(30);

/// How an operation ended.
#[derive(Debug)]
pub struct Followed {
    pub ending: Ending,
    /// Whether there was any sign of the operation, in the stack's status or its events.
    pub began: bool,
    /// The stack at its end; `None` if it is deleted.
    pub stack: Option<Stack>,
    /// Events since the start, oldest first.
    pub events: Vec<Event>,
    /// What explains failed resources, collected before a rollback removes it.
    pub evidence: Vec<Cause>,
}

/// Why watching stopped.
#[derive(Debug)]
pub enum Watched {
    Ended(Followed),
    /// The operation goes on and can only fail; the reason has been shown.
    Hopeless {
        cause: Cause,
    },
    /// A deployment waits for verification, and continues or rolls back when it is answered.
    Paused(Pause),
}

/// Watching that can be resumed where it stopped.
#[derive(Debug)]
pub struct Following<'a> {
    clients: &'a Clients,
    watch: Watch<'a>,
    events: Vec<Event>,
    evidence: Vec<Cause>,
    crashes: CrashDetector,
    pauses: PauseDetector,
    tracker: StateTracker,
    started: Instant,
    pause: Duration,
    /// Whether the stack has been described at all.
    seen: bool,
    /// Consecutive polls that failed, and those that were throttled.
    failed_polls: u32,
    throttled_polls: u32,
    unreadable: bool,
    warned: bool,
}

/// Watches to the end of the operation.
pub async fn to_end(clients: &Clients, watch: Watch<'_>, report: Reporter<'_>) -> Result<Followed> {
    let watch = Watch { until_hopeless: false, until_paused: false, ..watch };
    match Following::new(clients, watch).watch(report).await? {
        Watched::Ended(followed) => Ok(followed),
        Watched::Hopeless { .. } | Watched::Paused(_) => {
            unreachable!("watching stops early only if that was asked for")
        }
    }
}

impl<'a> Following<'a> {
    pub fn new(clients: &'a Clients, watch: Watch<'a>) -> Self {
        Self {
            clients,
            watch,
            events: Vec::new(),
            evidence: Vec::new(),
            crashes: CrashDetector::new(),
            pauses: PauseDetector::new(),
            tracker: StateTracker::new(),
            started: Instant::now(),
            pause: clients.pause(FIRST_PAUSE),
            seen: false,
            failed_polls: 0,
            throttled_polls: 0,
            unreadable: false,
            warned: false,
        }
    }

    /// Watches only for the end from here on: the cause of the failure is known. `cancelled` is the token of the call that
    /// cancelled the operation.
    pub fn only_ends(&mut self, cause: Cause, cancelled: Option<String>, deleting: bool) {
        self.evidence.push(cause);
        self.watch.tokens.extend(cancelled);
        (self.watch.deleting, self.watch.until_hopeless) = (deleting, false);
    }

    /// Shows new events until the operation ends or, if asked for, until it can only fail or waits for verification.
    ///
    /// # Errors
    /// AWS was unreachable for too long, or the deadline has passed: the operation itself goes on.
    pub async fn watch(&mut self, report: Reporter<'_>) -> Result<Watched> {
        let stack_id = self.watch.stack_id;
        let show = |event: &Event| {
            let line = event.to_string();
            let name = (!event.is_own(stack_id)).then_some(event.logical_id.as_str());
            // Consequences of another failure would only push the cause off the screen.
            if event.is_failure() && event.is_cancelled() {
                report(Progress::Doing(&line))
            } else {
                report(Progress::Resource { name, line: &line, state: event.state() })
            }
        };
        self.watch_with(report, show).await
    }

    /// As [`Following::watch`], with a choice of how events are shown.
    pub async fn watch_with(&mut self, report: Reporter<'_>, mut show: impl FnMut(&Event)) -> Result<Watched> {
        self.pause = self.clients.pause(FIRST_PAUSE);
        loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(self.clients.pause(PAUSE));
            // Status before events, so that the final events are among those read if AWS shows them in time.
            let described = stack::describe(&self.clients.cloudformation, self.watch.stack_id).await;
            self.read_events(report, &mut show).await;
            match described {
                Ok(None) if self.watch.deleting => return Ok(self.ended(Ending::Done, true, None)),
                Ok(Some(stack)) => {
                    (self.seen, self.failed_polls, self.throttled_polls) = (true, 0, 0);
                    report(Progress::Doing(&stack.status));
                    let events = (!self.unreadable).then_some(self.events.as_slice());
                    match self.tracker.assess(&self.watch, &stack, events) {
                        Verdict::Ended { ending, began } => return Ok(self.ended(ending, began, Some(stack))),
                        Verdict::AwaitsReason => {
                            report(Progress::Doing(&format!(
                                "{}, waiting for the events with the reason",
                                stack.status
                            )));
                        }
                        Verdict::AwaitsState => report(Progress::Doing("AWS, to show the new status")),
                        Verdict::GoesOn => {}
                    }
                    if let Some(watched) = self.poll_services(&stack.status, report).await {
                        return Ok(watched);
                    }
                }
                // A new stack is not visible everywhere yet.
                Ok(None) if !self.seen && self.started.elapsed() < LAG => {
                    report(Progress::Doing("AWS, to show the stack"))
                }
                Ok(None) if self.seen && self.failed_polls + 1 < MAX_FAILED_POLLS => self.failed_polls += 1,
                Ok(None) => return Ok(self.ended(Ending::Stuck, true, None)),
                Err(error) => self.tolerate(error, report)?,
            }
            if self.started.elapsed() > DEADLINE {
                let message = format!("the stack is still in progress after {} minutes", DEADLINE.as_secs() / 60);
                let failure = Failure::new(Exit::NeedsHuman, FailureKind::Deadline, message);
                return Err(failure.resource(self.watch.stack_id).into());
            }
        }
    }

    /// Checks the services of a stack in progress.
    async fn poll_services(&mut self, status: &str, report: Reporter<'_>) -> Option<Watched> {
        let say = |text: &str| report(Progress::Line(text));
        let Self { clients, watch, events, evidence, crashes, pauses, .. } = self;
        let happened = || watch.mark.before().iter().chain(events.iter());
        if matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
            && let Some(cause) = crashes.poll(clients, watch.stack_id, happened(), &say).await
        {
            if watch.until_hopeless {
                return Some(Watched::Hopeless { cause });
            }
            evidence.push(cause);
        }
        if crashes.is_denied() {
            return None;
        }
        let pause = pauses.poll(clients, status, happened(), &say).await?;
        if watch.until_paused {
            return Some(Watched::Paused(pause));
        }
        say("the command that deployed it verifies it; repeat that command to resume the verification");
        None
    }

    async fn read_events(&mut self, report: Reporter<'_>, show: &mut impl FnMut(&Event)) {
        match self.watch.mark.fresh(&self.clients.cloudformation, self.watch.stack_id).await {
            Ok(new) => {
                self.unreadable = false;
                for event in new {
                    show(&event);
                    let start_failure = self.crashes.start_failure(&event.logical_id);
                    collect(self.clients, self.watch.stack_id, &event, start_failure, &mut self.evidence).await;
                    self.events.push(event);
                }
            }
            Err(error) if error::is_throttled(&Failure::of(&error)) => self.pause += jitter(PAUSE),
            // The next description of the stack fails, too, and reports it.
            Err(error) if error::is_expired(&Failure::of(&error)) => {}
            Err(_) if !self.seen => {}
            Err(error) => {
                self.unreadable = true;
                if !std::mem::replace(&mut self.warned, true) {
                    report(Progress::Line(&format!("events cannot be read: {}", error_text(&error))));
                }
            }
        }
    }

    /// Tolerates a failed poll, unless there were too many.
    fn tolerate(&mut self, error: anyhow::Error, report: Reporter<'_>) -> Result<()> {
        let failure = Failure::of(&error);
        if error::is_expired(&failure) {
            // Another attempt with the same credentials cannot help.
            let message = "the stack cannot be watched any more: the credentials have expired".to_owned();
            let hint = failure.hint.clone();
            let failure = Failure { exit: Exit::NeedsHuman, kind: FailureKind::Credentials, message, ..failure };
            return Err(hint.into_iter().fold(failure, Failure::note).into());
        }
        // Throttling says nothing about the stack.
        if error::is_throttled(&failure) {
            self.throttled_polls += 1;
        } else {
            self.failed_polls += 1;
        }
        if self.failed_polls >= MAX_FAILED_POLLS {
            return Err(error.context("the stack cannot be watched any more"));
        }
        self.pause += jitter(BACK_OFF.min(Duration::from_secs(1 << (self.failed_polls + self.throttled_polls).min(5))));
        report(Progress::Doing(&format!("AWS does not answer, trying again: {}", error_text(&error))));
        Ok(())
    }

    fn ended(&mut self, ending: Ending, began: bool, stack: Option<Stack>) -> Watched {
        let (events, evidence) = (std::mem::take(&mut self.events), std::mem::take(&mut self.evidence));
        Watched::Ended(Followed { ending, began, stack, events, evidence })
    }
}

/// Collects what explains a failed resource; what an earlier poll found stays if nothing is left. `start_failure` is the
/// message of ECS about tasks that could not be started.
async fn collect(
    clients: &Clients,
    stack_id: &str,
    event: &Event,
    start_failure: Option<&str>,
    evidence: &mut Vec<Cause>,
) {
    if !event.is_failure() || event.is_cancelled() || !cause::has_evidence(&event.resource_type) {
        return;
    }
    let mut cause = cause::gather_evidence(clients, stack_id, Cause::from(event)).await;
    if let Some(message) = start_failure.filter(|message| !cause.has_task && !cause.reason.contains(message)) {
        cause.reason = format!("{}; ECS says: {message}", cause.reason);
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

fn error_text(error: &anyhow::Error) -> String {
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

    /// A failed poll.
    fn poll_error(class: AwsClass) -> anyhow::Error {
        let error =
            AwsError { operation: "cloudformation:DescribeStacks".to_owned(), code: None, class, refused: true };
        Failure::new(Exit::Failed, FailureKind::Aws, "it failed").aws(error).into()
    }

    #[test]
    fn throttled_polls_do_not_end_watching() {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let clients = Clients::with_cloudformation(Client::from_conf(config));
        let mut following = Following::new(&clients, Watch::of("arn:stack", None, Mark::nothing()));
        for _ in 0..60 {
            following.tolerate(poll_error(AwsClass::Throttled), &unread).unwrap();
        }
        // Every other failure counts.
        for _ in 1..MAX_FAILED_POLLS {
            following.tolerate(poll_error(AwsClass::Lost), &unread).unwrap();
        }
        following.tolerate(poll_error(AwsClass::Lost), &unread).unwrap_err();
    }
}
