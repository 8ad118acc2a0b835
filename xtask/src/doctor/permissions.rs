//! The caller's permissions, by IAM's policy simulator; and the execution role that CloudFormation assumes.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::CheckResult;
use crate::needs::changed_needs;
use crate::session::Session;
use aws::signed::{Call, IAM, tag};
use model::outcome::{Failure, FailureKind};
use model::policy::{self, Level, Question};

/// Simulations at the same time; the simulator is slow, and throttled early.
const AT_ONCE: usize = 4;

/// Simulates every action of the environment's policy.
///
/// # Errors
/// A call to IAM fails, mostly because the caller may not simulate.
pub(super) async fn permissions(session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
    let caller = &session.identity.arn;
    if caller.ends_with(":root") {
        return Ok(Some(CheckResult::Passed("all, as the root user".to_owned())));
    }
    let Some(principal) = principal(session).await? else {
        return Ok(Some(CheckResult::Note(
            format!("could not be checked: the permissions of {caller} cannot be simulated"),
            None,
        )));
    };
    let changed = changed_needs(session.context, session.environment)?;
    let policy = policy::policy(&session.context.deployment, session.environment, &changed, Level::Release);
    let questions = policy.questions(session.environment, &session.identity.account);
    let template = session.context.other_template(session.environment);
    let of_bucket = if template.is_ok_and(|template| !template.fits_in_call()) {
        policy.template_questions(session.environment, &session.identity.account)
    } else {
        Vec::new()
    };
    let questions = [questions, of_bucket].concat();
    let asked = questions.iter().map(|question| question.actions.len()).sum::<usize>();
    let denied = stream::iter(questions.iter().map(|question| denied(session, &principal, question)));
    let denied: Vec<Denied> = denied.buffered(AT_ONCE).try_collect().await?;
    let actions: BTreeSet<&str> = denied.iter().flat_map(|denied| denied.actions.iter().copied()).collect();
    if actions.is_empty() {
        return Ok(Some(CheckResult::Passed(format!(
            "all {asked} actions of a release are allowed, according to IAM's policy simulator"
        ))));
    }
    let mut reason = actions.into_iter().collect::<Vec<_>>().join(", ");
    for (limit, by) in [
        (denied.iter().any(|denied| denied.by_organization), "an organization policy denies some of them"),
        (denied.iter().any(|denied| denied.by_boundary), "the permissions boundary denies some of them"),
    ] {
        if limit {
            reason.push_str(&format!("; {by}"));
        }
    }
    let hint = format!("cargo xtask iam-policy {} prints what {principal} needs", session.environment.name);
    Ok(Some(CheckResult::problem("the caller lacks permissions that a release needs", reason, hint)))
}

/// The ARN of the caller's user or role; a session's ARN lacks the role's path.
async fn principal(session: &Session<'_>) -> Result<Option<String>, Failure> {
    let arn = &session.identity.arn;
    let assumed = arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next());
    let Some(role) = assumed else { return Ok(arn.contains(":user/").then(|| arn.clone())) };
    let call = Call { service: &IAM, action: "iam:GetRole", resource: role };
    let answer = session.clients.signed.query(call, &[("RoleName", role)]).await?;
    Ok(tag(&answer, "Arn").map(str::to_owned))
}

/// The actions of a question that are denied.
struct Denied<'a> {
    actions: Vec<&'a str>,
    by_organization: bool,
    by_boundary: bool,
}

async fn denied<'a>(session: &Session<'_>, principal: &str, question: &'a Question) -> Result<Denied<'a>, Failure> {
    let mut allowed = BTreeSet::new();
    let (mut by_organization, mut by_boundary) = (false, false);
    // Some actions of a statement apply to only one of its resources; being allowed on one is enough.
    for resource in &question.resources {
        let fields = fields(principal, question, resource);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let call = Call { service: &IAM, action: "iam:SimulatePrincipalPolicy", resource: principal };
        let answer = session.clients.signed.query(call, &fields).await?;
        let decisions = decisions(&answer);
        if question.actions.iter().any(|action| !decisions.iter().any(|(asked, _)| asked == action)) {
            let reason = "the response does not decide on every action";
            return Err(Failure::new(
                model::outcome::Exit::Failed,
                FailureKind::Aws,
                "the policy simulator's response cannot be read",
            )
            .reason(reason));
        }
        allowed.extend(
            decisions.into_iter().filter(|(_, decision)| *decision == "allowed").map(|(action, _)| action.to_owned()),
        );
        by_organization |= answer.contains("<AllowedByOrganizations>false");
        by_boundary |= answer.contains("<AllowedByPermissionsBoundary>false");
    }
    let actions = question.actions.iter().copied().filter(|action| !allowed.contains(*action)).collect();
    Ok(Denied { actions, by_organization, by_boundary })
}

/// The form fields of a simulation.
fn fields(principal: &str, question: &Question, resource: &str) -> Vec<(String, String)> {
    let mut fields = vec![
        ("PolicySourceArn".to_owned(), principal.to_owned()),
        ("ResourceArns.member.1".to_owned(), resource.to_owned()),
    ];
    fields.extend(question.actions.iter().zip(1..).map(|(a, n)| (format!("ActionNames.member.{n}"), (*a).to_owned())));
    for ((key, value), number) in question.context.iter().zip(1..) {
        let start = format!("ContextEntries.member.{number}.ContextKey");
        fields.push((format!("{start}Name"), (*key).to_owned()));
        fields.push((format!("{start}Type"), "string".to_owned()));
        fields.push((format!("{start}Values.member.1"), value.clone()));
    }
    fields
}

/// Action and decision of every result; each result has both, in no documented order.
fn decisions(answer: &str) -> Vec<(&str, &str)> {
    let all = |name: &str| {
        let start = format!("<{name}>");
        answer.split(start.as_str()).skip(1).filter_map(|rest| rest.split('<').next()).collect::<Vec<_>>()
    };
    let (actions, decisions) = (all("EvalActionName"), all("EvalDecision"));
    if actions.len() == decisions.len() { actions.into_iter().zip(decisions).collect() } else { Vec::new() }
}

/// Checks that the execution role of deploy.toml exists and that CloudFormation may assume it.
///
/// # Errors
/// A call to IAM fails for another reason than a missing role.
pub(super) async fn execution_role(session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
    let Some(arn) = &session.environment.execution_role else { return Ok(None) };
    let hint =
        format!("cargo xtask bootstrap {} creates one and prints its line for deploy.toml", session.environment.name);
    let account = arn.split(':').nth(4).unwrap_or_default();
    if account != session.identity.account && !session.is_emulator() {
        let reason = format!("it is in {account}, the environment in {}", session.identity.account);
        return Ok(Some(CheckResult::problem(format!("{arn} belongs to another account"), reason, hint)));
    }
    let name = arn.rsplit('/').next().unwrap_or_default();
    let call = Call { service: &IAM, action: "iam:GetRole", resource: arn };
    let answer = match session.clients.signed.query(call, &[("RoleName", name)]).await {
        Ok(answer) => answer,
        Err(failure) if aws::is_missing(&failure) => {
            return Ok(Some(CheckResult::problem(
                format!("{arn} does not exist"),
                "deploy.toml names it as execution_role",
                hint,
            )));
        }
        Err(failure) => return Err(failure),
    };
    if tag(&answer, "Arn").is_some_and(|found| found != arn) {
        let reason = format!("the role {name} is {}", tag(&answer, "Arn").unwrap_or_default());
        return Ok(Some(CheckResult::problem(format!("{arn} does not exist"), reason, hint)));
    }
    // The document is percent-encoded, which does not change this name.
    let trusted = answer.contains("cloudformation.amazonaws.com");
    Ok(Some(if trusted {
        CheckResult::Passed(format!("CloudFormation may assume {arn}"))
    } else {
        CheckResult::problem(
            format!("CloudFormation may not assume {arn}"),
            "its trust policy does not allow the service",
            hint,
        )
    }))
}

#[cfg(test)]
mod tests;
