//! What an operation is watched for, and whether the status that AWS shows belongs to it or is still the one before it.
//!
//! AWS shows a new status and the events independently of each other, and either may be up to a minute late. So a final
//! status counts as the end only if something ties it to the operation.

use std::time::Duration;

use tokio::time::Instant;

use super::events::Mark;
use model::stack::{Event, Stack};
use model::status::{self, Ending};

/// What is watched, and what ends watching.
#[derive(Debug)]
pub struct Watch<'a> {
    pub stack_id: &'a str,
    /// The stack as it was before the operation, which AWS may still show for a while.
    pub before: Option<&'a Stack>,
    pub mark: Mark,
    /// The tokens of the calls that began the operation; none if another run began it.
    pub tokens: Vec<String>,
    /// Whether the operation may not have begun: watching then also ends if there is no sign of it.
    pub in_doubt: bool,
    /// Whether the operation deletes the stack.
    pub deleting: bool,
    /// Whether watching stops as soon as the operation can only fail.
    pub until_hopeless: bool,
    /// Whether watching stops when a deployment waits for verification.
    pub until_paused: bool,
}

impl<'a> Watch<'a> {
    /// Watches to the end of the operation.
    pub fn of(stack_id: &'a str, before: Option<&'a Stack>, mark: Mark) -> Self {
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

/// How long AWS may show the status or the events from before an operation. After as long without a sign of it, none is
/// expected any more.
pub(super) const LAG: Duration = Duration::from_secs(90);

/// What has been observed of an operation so far.
#[derive(Debug)]
pub(super) struct StateTracker {
    /// Whether there was any sign of it.
    began: bool,
    /// When something changed last.
    changed: Instant,
    status: String,
    events: usize,
    /// When a final status was seen first.
    ended: Option<Instant>,
}

/// What a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    /// It has failed, and the events with the reason have not arrived yet.
    AwaitsReason,
    /// Its events say that it is complete, and the stack is still described as before.
    AwaitsState,
    Ended {
        ending: Ending,
        /// Whether there was any sign of the operation.
        began: bool,
    },
}

impl StateTracker {
    pub(super) fn new() -> Self {
        Self { began: false, changed: Instant::now(), status: String::new(), events: 0, ended: None }
    }

    /// Assesses the state of a stack. `events` are those since the mark, or `None` if they cannot be read.
    pub(super) fn assess(&mut self, watch: &Watch<'_>, stack: &Stack, events: Option<&[Event]>) -> Verdict {
        let known = events.unwrap_or_default();
        if self.status != stack.status || self.events != known.len() {
            (self.status, self.events, self.changed) = (stack.status.clone(), known.len(), Instant::now());
        }
        let own = newest_own(watch, known);
        let is_new = is_new(watch, stack, own);
        self.began |= is_new || own.is_some();
        let ending = match status::ending(&stack.status) {
            // This is an end only for a creation that may never have begun.
            None if watch.in_doubt && stack.status == "REVIEW_IN_PROGRESS" => Some(Ending::Stuck),
            ending => ending,
        };
        let Some(ending) = ending else {
            self.ended = None;
            return Verdict::GoesOn;
        };
        if !is_new {
            let given_up = self.changed.elapsed() > LAG;
            return if given_up { Verdict::Ended { ending, began: self.began } } else { Verdict::GoesOn };
        }
        let since = *self.ended.get_or_insert_with(Instant::now);
        if since.elapsed() > LAG {
            return Verdict::Ended { ending, began: self.began };
        }
        match ending {
            // The new outputs and parameters are needed.
            Ending::Done if watch.before == Some(stack) => Verdict::AwaitsState,
            Ending::RolledBack | Ending::RolledBackToNothing | Ending::Stuck
                if events.is_some() && !has_final_event(watch, known, &stack.status) =>
            {
                Verdict::AwaitsReason
            }
            _ => Verdict::Ended { ending, began: self.began },
        }
    }
}

/// Whether the status cannot be the one from before the operation.
fn is_new(watch: &Watch<'_>, stack: &Stack, own: Option<&Event>) -> bool {
    // A deletion ends in no other status, and a creation begins after this one.
    if watch.deleting && !stack.status.starts_with("DELETE") || stack.status == "REVIEW_IN_PROGRESS" {
        return false;
    }
    let differs = |before: &Stack| before.status != stack.status || before.updated != stack.updated;
    watch.before.is_none_or(differs) || own.is_some_and(|own| own.status == stack.status)
}

/// Whether the events include the stack's own final event.
fn has_final_event(watch: &Watch<'_>, events: &[Event], status: &str) -> bool {
    // If another run began it, the mark may have been set after its last event.
    let before = if watch.tokens.is_empty() { watch.mark.before() } else { &[] };
    let own = newest_own(watch, events).or_else(|| newest_own(watch, before));
    own.is_some_and(|own| own.status == status)
}

/// The stack's newest own event that belongs to the operation.
fn newest_own<'e>(watch: &Watch<'_>, events: &'e [Event]) -> Option<&'e Event> {
    // Events of the previous operation may arrive late. Emulators give no token.
    let ours = |event: &&Event| {
        watch.tokens.is_empty() || event.token.as_ref().is_none_or(|token| watch.tokens.contains(token))
    };
    let own = events.iter().filter(|event| event.is_own(watch.stack_id)).filter(ours);
    own.max_by(|one, other| one.seconds.total_cmp(&other.seconds))
}

#[cfg(test)]
mod tests {
    use model::stack::STACK_TYPE;

    use super::*;

    const ID: &str = "arn:stack";

    fn stack(status: &str, updated: &str) -> Stack {
        Stack { id: ID.to_owned(), status: status.to_owned(), updated: Some(updated.to_owned()), ..Stack::default() }
    }

    fn own(status: &str, token: Option<&str>) -> Event {
        Event {
            status: status.to_owned(),
            resource_type: STACK_TYPE.to_owned(),
            physical_id: Some(ID.to_owned()),
            token: token.map(str::to_owned),
            ..Event::default()
        }
    }

    fn verdict(before: Option<&Stack>, now: &Stack, events: &[Event]) -> Verdict {
        let watch = Watch { tokens: vec!["ours".to_owned()], ..Watch::of(ID, before, Mark::nothing()) };
        StateTracker::new().assess(&watch, now, Some(events))
    }

    #[tokio::test]
    async fn a_status_counts_as_the_end_only_if_something_ties_it_to_the_operation() {
        let before = stack("UPDATE_COMPLETE", "1");
        let done = Verdict::Ended { ending: Ending::Done, began: true };
        let begun = own("UPDATE_IN_PROGRESS", Some("ours"));
        let ended = own("UPDATE_COMPLETE", Some("ours"));
        // Without a changed time of the update.
        let changed = Stack { outputs: [("Url".to_owned(), "new".to_owned())].into(), ..before.clone() };
        let earlier = own("UPDATE_COMPLETE", Some("of the release before"));
        let nameless = own("UPDATE_COMPLETE", None);
        for (now, events, expected) in [
            (&before, vec![], Verdict::GoesOn),
            (&before, vec![begun.clone()], Verdict::GoesOn),
            (&before, vec![earlier.clone()], Verdict::GoesOn),
            (&before, vec![begun.clone(), ended.clone()], Verdict::AwaitsState),
            (&before, vec![begun.clone(), nameless], Verdict::AwaitsState),
            (&changed, vec![begun.clone(), ended], done),
            (&stack("UPDATE_COMPLETE", "2"), vec![], done),
            (&stack("UPDATE_IN_PROGRESS", "2"), vec![begun.clone()], Verdict::GoesOn),
            (&stack("UPDATE_ROLLBACK_COMPLETE", "2"), vec![begun], Verdict::AwaitsReason),
        ] {
            assert_eq!(verdict(Some(&before), now, &events), expected, "{now:?} {events:?}");
        }
        assert_eq!(verdict(None, &stack("CREATE_COMPLETE", "1"), &[]), done);
        assert_eq!(verdict(None, &stack("REVIEW_IN_PROGRESS", "1"), &[]), Verdict::GoesOn);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_without_any_sign_is_given_up() {
        let before = stack("UPDATE_COMPLETE", "1");
        let watch = Watch { in_doubt: true, ..Watch::of(ID, Some(&before), Mark::nothing()) };
        for status in ["UPDATE_COMPLETE", "REVIEW_IN_PROGRESS"] {
            let mut tracker = StateTracker::new();
            assert_eq!(tracker.assess(&watch, &stack(status, "1"), None), Verdict::GoesOn);
            tokio::time::advance(LAG / 2).await;
            assert_eq!(tracker.assess(&watch, &stack(status, "1"), None), Verdict::GoesOn);
            tokio::time::advance(LAG).await;
            let verdict = tracker.assess(&watch, &stack(status, "1"), None);
            assert!(matches!(verdict, Verdict::Ended { began: false, .. }), "{status}: {verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_reason_ends() {
        let before = stack("UPDATE_COMPLETE", "1");
        let watch = Watch::of(ID, Some(&before), Mark::nothing());
        let failed = stack("UPDATE_ROLLBACK_COMPLETE", "2");
        let mut tracker = StateTracker::new();
        assert_eq!(tracker.assess(&watch, &failed, Some(&[])), Verdict::AwaitsReason);
        tokio::time::advance(LAG * 2).await;
        let ended = Verdict::Ended { ending: Ending::RolledBack, began: true };
        assert_eq!(tracker.assess(&watch, &failed, Some(&[])), ended);
        assert_eq!(StateTracker::new().assess(&watch, &failed, None), ended, "events that cannot be read");
    }

    #[tokio::test]
    async fn a_deletion_ends_only_in_deleted() {
        let before = stack("CREATE_IN_PROGRESS", "1");
        let watch = Watch { deleting: true, ..Watch::of(ID, Some(&before), Mark::nothing()) };
        let mut tracker = StateTracker::new();
        assert_eq!(tracker.assess(&watch, &stack("ROLLBACK_COMPLETE", "1"), Some(&[])), Verdict::GoesOn);
        let ended = tracker.assess(&watch, &stack("DELETE_COMPLETE", "1"), Some(&[]));
        assert_eq!(ended, Verdict::Ended { ending: Ending::Done, began: true });
    }
}
