//! Answers a deployment that waits before users see it: on where the new version is proved, back where it is not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use time::OffsetDateTime;
use time::macros::format_description;

use aws::Clients;
use aws::ecs::deployment::{self, HookAction};
use aws::stack::cause::Cause;
use aws::stack::follow::{Followed, Following, Watched};
use aws::stack::pause::Pause;
use model::outcome::{Exit, Failure};
use model::stack::Stack;

use super::verify::{self, before_users};
use super::{Operation, ReleaseOptions};
use crate::session::Session;
use local::ui::{Phase, Ui};

/// Pause between two attempts to answer.
const PAUSE: Duration = Duration::from_secs(3);

/// Answers for one operation of a stack.
pub(super) struct Gate<'a> {
    pub(super) clients: &'a Clients,
    /// What desires the new version; `None` where the stack only goes back, or runs no image.
    operation: Option<&'a Operation<'a>>,
    /// The stack as it was before; `None` where it is being created.
    before: Option<&'a Stack>,
    pub(super) ui: &'a Ui,
    /// What is wrong with the new version.
    wrong: Option<Failure>,
    /// Why an answer was not taken.
    refused: Option<Failure>,
}

/// What became of an operation.
pub(super) enum Course {
    Ended(Followed),
    Hopeless(Cause),
}

impl Course {
    /// The end, where that was watched for.
    pub(super) fn ended(self) -> Followed {
        match self {
            Self::Ended(followed) => followed,
            Self::Hopeless(_) => unreachable!("watching stops so only where that is asked for"),
        }
    }
}

/// What is said to a deployment that waits, and why.
#[derive(Debug)]
enum Answer {
    Continue(String),
    Rollback(Box<Failure>),
    /// Nothing: another command's deployment.
    Leave(String),
}

impl<'a> Gate<'a> {
    pub(super) fn new(operation: &'a Operation<'a>, before: Option<&'a Stack>) -> Self {
        Self { operation: Some(operation), before, ..Self::back(operation.session) }
    }

    /// Of an operation that only goes back.
    pub(super) fn back(session: &'a Session<'_>) -> Self {
        Self { clients: &session.clients, operation: None, before: None, ui: session.ui, wrong: None, refused: None }
    }

    /// Watches until the operation ends, or can only fail if that is asked for, and answers each deployment that waits.
    ///
    /// # Errors
    /// As for [`Following::watch`].
    pub(super) async fn watch(&mut self, following: &mut Following<'_>, phase: &Phase<'_>) -> Result<Course> {
        loop {
            match following.watch(&|step| phase.report(step)).await? {
                Watched::Ended(followed) => return Ok(Course::Ended(followed)),
                Watched::Hopeless { cause } => return Ok(Course::Hopeless(cause)),
                // A proof is large, and rare among what a stack does.
                Watched::Paused(pause) => Box::pin(self.answer(&pause, phase)).await,
            }
        }
    }

    /// Whether the new version was wrong.
    pub(super) fn has_refused(&self) -> bool {
        self.wrong.is_some()
    }

    /// Puts on the stack's failure what the proof has found.
    pub(super) fn explain(self, failure: Failure) -> Failure {
        let refused = self.refused.iter().map(|refused| format!("the answer was not accepted: {}", in_words(refused)));
        let failure = refused.fold(failure, Failure::note);
        match self.wrong {
            Some(wrong) if failure.exit == Exit::RolledBack => Failure {
                message: format!("{wrong}; {failure}"),
                resource: wrong.resource,
                reason: wrong.reason,
                place: None,
                log: Vec::new(),
                notes: failure.notes,
                ..failure
            },
            Some(wrong) => failure.note(format!("it was taken back: {}", in_words(&wrong))),
            None => failure,
        }
    }

    async fn answer(&mut self, pause: &Pause, phase: &Phase<'_>) {
        let (name, until) = (&pause.logical_id, until(pause));
        let stays = format!("{name} waits for its proof {until} and then goes back by itself");
        let still = self.ui.what_still_runs();
        self.ui.still_runs(Some(format!("the deployment of {stays}; the same command takes it up again")));
        let word = match self.decide(pause, phase).await {
            Answer::Continue(why) => {
                phase.line(&why);
                HookAction::Continue
            }
            Answer::Rollback(failure) => {
                phase.line(&format!("{name} is taken back before any user sees it: {}", in_words(&failure)));
                self.wrong = Some(*failure);
                HookAction::Rollback
            }
            Answer::Leave(why) => return phase.line(&format!("{stays}: {why}")),
        };
        match self.send(pause, word, phase).await {
            Ok(()) => self.ui.still_runs(still),
            Err(failure) => {
                let then = if aws::is_denied(&failure) { stays } else { "the stack's own end decides".to_owned() };
                phase.line(&format!("the answer was not accepted: {}; {then}", in_words(&failure)));
                self.refused = Some(failure);
            }
        }
    }

    /// Gives the answer, again and again until ECS has taken or refused it, or the pause has ended by itself.
    async fn send(&self, pause: &Pause, word: HookAction, phase: &Phase<'_>) -> Result<(), Failure> {
        loop {
            let sent = deployment::answer_hook(&self.clients.ecs, &pause.deployment, &pause.hook.id, word).await;
            let Err(failure) = sent else { return Ok(()) };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let is_over = pause.hook.expires.is_none_or(|expires| expires <= now);
            if is_over || aws::is_refusal(&failure) && !aws::is_throttled(&failure) {
                return Err(failure);
            }
            phase.line(&format!("the answer did not arrive, trying again: {}", in_words(&failure)));
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn decide(&self, pause: &Pause, phase: &Phase<'_>) -> Answer {
        if pause.goes_back {
            return Answer::Continue("goes on: what the stack goes back to was proved before".to_owned());
        }
        let Some((operation, ReleaseOptions { proof, back_to, .. })) =
            self.operation.and_then(|it| Some((it, it.release.as_ref()?)))
        else {
            return Answer::Leave("the command that released it proves it".to_owned());
        };
        let (context, desired) = (operation.session.context, &operation.desired);
        let environment = desired.environment;
        let Some(before) = self.before.filter(|_| !pause.is_first) else {
            return Answer::Continue(
                "goes on: a first deployment has no users yet; it is proved at the end".to_owned(),
            );
        };
        if proof.no_smoke {
            return Answer::Continue("goes on: nothing is proved (--no-smoke)".to_owned());
        }
        let Some(gate) = desired.template.gate.as_ref().filter(|gate| gate.service == pause.logical_id) else {
            return Answer::Leave(format!("{} has no Metadata.Release.Proof for it", desired.template.path));
        };
        let base = match verify::base_url(environment, before, proof.smoke_url.as_deref()) {
            Ok(base) => base,
            Err(failure) => return Answer::Rollback(Box::new(failure)),
        };
        let (clients, digest, expires) =
            (self.clients, desired.image.as_ref().and_then(|image| image.digest.clone()), pause.hook.expires);
        let is_back = back_to.is_some();
        let question =
            before_users::Question { clients, environment, gate, stack: before, base, digest, is_back, expires };
        match before_users::prove_new_tasks(context, &question, phase, self.ui).await {
            Ok(seen) => Answer::Continue(format!("proved before users: {seen}")),
            Err(error) => Answer::Rollback(Box::new(Failure::of(&error))),
        }
    }
}

/// When the pause ends by itself.
fn until(pause: &Pause) -> String {
    let time = pause.hook.expires.and_then(|expires| OffsetDateTime::from_unix_timestamp(expires as i64).ok());
    let format = format_description!("[hour]:[minute]:[second]");
    match time.and_then(|time| time.format(format).ok()) {
        Some(time) => format!("until {time} UTC"),
        None => "until its time is over".to_owned(),
    }
}

fn in_words(failure: &Failure) -> String {
    match &failure.reason {
        Some(reason) => format!("{failure}: {reason}"),
        None => failure.to_string(),
    }
}
