//! An operation of a stack that was asked for without an answer.

use super::{Failure, stack};
use crate::ui::{Phase, Ui};
use aws::stack::follow::Followed;

/// The failure of the call, where it is not known whether AWS has taken it.
pub(super) struct Doubt(Option<Failure>);

impl Doubt {
    /// What a call leaves; the refusal itself where AWS has said so and nothing has begun.
    pub(super) fn of(begun: Result<(), stack::NotBegun>, phase: &Phase<'_>, ui: &Ui) -> Result<Self, Failure> {
        match begun {
            Ok(()) => Ok(Self(None)),
            Err(stack::NotBegun { failure, in_doubt: true }) => {
                let reason = failure.reason.as_deref().unwrap_or_default();
                phase.line(&format!("no answer, looking whether it has begun: {failure}: {reason}"));
                Ok(Self(Some(failure)))
            }
            Err(stack::NotBegun { failure, in_doubt: false }) => {
                ui.still_runs(None);
                Err(failure)
            }
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// The call's failure, if nothing was seen of the operation: the stack is as it was.
    pub(super) fn resolve(self, followed: &Followed) -> Result<(), Failure> {
        match self.0 {
            Some(failure) if !followed.began => {
                Err(failure.note("the stack is as it was: neither its state nor its events changed"))
            }
            _ => Ok(()),
        }
    }
}
