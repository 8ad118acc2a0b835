//! What an operation is watched for, and whether the state that AWS shows is the operation's, or still the one from before it.
//!
//! The time at which AWS shows a new state and the time at which it shows the events are independent of each other, and
//! either may be up to a minute late. So a state at rest counts as the end only if something ties it to the operation.

use std::time::Duration;

use tokio::time::Instant;

use super::events::Mark;
use model::stack::Event;
use model::stack::Stack;
use model::status;
use model::status::Ending;

/// What is watched.
#[derive(Debug)]
pub struct Watch<'a> {
    pub stack_id: &'a str,
    /// The stack as it was before the operation, which AWS may still show for a while.
    pub before: Option<&'a Stack>,
    pub mark: Mark,
    /// The tokens of the calls that began the operation; none where another run did.
    pub tokens: Vec<String>,
    /// Whether it is not known that the operation has begun: then watching also ends where nothing is seen of it.
    pub in_doubt: bool,
    /// Whether the operation ends with no stack.
    pub deleting: bool,
    /// Whether watching stops when the operation can only fail.
    pub until_hopeless: bool,
    /// Whether watching stops when a deployment waits for its proof.
    pub until_paused: bool,
}

impl<'a> Watch<'a> {
    /// To the end, whatever is seen on the way.
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

/// Longest that AWS may show the state or the events from before an operation: after as long without any sign of it,
/// nothing more is expected.
pub(super) const LAG: Duration = Duration::from_secs(90);

/// What was seen of an operation up to now.
#[derive(Debug)]
pub(super) struct StateTracker {
    /// Whether anything showed that it has begun.
    began: bool,
    /// The last time that anything changed.
    changed: Instant,
    status: String,
    events: usize,
    /// When the end was seen first.
    at_rest: Option<Instant>,
}

/// What a state means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    /// It has failed, and the events that say why have not come yet.
    AwaitsReason,
    /// Its events say that it is done, and the stack is still described as it was before.
    AwaitsState,
    Ended {
        ending: Ending,
        /// Whether anything was seen of the operation.
        began: bool,
    },
}

impl StateTracker {
    pub(super) fn new() -> Self {
        Self { began: false, changed: Instant::now(), status: String::new(), events: 0, at_rest: None }
    }

    /// Judges the state of a stack. `events` are those since the mark, or `None` where they cannot be read.
    pub(super) fn assess(&mut self, watch: &Watch<'_>, stack: &Stack, events: Option<&[Event]>) -> Verdict {
        let known = events.unwrap_or_default();
        if self.status != stack.status || self.events != known.len() {
            (self.status, self.events, self.changed) = (stack.status.clone(), known.len(), Instant::now());
        }
        let own = newest_own(watch, known);
        let is_new = is_new(watch, stack, own);
        self.began |= is_new || own.is_some();
        let at_rest = match status::ending(&stack.status) {
            // Only of a creation that may never have begun is this an end.
            None if watch.in_doubt && stack.status == "REVIEW_IN_PROGRESS" => Some(Ending::Stuck),
            ending => ending,
        };
        let Some(ending) = at_rest else {
            self.at_rest = None;
            return Verdict::GoesOn;
        };
        if !is_new {
            let given_up = self.changed.elapsed() > LAG;
            return if given_up { Verdict::Ended { ending, began: self.began } } else { Verdict::GoesOn };
        }
        let since = *self.at_rest.get_or_insert_with(Instant::now);
        if since.elapsed() > LAG {
            return Verdict::Ended { ending, began: self.began };
        }
        match ending {
            // Its outputs and parameters are needed.
            Ending::Done if watch.before == Some(stack) => Verdict::AwaitsState,
            Ending::RolledBack | Ending::RolledBackToNothing | Ending::Stuck
                if events.is_some() && !says(watch, known, &stack.status) =>
            {
                Verdict::AwaitsReason
            }
            _ => Verdict::Ended { ending, began: self.began },
        }
    }
}

/// Whether the state cannot be the one from before the operation.
fn is_new(watch: &Watch<'_>, stack: &Stack, own: Option<&Event>) -> bool {
    // A deletion has no other end, and a creation begins after this.
    if watch.deleting && !stack.status.starts_with("DELETE") || stack.status == "REVIEW_IN_PROGRESS" {
        return false;
    }
    let differs = |before: &Stack| before.status != stack.status || before.updated != stack.updated;
    watch.before.is_none_or(differs) || own.is_some_and(|own| own.status == stack.status)
}

/// Whether the events reach to the stack's own word of its end.
fn says(watch: &Watch<'_>, events: &[Event], status: &str) -> bool {
    // Where somebody else began it, the mark may have been set after its last event.
    let before = if watch.tokens.is_empty() { watch.mark.before() } else { &[] };
    let own = newest_own(watch, events).or_else(|| newest_own(watch, before));
    own.is_some_and(|own| own.status == status)
}

/// The newest word of the stack on itself that belongs to the operation.
fn newest_own<'e>(watch: &Watch<'_>, events: &'e [Event]) -> Option<&'e Event> {
    // Events of the operation before may come late. Emulators do not say whose they are.
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
    async fn a_state_counts_as_the_end_only_if_something_ties_it_to_the_operation() {
        let before = stack("UPDATE_COMPLETE", "1");
        let done = Verdict::Ended { ending: Ending::Done, began: true };
        let begun = own("UPDATE_IN_PROGRESS", Some("ours"));
        let ended = own("UPDATE_COMPLETE", Some("ours"));
        // Where nobody says when it was updated.
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
    async fn what_shows_no_sign_for_long_is_given_up() {
        let before = stack("UPDATE_COMPLETE", "1");
        let watch = Watch { in_doubt: true, ..Watch::of(ID, Some(&before), Mark::nothing()) };
        for status in ["UPDATE_COMPLETE", "REVIEW_IN_PROGRESS"] {
            let mut progress = StateTracker::new();
            assert_eq!(progress.assess(&watch, &stack(status, "1"), None), Verdict::GoesOn);
            tokio::time::advance(LAG / 2).await;
            assert_eq!(progress.assess(&watch, &stack(status, "1"), None), Verdict::GoesOn);
            tokio::time::advance(LAG).await;
            let verdict = progress.assess(&watch, &stack(status, "1"), None);
            assert!(matches!(verdict, Verdict::Ended { began: false, .. }), "{status}: {verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_that_does_not_come_is_not_waited_for_without_end() {
        let before = stack("UPDATE_COMPLETE", "1");
        let watch = Watch::of(ID, Some(&before), Mark::nothing());
        let failed = stack("UPDATE_ROLLBACK_COMPLETE", "2");
        let mut progress = StateTracker::new();
        assert_eq!(progress.assess(&watch, &failed, Some(&[])), Verdict::AwaitsReason);
        tokio::time::advance(LAG * 2).await;
        let ended = Verdict::Ended { ending: Ending::RolledBack, began: true };
        assert_eq!(progress.assess(&watch, &failed, Some(&[])), ended);
        assert_eq!(StateTracker::new().assess(&watch, &failed, None), ended, "events that cannot be read");
    }

    #[tokio::test]
    async fn a_deletion_ends_in_no_other_state() {
        let before = stack("CREATE_IN_PROGRESS", "1");
        let watch = Watch { deleting: true, ..Watch::of(ID, Some(&before), Mark::nothing()) };
        let mut progress = StateTracker::new();
        assert_eq!(progress.assess(&watch, &stack("ROLLBACK_COMPLETE", "1"), Some(&[])), Verdict::GoesOn);
        let ended = progress.assess(&watch, &stack("DELETE_COMPLETE", "1"), Some(&[]));
        assert_eq!(ended, Verdict::Ended { ending: Ending::Done, began: true });
    }
}
