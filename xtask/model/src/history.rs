//! Which of the recorded releases runs, and which ones one can go back to.
//!
//! Pure: reads records and what the stack says of itself.

use super::record::{Outcome, Record};
use crate::stack::Stack;

/// What the stack has, as far as a record can be recognized by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Runs<'a> {
    pub image: Option<&'a str>,
    /// The stack's own time of its last change.
    pub updated: Option<&'a str>,
}

impl<'a> From<Option<&'a Stack>> for Runs<'a> {
    fn from(stack: Option<&'a Stack>) -> Self {
        Self { image: stack.and_then(Stack::container_uri), updated: stack.and_then(|stack| stack.updated.as_deref()) }
    }
}

/// The release that runs: the newest good one, if the stack was not changed after it.
pub fn running<'a>(records: &'a [Record], runs: Runs<'_>) -> Option<&'a Record> {
    let newest = good(records).next()?;
    // What was rolled back has left the release before as it was.
    let back = records.first().is_some_and(|last| last.outcome == Outcome::RolledBack);
    let same = Some(newest.image.as_str()) == runs.image && (back || newest.stack_updated.as_deref() == runs.updated);
    same.then_some(newest)
}

/// The releases that one can go back to, the nearest first: good ones, each state once.
///
/// What runs without a record of its own was interrupted or did not succeed. The newest good release is the way back
/// from it, unless it already is what an interrupted rollback was to bring: then that is gone on with.
pub fn earlier<'a>(records: &'a [Record], runs: Runs<'_>) -> Vec<&'a Record> {
    let Some(newest) = good(records).next() else { return Vec::new() };
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

/// Good releases older than the state of `newest` and different from it, newest first.
fn before<'a>(records: &'a [Record], newest: &Record) -> Vec<&'a Record> {
    let mut found: Vec<&Record> = Vec::new();
    for record in good(records).filter(|record| record.back_to.is_none() && record.number < newest.origin()) {
        if !newest.is_same_as(record) && !found.iter().any(|other| other.is_same_as(record)) {
            found.push(record);
        }
    }
    found
}

/// Good releases, newest first.
pub fn good(records: &[Record]) -> impl Iterator<Item = &Record> {
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

    /// From what the newest good record left.
    fn numbers(records: &[Record], image: &str) -> Vec<i64> {
        let updated = good(records).next().and_then(|record| record.stack_updated.as_deref());
        from(records, Runs { image: Some(image), updated })
    }

    /// From a stack that was changed since.
    fn unrecorded(records: &[Record], image: &str) -> Vec<i64> {
        from(records, Runs { image: Some(image), updated: Some("later") })
    }

    fn from(records: &[Record], runs: Runs<'_>) -> Vec<i64> {
        earlier(records, runs).iter().map(|record| record.number).collect()
    }

    #[test]
    fn one_goes_back_to_good_and_different_releases_only() {
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
    fn what_runs_without_a_good_record_goes_back_to_the_newest_good_one() {
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
