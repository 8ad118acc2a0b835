//! What an operation leaves in the journal.

use anyhow::{Context as _, Result};

use super::Operation;
use super::observe::Observed;
use aws::journal;
use aws::journal::inputs::{self, Inputs};
use model::job::run_url;
use model::outcome::{Exit, Failure, FailureKind};
use model::record::{Change, Outcome, Record};
use model::stack::Stack;

impl Operation<'_> {
    /// Records a release that one can go back to.
    ///
    /// # Errors
    /// What AWS says; the release itself is done then, and the next run records it.
    pub(super) async fn record(&self, observed: &Observed, stack: &Stack, change: Change, seconds: f64) -> Result<()> {
        if self.release.is_none() {
            return Ok(());
        }
        let inputs = Inputs::of(self.desired.environment, stack, &self.desired.template);
        let hash = inputs.hash();
        let stored = observed.remembered.last.as_ref().is_some_and(|last| last.inputs == hash);
        let mut record = self.as_record(Outcome::Succeeded, change, seconds, observed);
        record.inputs = hash;
        record.stack_updated.clone_from(&stack.updated);
        let client = &self.clients().ssm;
        let write = async {
            // First what a record points at.
            if !stored {
                inputs::write_inputs(client, &stack.name, &inputs).await?;
            }
            journal::record_release(client, &stack.name, &record).await
        };
        match self.session.context.interrupt.or(write).await {
            Ok(number) => {
                self.ui().note(|report| report.release = Some(number));
                Ok(())
            }
            Err(error) => {
                let cause = Failure::of(&error);
                if cause.exit == Exit::Interrupted {
                    // The next run finds the release done and records it.
                    return Err(error);
                }
                let repeat =
                    "repeat the command: it finds the release done and records it, so that one can go back to it";
                let hint = cause.hint.clone().filter(|_| aws::is_expired(&cause)).unwrap_or(repeat.to_owned());
                let reason = cause.reason.clone().map(|reason| format!("{}: {reason}", cause.message));
                Err(Failure::new(
                    Exit::NeedsHuman,
                    FailureKind::NotRecorded,
                    "the release is done, but it could not be recorded",
                )
                .resource(journal::path(&stack.name))
                .reason(reason.unwrap_or(cause.message))
                .hint(hint)
                .into())
            }
        }
    }

    /// Records what became of a release that is not good. That this may fail too must not hide why.
    pub(super) async fn record_failure(
        &self,
        change: Change,
        seconds: f64,
        observed: &Observed,
        error: &anyhow::Error,
    ) {
        let failure = Failure::of(error);
        let Some(outcome) = left_by(&failure).filter(|_| self.release.is_some()) else { return };
        let parts = [failure.resource.as_deref(), failure.reason.as_deref()];
        let cause: Vec<&str> = parts.into_iter().flatten().collect();
        let record = Record { cause: Some(cause.join(": ")), ..self.as_record(outcome, change, seconds, observed) };
        let written = journal::record_release(&self.clients().ssm, self.stack_name(), &record).await;
        match written.context("what became of the release could not be recorded") {
            Ok(number) => self.ui().note(|report| report.release = Some(number)),
            Err(error) => self.ui().warn(&format!("{:#}", Failure::of(&error))),
        }
    }

    fn as_record(&self, outcome: Outcome, change: Change, seconds: f64, observed: &Observed) -> Record {
        let (image, release) = (self.desired.image.as_ref(), self.release.as_ref());
        Record {
            number: 0,
            outcome,
            change,
            image: image.map(ToString::to_string).unwrap_or_default(),
            inputs: String::new(),
            commit: release.and_then(|release| release.commit.clone()),
            by: self.session.identity.arn.clone(),
            run: run_url(&self.session.context.vars),
            at: journal::now(),
            seconds: (seconds * 10.0).round() / 10.0,
            stack_updated: None,
            back_to: release.and_then(|release| release.back_to),
            cause: None,
            took: observed.remembered.last.as_ref().map(Record::learned).unwrap_or_default(),
        }
    }
}

/// What a failure leaves behind; nothing where it goes on, or was never begun: then the next run finds out.
pub(super) fn left_by(failure: &Failure) -> Option<Outcome> {
    Some(match (failure.exit, failure.kind) {
        (Exit::Failed, FailureKind::BeforeRelease) => Outcome::Failed,
        (Exit::Interrupted | Exit::Failed, _) | (_, FailureKind::Deadline) => return None,
        (Exit::RolledBack, _) => Outcome::RolledBack,
        (_, FailureKind::OldVersion | FailureKind::NotAnswering | FailureKind::Open) => Outcome::Unproved,
        _ => Outcome::Failed,
    })
}
