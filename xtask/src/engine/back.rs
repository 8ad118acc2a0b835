//! Back to an earlier release: what it is made of, and the way there from one that could not be proved.

use anyhow::Result;
use config::deployment::Environment;

use super::desired::{Desired, ParameterSource};
use super::observe::{Observed, observe};
use super::record::left_by;
use super::{Operation, ReleaseOptions};
use aws::journal;
use aws::journal::inputs::{self, Inputs};
use aws::journal::lock::Lock;
use aws::{Clients, ecr};
use model::history::{self, StackState};
use model::outcome::{Exit, Failure, FailureKind};
use model::record::{Outcome, Record};
use model::reference::ImageReference;
use model::template::Template;

/// What the release is made of, all of it still there.
///
/// # Errors
/// An image that is gone, a record that cannot be used, or what AWS says.
pub(crate) async fn fetch(
    clients: &Clients,
    record: &Record,
    environment: &Environment,
) -> Result<(ImageReference, Template, Inputs)> {
    let image: ImageReference = record.image.parse().map_err(anyhow::Error::new)?;
    let (has, inputs) = tokio::try_join!(
        ecr::has_image(&clients.ecr, &image),
        inputs::read_inputs(&clients.ssm, &environment.stack, &record.inputs)
    )?;
    if has == Some(false) {
        return Err(Failure::new(Exit::Failed, FailureKind::NoImage, "the release's image is gone")
            .resource(image.to_string())
            .reason("it was deleted from the registry")
            .hint("go back to another release, or release its commit again")
            .into());
    }
    let template = Template::read(&inputs.path, inputs.template.clone());
    let template = template.and_then(|template| template.for_image(environment)).map_err(|error| {
        Failure::new(Exit::Failed, FailureKind::Journal, "the release's template cannot be used")
            .reason(error.to_string())
    })?;
    Ok((image, template, inputs))
}

impl Operation<'_> {
    /// The release that ran before and may be gone back to: a good one that nobody has changed since.
    pub(super) async fn before(&self, observed: &Observed, failure: &Failure) -> Option<Record> {
        let release = self.release.as_ref()?;
        let unproved = left_by(failure) == Some(Outcome::Unproved);
        if release.keep_failed || release.back_to.is_some() || !unproved || observed.settled().is_none() {
            return None;
        }
        match journal::list_releases(&self.clients().ssm, self.stack_name()).await {
            Ok(records) => {
                let runs = StackState::of(self.desired.environment, observed.stack.as_ref());
                history::running(&records, runs).cloned()
            }
            Err(error) => {
                self.ui().warn(&format!("what ran before is not known: {:#}", Failure::of(&error)));
                None
            }
        }
    }

    /// Under the lock: goes back to `target`, and says how the command ends.
    pub(super) async fn take_back(&self, lock: &Lock, target: &Record, failed: Failure) -> anyhow::Error {
        let (number, environment) = (target.number, &self.desired.environment.name);
        self.ui().warn(&format!("{failed}: going back to release {number}, as --keep-failed was not given"));
        let mut said = (None, None);
        // The result is about the release that was asked for.
        self.ui().note(|report| said = (report.smoke.take(), report.release));
        let went = self.go_back(lock, target).await;
        self.ui().note(|report| (report.smoke, report.release) = said);
        match went.as_ref().map_err(Failure::of) {
            Ok(()) => Failure { exit: Exit::RolledBack, ..failed }
                .note(format!("release {number} serves again, and is proved"))
                .hint("fix the cause, then repeat the command")
                .into(),
            Err(Failure { exit: Exit::Interrupted, .. }) => went.expect_err("it was just found to be one"),
            Err(why) => {
                let reason = why.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                failed
                    .note(format!("going back to release {number} failed: {why}{reason}"))
                    .hint(format!("cargo xtask status {environment}, then cargo xtask rollback {environment} {number}"))
                    .into()
            }
        }
    }

    async fn go_back(&self, lock: &Lock, target: &Record) -> Result<()> {
        let (environment, interrupt) = (self.desired.environment, &self.session.context.interrupt);
        let Some(release) = &self.release else { anyhow::bail!("only a release can be gone back to") };
        let (image, template, inputs) = interrupt.or(fetch(self.clients(), target, environment)).await?;
        let phase = self.ui().phase("back");
        let observed = interrupt.or(observe(self.clients(), environment)).await?;
        let source = ParameterSource::Recorded(inputs.values());
        let back = Operation {
            session: self.session,
            desired: Desired::new(environment, Some(image), template, source, observed.stack.as_ref()),
            conduct: self.conduct,
            question: None,
            planned: false,
            release: Some(ReleaseOptions {
                proof: release.proof,
                doing: release.doing.clone(),
                commit: target.commit.clone(),
                back_to: Some(target.origin()),
                before: &[],
                keep_failed: true,
            }),
        };
        // What may be lost was allowed for the release, not for the way back from it.
        let Some(proposal) = back.propose(&observed, &[], &phase).await? else {
            anyhow::bail!("CloudFormation says that there is nothing to go back from");
        };
        Box::pin(back.carry(Some(lock), &observed, &proposal, phase)).await.map(drop)
    }
}
