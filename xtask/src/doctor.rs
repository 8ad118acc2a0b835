//! What a release needs, looked at all at once and without changing anything.
//!
//! A look is of one subject and bounded in time. What may not be looked at is said, and hides nothing else.

mod caller;
mod certificates;
mod engine;
mod gateway;
mod linked_roles;
mod machine;
mod permissions;
mod pipeline;
mod quotas;
mod repository;
mod space;
pub(crate) mod token;
mod wanted;

use crate::engine::observe::observe;
use std::time::Duration;

use config::deployment::Environment;

use crate::context::Context;
use crate::engine::observe::Observed;
use crate::session::Session;
use crate::ui::Ui;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Check;
use model::status;
use model::status::Answer;
use token::Token;
use wanted::{Read, Wanted};

/// Longest that one look may take. An answer of AWS takes a second, and being throttled a few more.
const LOOK: Duration = Duration::from_secs(30);

/// What one look found.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Fine(String),
    /// Worth knowing and no obstacle: advice, or something that could not be looked at; and what may be done about it.
    Note(String, Option<String>),
    Lacking(Failure),
}

/// What was looked at, and what was found.
pub(crate) type Finding = (&'static str, Found);

impl Found {
    /// Something that a release would fail for.
    fn lacking(message: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Lacking(Failure::new(Exit::Preflight, FailureKind::Doctor, message).reason(reason).hint(hint))
    }

    /// Nobody could look. What to do about it is only told where somebody can do something.
    fn unknown(failure: &Failure) -> Self {
        let hint = failure.hint.clone().filter(|_| aws::is_denied(failure));
        Self::Note(unseen(failure), hint)
    }

    /// As it is shown.
    pub(crate) fn told(&self, name: &'static str) -> Check {
        let (ok, note, detail, hint) = match self {
            Self::Fine(detail) => (true, false, detail.clone(), None),
            Self::Note(detail, hint) => (true, true, detail.clone(), hint.clone()),
            Self::Lacking(failure) => {
                let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                (false, false, format!("{failure}{reason}"), failure.hint.clone())
            }
        };
        Check { name, ok, note, detail, hint }
    }
}

impl From<Result<String, Failure>> for Found {
    fn from(result: Result<String, Failure>) -> Self {
        result.map_or_else(Self::Lacking, Self::Fine)
    }
}

/// Looks at everything, at the same time.
pub(crate) async fn look(context: &Context, environment: &Environment, token: &Token, ui: &Ui) -> Vec<Finding> {
    let read = Read::new(context, environment);
    let (here, there) = tokio::join!(here(context, &read), there(context, environment, &read, token, ui));
    let (engine, machine) = here;
    let known = there.seen.as_ref().and_then(|seen| seen.stack.as_ref());
    let template = read.findings(context, environment, known);
    [engine, template, machine, there.findings].into_iter().flatten().collect()
}

/// What is known without AWS.
async fn here(context: &Context, read: &Read) -> (Vec<Finding>, Vec<Finding>) {
    let platform = read.platform.as_ref().and_then(|platform| platform.as_ref().ok()).copied();
    let compiles_here = platform.map(model::parameters::Platform::is_host);
    tokio::join!(engine::look(context, compiles_here), machine::look(context, platform))
}

/// What was found at AWS.
struct There {
    findings: Vec<Finding>,
    seen: Option<Observed>,
}

async fn there(context: &Context, environment: &Environment, read: &Read, token: &Token, ui: &Ui) -> There {
    let session = match bounded(Session::open(context, environment, ui)).await {
        Ok(session) => session,
        Err(failure) => return There { findings: vec![("account", Found::Lacking(failure))], seen: None },
    };
    let session = &session;
    let mut findings = vec![("account", Found::Fine(session.describe()))];
    let of_stack = async {
        let look = async { observe(&session.clients, environment).await.map_err(|error| Failure::of(&error)) };
        let seen = bounded(look).await;
        let rest = of_template(session, read, seen.as_ref().ok()).await;
        (seen, rest)
    };
    let ((seen, of_template), permissions, role, repository, pipeline) = tokio::join!(
        of_stack,
        one("permissions", permissions::look(session)),
        one("execution role", permissions::execution_role(session)),
        one("repository", repository::look(session)),
        pipeline::look(session, token),
    );
    findings.extend(caller::look(session, seen.as_ref().ok()));
    findings.push(("stack", seen.as_ref().map_err(Clone::clone).and_then(|seen| stack(seen, environment)).into()));
    findings.extend([permissions, role, repository, of_template, pipeline].into_iter().flatten());
    There { findings, seen: seen.ok() }
}

/// What the resources of the template ask of the account.
async fn of_template(session: &Session<'_>, read: &Read, seen: Option<&Observed>) -> Vec<Finding> {
    let wanted = match bounded(Wanted::new(session, read, seen)).await {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Vec::new(),
        Err(failure) => return vec![("quotas", Found::unknown(&failure))],
    };
    let (quotas, roles, logs, certificates) = tokio::join!(
        several("quotas", quotas::look(session, &wanted)),
        several("service roles", linked_roles::look(session, &wanted)),
        one("gateway logs", gateway::look(session, &wanted)),
        several("certificate", certificates::look(session, &wanted)),
    );
    [quotas, roles, logs, certificates].concat()
}

/// A look, bounded, that may find that there is nothing to look at.
async fn one(name: &'static str, look: impl Future<Output = Result<Option<Found>, Failure>>) -> Vec<Finding> {
    several(name, async { Ok(look.await?.into_iter().collect()) }).await
}

/// A look, bounded, that may find several things.
async fn several(name: &'static str, look: impl Future<Output = Result<Vec<Found>, Failure>>) -> Vec<Finding> {
    let found = bounded(look).await.unwrap_or_else(|failure| vec![Found::unknown(&failure)]);
    found.into_iter().map(|found| (name, found)).collect()
}

/// Waits no longer than a look may take.
async fn bounded<T>(look: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_| Failure::new(Exit::Failed, FailureKind::Aws, format!("no answer within {} s", LOOK.as_secs()));
    tokio::time::timeout(LOOK, look).await.map_err(late)?
}

/// That something could not be looked at, and why.
fn unseen(failure: &Failure) -> String {
    let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("could not be looked at: {failure}{reason}")
}

/// Whether a release could be deployed into the stack as it is.
fn stack(seen: &Observed, environment: &Environment) -> Result<String, Failure> {
    let name = &environment.stack;
    let status = seen.stack.as_ref().map(|stack| stack.status.as_str());
    let state = status.unwrap_or_default();
    let held = seen.remembered.lock.as_ref().filter(|held| held.is_alive());
    let held = held.map(|held| format!("; held by {}", held.holder)).unwrap_or_default();
    match status::answer(status) {
        Answer::Create => Ok(format!("{name} will be created{held}")),
        Answer::Update => Ok(format!("{name} is {state}{held}")),
        Answer::Wait => Ok(format!("{name} is {state}; a release waits for its end{held}")),
        Answer::Recreate => Ok(format!("{name} is {state}; a release asks to delete it and create it again")),
        Answer::Refuse(refusal) => {
            let message = format!("stack {name} is {state}; nothing can be deployed into it");
            let hint = refusal.hint(name, &environment.name, &environment.region);
            Err(Failure::new(outcome::Exit::Preflight, FailureKind::StackState, message).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests;
