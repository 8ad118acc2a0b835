//! Which of the recorded releases the stack runs, and which ones a rollback can deploy again.
//!
//! Pure: compares records with the stack.

use config::deployment::Environment;

use super::record::{Outcome, Record};
use crate::stack::Stack;

/// What identifies the record of a stack's state.
#[derive(Debug, Clone, Copy, Default)]
pub struct StackState<'a> {
    pub image: Option<&'a str>,
    /// The stack's own time of its last change.
    pub updated: Option<&'a str>,
}

impl<'a> StackState<'a> {
    pub fn of(environment: &Environment, stack: Option<&'a Stack>) -> Self {
        let image = stack.and_then(|stack| stack.image_uri(environment));
        Self { image, updated: stack.and_then(|stack| stack.updated.as_deref()) }
    }
}

/// The release that runs: the latest successful one, unless the stack was changed after it.
pub fn running<'a>(records: &'a [Record], runs: StackState<'_>) -> Option<&'a Record> {
    let newest = succeeded(records).next()?;
    // A release that was rolled back has restored the one before.
    let back = records.first().is_some_and(|last| last.outcome == Outcome::RolledBack);
    let same = Some(newest.image.as_str()) == runs.image && (back || newest.stack_updated.as_deref() == runs.updated);
    same.then_some(newest)
}

/// The releases that a rollback can deploy, latest first: successful ones, each state once.
///
/// A state without a record was interrupted or failed. A rollback from it leads to the latest successful release,
/// unless it is the state that an interrupted rollback was to deploy: then that rollback is continued.
pub fn rollback_targets<'a>(records: &'a [Record], runs: StackState<'_>) -> Vec<&'a Record> {
    let Some(newest) = succeeded(records).next() else { return Vec::new() };
    let before = before(records, newest);
    if running(records, runs).is_some() {
        return before;
    }
    let unfinished = records.first().is_some_and(|last| last.number > newest.number);
    let going_back = before.first().is_some_and(|back| Some(back.image.as_str()) == runs.image);
    if going_back && !unfinished && Some(newest.image.as_str()) != runs.image {
        return before;
    }
    [vec![newest], before].concat()
}

/// Successful releases older than the state of `newest` and different from it, latest first.
fn before<'a>(records: &'a [Record], newest: &Record) -> Vec<&'a Record> {
    let mut found: Vec<&Record> = Vec::new();
    for record in succeeded(records).filter(|record| record.back_to.is_none() && record.number < newest.origin()) {
        if !newest.is_same_as(record) && !found.iter().any(|other| other.is_same_as(record)) {
            found.push(record);
        }
    }
    found
}

/// Successful releases, latest first.
pub fn succeeded(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(|record| record.outcome == Outcome::Succeeded)
}

#[cfg(test)]
mod tests {
    use crate::record::Change;

    use super::*;

    fn record(number: i64, image: &str, outcome: Outcome, back_to: Option<i64>) -> Record {
        Record {
            number,
            outcome,
            change: Change::Update,
            image: image.to_owned(),
            inputs: "0123".to_owned(),
            commit: None,
            by: "arn:aws:iam::111122223333:user/releaser".to_owned(),
            run: None,
            at: "2026-01-02T03:04:05Z".to_owned(),
            seconds: 1.5,
            stack_updated: Some(format!("time {number}")),
            back_to,
            cause: None,
            took: Vec::new(),
        }
    }

    /// From the state of the latest successful record.
    fn numbers(records: &[Record], image: &str) -> Vec<i64> {
        let updated = succeeded(records).next().and_then(|record| record.stack_updated.as_deref());
        from(records, StackState { image: Some(image), updated })
    }

    /// From a stack that was changed afterwards.
    fn unrecorded(records: &[Record], image: &str) -> Vec<i64> {
        from(records, StackState { image: Some(image), updated: Some("later") })
    }

    fn from(records: &[Record], runs: StackState<'_>) -> Vec<i64> {
        rollback_targets(records, runs).iter().map(|record| record.number).collect()
    }

    #[test]
    fn a_rollback_deploys_successful_and_different_releases_only() {
        use Outcome::{RolledBack, Succeeded, Unproved};
        let records = [
            record(6, "d", RolledBack, None),
            record(5, "c", Succeeded, None),
            record(4, "b", Unproved, None),
            record(3, "c", Succeeded, None),
            record(2, "a", Succeeded, None),
            record(1, "a", Succeeded, None),
        ];
        assert_eq!(numbers(&records, "c"), [2]);
        assert_eq!(numbers(&records[5..], "a"), <[i64; 0]>::default());
        assert_eq!(numbers(&[], "a"), <[i64; 0]>::default());
    }

    #[test]
    fn from_a_state_without_a_record_a_rollback_leads_to_the_latest_successful_release() {
        use Outcome::{Succeeded, Unproved};
        let records = [record(3, "c", Unproved, None), record(2, "b", Succeeded, None)];
        assert_eq!(unrecorded(&records, "c"), [2]);
        // Also where an older release had the same image, with other parameters.
        let records =
            [record(6, "b", Unproved, None), record(5, "a", Succeeded, None), record(4, "b", Succeeded, None)];
        assert_eq!(unrecorded(&records, "b"), [5, 4]);
        let records = [record(2, "a", Unproved, None), record(1, "a", Succeeded, None)];
        assert_eq!(unrecorded(&records, "a"), [1]);
    }

    #[test]
    fn a_release_that_was_rolled_back_leaves_the_one_before_running() {
        let records = [
            record(3, "x", Outcome::RolledBack, None),
            record(2, "b", Outcome::Succeeded, None),
            record(1, "a", Outcome::Succeeded, None),
        ];
        assert_eq!(unrecorded(&records, "b"), [1]);
    }

    #[test]
    fn a_rollback_that_was_interrupted_is_gone_on_with() {
        use Outcome::Succeeded;
        let records =
            [record(5, "c", Succeeded, None), record(4, "b", Succeeded, None), record(3, "a", Succeeded, None)];
        assert_eq!(numbers(&records, "c"), [4, 3]);
        assert_eq!(unrecorded(&records, "b"), [4, 3]);
        assert_eq!(unrecorded(&records, "x"), [5, 4, 3]);
    }

    #[test]
    fn going_back_twice_goes_on_back_and_not_forward_again() {
        let records = [
            record(4, "b", Outcome::Succeeded, Some(2)),
            record(3, "c", Outcome::Succeeded, None),
            record(2, "b", Outcome::Succeeded, None),
            record(1, "a", Outcome::Succeeded, None),
        ];
        assert_eq!(numbers(&records, "b"), [1]);
    }
}
