//! What a release needs, checked all at once and without changing anything.
//!
//! Each check has one subject and a time limit. A check that cannot be made is reported as unknown and stops no other.

mod account;
mod authority;
mod certificates;
mod database;
mod machine;
mod permissions;
mod pipeline;
mod quotas;
mod secrets;
mod template;
pub(crate) mod token;

use std::time::Duration;

use config::deployment::Environment;

use crate::context::Context;
use crate::engine::observe::{Observed, observe};
use crate::needs;
use crate::session::Session;
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Check;
use model::status::{self, Answer};
use template::{PlannedResources, TemplateCheck};
use token::Token;

/// Time limit of one check. AWS answers within a second, and within a few more when it throttles.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// What one check found.
#[derive(Debug, Clone)]
pub(crate) enum CheckResult {
    Passed(String),
    /// Does not stop a release: advice, or a check that could not be made; with what can be done about it.
    Note(String, Option<String>),
    Problem(Failure),
}

/// The name of a check and what it found.
pub(crate) type NamedResult = (&'static str, CheckResult);

impl CheckResult {
    /// Something that a release would fail on.
    fn problem(message: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Problem(Failure::new(Exit::Preflight, FailureKind::Doctor, message).reason(reason).hint(hint))
    }

    /// The check could not be made. Only a missing permission comes with a hint.
    fn unknown(failure: &Failure) -> Self {
        let hint = failure.hint.clone().filter(|_| aws::is_denied(failure));
        Self::Note(not_checked(failure), hint)
    }

    /// The line that is shown for it.
    pub(crate) fn to_check(&self, name: &'static str) -> Check {
        let (ok, note, detail, hint) = match self {
            Self::Passed(detail) => (true, false, detail.clone(), None),
            Self::Note(detail, hint) => (true, true, detail.clone(), hint.clone()),
            Self::Problem(failure) => {
                let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                (false, false, format!("{failure}{reason}"), failure.hint.clone())
            }
        };
        Check { name, ok, note, detail, hint }
    }
}

impl From<Result<String, Failure>> for CheckResult {
    fn from(result: Result<String, Failure>) -> Self {
        result.map_or_else(Self::Problem, Self::Passed)
    }
}

/// Makes all checks, at the same time.
pub(crate) async fn run_checks(
    context: &Context,
    environment: &Environment,
    token: &Token,
    ui: &Ui,
) -> Vec<NamedResult> {
    let (environment, needs) = needs_check(context, environment, ui).await;
    let environment = &environment;
    let template = TemplateCheck::new(context, environment);
    let platform = template.platform.as_ref().and_then(|platform| platform.as_ref().ok()).copied();
    let compiles_here = platform.map(model::parameters::Platform::is_host);
    let (engine, compiler, (aws, seen)) = tokio::join!(
        machine::docker_engine(context, compiles_here),
        machine::compiler(context, platform),
        aws_checks(context, environment, &template, token, ui),
    );
    let template = template.findings(context, environment, seen.as_ref());
    let authority = Vec::from_iter(authority::check(&context.root, environment));
    [engine, template, needs, compiler, authority, aws].into_iter().flatten().collect()
}

/// The needs of the environment, and the environment with their outputs as far as they are known.
async fn needs_check(context: &Context, environment: &Environment, ui: &Ui) -> (Environment, Vec<NamedResult>) {
    if environment.needs.is_empty() {
        return (environment.clone(), Vec::new());
    }
    let foresight = async { needs::foresee_needs(context, environment, ui).await.map_err(|error| Failure::of(&error)) };
    let (environment, found) = match with_timeout(foresight).await {
        Ok(foresight) if foresight.steps.is_empty() => {
            let names = environment.needs.join(", ");
            (foresight.environment, CheckResult::Passed(format!("{names}: nothing to do before a release")))
        }
        Ok(foresight) => {
            let detail = format!("a release would first {}", foresight.steps.join(", then "));
            (foresight.environment, CheckResult::Note(detail, None))
        }
        Err(failure) => (environment.clone(), CheckResult::Problem(failure)),
    };
    (environment, vec![("needs", found)])
}

/// The checks that call AWS, with the stack as they found it.
async fn aws_checks(
    context: &Context,
    environment: &Environment,
    template: &TemplateCheck,
    token: &Token,
    ui: &Ui,
) -> (Vec<NamedResult>, Option<Observed>) {
    let session = match with_timeout(Session::open(context, environment, ui)).await {
        Ok(session) => session,
        Err(failure) => return (vec![("account", CheckResult::Problem(failure))], None),
    };
    let session = &session;
    let mut findings = vec![("account", CheckResult::Passed(session.describe()))];
    let of_stack = async {
        let seen = async { observe(&session.clients, environment).await.map_err(|error| Failure::of(&error)) };
        let seen = with_timeout(seen).await;
        let (resources, boundary) = tokio::join!(
            resource_checks(session, template, seen.as_ref().ok()),
            one("boundary", secrets::boundary(session, template, seen.as_ref().ok())),
        );
        (seen, [boundary, resources].concat())
    };
    let ((seen, resources), secrets, bucket, permissions, role, repository, pipeline) = tokio::join!(
        of_stack,
        several("secrets", secrets::secrets(session)),
        one("template bucket", template.bucket(session)),
        one("permissions", permissions::permissions(session)),
        one("execution role", permissions::execution_role(session)),
        one("repository", account::repository(session)),
        pipeline::pipeline(session, token),
    );
    findings.extend(account::caller(session, seen.as_ref().ok()));
    findings
        .push(("stack", seen.as_ref().map_err(Clone::clone).and_then(|seen| stack_check(seen, environment)).into()));
    findings.extend([secrets, bucket, permissions, role, repository, resources, pipeline].into_iter().flatten());
    (findings, seen.ok())
}

/// Whether the account has what the template's resources need.
async fn resource_checks(session: &Session<'_>, template: &TemplateCheck, seen: Option<&Observed>) -> Vec<NamedResult> {
    let planned = match with_timeout(PlannedResources::new(session, template, seen)).await {
        Ok(Some(planned)) => planned,
        Ok(None) => return Vec::new(),
        Err(failure) => return vec![("quotas", CheckResult::unknown(&failure))],
    };
    let (quotas, roles, logs, certificates, databases) = tokio::join!(
        several("quotas", quotas::quotas(session, &planned)),
        several("service roles", account::service_roles(session, &planned)),
        one("gateway logs", account::gateway_logs(session, &planned)),
        several("certificate", certificates::certificates(session, &planned)),
        several("database", database::databases(session, &planned, seen)),
    );
    [quotas, roles, logs, certificates, databases].concat()
}

/// A check with the time limit; `None` where there is nothing to check.
async fn one(
    name: &'static str,
    check: impl Future<Output = Result<Option<CheckResult>, Failure>>,
) -> Vec<NamedResult> {
    several(name, async { Ok(check.await?.into_iter().collect()) }).await
}

/// A check with the time limit that may find several things.
async fn several(
    name: &'static str,
    check: impl Future<Output = Result<Vec<CheckResult>, Failure>>,
) -> Vec<NamedResult> {
    let found = with_timeout(check).await.unwrap_or_else(|failure| vec![CheckResult::unknown(&failure)]);
    found.into_iter().map(|found| (name, found)).collect()
}

async fn with_timeout<T>(check: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late =
        |_| Failure::new(Exit::Failed, FailureKind::Aws, format!("no response within {} s", CHECK_TIMEOUT.as_secs()));
    tokio::time::timeout(CHECK_TIMEOUT, check).await.map_err(late)?
}

/// That a check could not be made, and why.
fn not_checked(failure: &Failure) -> String {
    let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("could not be checked: {failure}{reason}")
}

/// Whether a release could be deployed into the stack as it is.
fn stack_check(seen: &Observed, environment: &Environment) -> Result<String, Failure> {
    let name = &environment.stack;
    let status = seen.stack.as_ref().map(|stack| stack.status.as_str());
    let state = status.unwrap_or_default();
    let held = seen.remembered.lock.as_ref().filter(|held| held.is_alive());
    let held = held.map(|held| format!("; held by {}", held.holder)).unwrap_or_default();
    match status::answer(status) {
        Answer::Create => Ok(format!("{name} will be created{held}")),
        Answer::Update => Ok(format!("{name} is {state}{held}")),
        Answer::Wait => Ok(format!("{name} is {state}; a release waits until it has ended{held}")),
        Answer::Recreate => Ok(format!("{name} is {state}; a release asks to delete it and create it again")),
        Answer::Refuse(refusal) => {
            let message = format!("stack {name} is {state}; it cannot be deployed to");
            let hint = refusal.hint(name, &environment.name, &environment.region);
            Err(Failure::new(Exit::Preflight, FailureKind::StackState, message).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests;
