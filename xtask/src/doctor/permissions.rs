//! Whether the caller may do what a release does, as IAM's simulator says it; and whether CloudFormation may work with the
//! execution role.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Found;
use crate::session::Session;
use aws::signed::{Call, IAM, tag};
use model::outcome::{Failure, FailureKind};
use model::policy;
use model::policy::{Level, Question};

/// Questions that are under way at the same time; the simulator is slow to ask and quick to be throttled.
const AT_ONCE: usize = 4;

/// Asks about every action of the environment's policy.
///
/// # Errors
/// What AWS says; mostly that the caller may not ask.
pub(super) async fn look(session: &Session<'_>) -> Result<Option<Found>, Failure> {
    let caller = &session.identity.arn;
    if caller.ends_with(":root") {
        return Ok(Some(Found::Fine("all of them, as the root user".to_owned())));
    }
    let Some(principal) = principal(session).await? else {
        return Ok(Some(Found::Note(format!("could not be looked at: nothing says what {caller} may do"), None)));
    };
    let policy = policy::policy(&session.context.deployment.service, session.environment, Level::Release);
    let questions = policy.questions(session.environment, &session.identity.account);
    let asked = questions.iter().map(|question| question.actions.len()).sum::<usize>();
    let denied = stream::iter(questions.iter().map(|question| denied(session, &principal, question)));
    let denied: Vec<Denied> = denied.buffered(AT_ONCE).try_collect().await?;
    let actions: BTreeSet<&str> = denied.iter().flat_map(|denied| denied.actions.iter().copied()).collect();
    if actions.is_empty() {
        return Ok(Some(Found::Fine(format!("all {asked} actions of a release are allowed, as IAM simulates them"))));
    }
    let mut reason = actions.into_iter().collect::<Vec<_>>().join(", ");
    for (limit, by) in [
        (denied.iter().any(|denied| denied.by_organization), "the organization forbids some of it"),
        (denied.iter().any(|denied| denied.by_boundary), "the permissions boundary forbids some of it"),
    ] {
        if limit {
            reason.push_str(&format!("; {by}"));
        }
    }
    let hint = format!("cargo xtask iam-policy {} prints what {principal} needs", session.environment.name);
    Ok(Some(Found::lacking("the caller may not do all that a release does", reason, hint)))
}

/// The user or role that the caller is; a session names its role without the path.
async fn principal(session: &Session<'_>) -> Result<Option<String>, Failure> {
    let arn = &session.identity.arn;
    let assumed = arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.split('/').next());
    let Some(role) = assumed else { return Ok(arn.contains(":user/").then(|| arn.clone())) };
    let call = Call { service: &IAM, action: "iam:GetRole", resource: role };
    let answer = session.clients.signed.query(call, &[("RoleName", role)]).await?;
    Ok(tag(&answer, "Arn").map(str::to_owned))
}

/// What of a question was answered with no.
struct Denied<'a> {
    actions: Vec<&'a str>,
    by_organization: bool,
    by_boundary: bool,
}

async fn denied<'a>(session: &Session<'_>, principal: &str, question: &'a Question) -> Result<Denied<'a>, Failure> {
    let mut allowed = BTreeSet::new();
    let (mut by_organization, mut by_boundary) = (false, false);
    // Some actions of a statement know only one of its resources; being allowed on one of them will do.
    for resource in &question.resources {
        let fields = fields(principal, question, resource);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let call = Call { service: &IAM, action: "iam:SimulatePrincipalPolicy", resource: principal };
        let answer = session.clients.signed.query(call, &fields).await?;
        let decisions = decisions(&answer);
        if question.actions.iter().any(|action| !decisions.iter().any(|(asked, _)| asked == action)) {
            let reason = "the answer does not say so of every action";
            return Err(Failure::new(model::outcome::Exit::Failed, FailureKind::Aws, "the simulation cannot be read")
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

/// What the simulator is told.
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

/// Action and decision of every result. Both stand once in each, in an order that nobody promises.
fn decisions(answer: &str) -> Vec<(&str, &str)> {
    let all = |name: &str| {
        let start = format!("<{name}>");
        answer.split(start.as_str()).skip(1).filter_map(|rest| rest.split('<').next()).collect::<Vec<_>>()
    };
    let (actions, decisions) = (all("EvalActionName"), all("EvalDecision"));
    if actions.len() == decisions.len() { actions.into_iter().zip(decisions).collect() } else { Vec::new() }
}

/// The role that deploy.toml names: that it is there, and CloudFormation may take it.
///
/// # Errors
/// What AWS says, other than that there is no such role.
pub(super) async fn execution_role(session: &Session<'_>) -> Result<Option<Found>, Failure> {
    let Some(arn) = &session.environment.execution_role else { return Ok(None) };
    let hint =
        format!("cargo xtask bootstrap {} makes one, and prints its line of deploy.toml", session.environment.name);
    let account = arn.split(':').nth(4).unwrap_or_default();
    if account != session.identity.account && !session.is_emulator() {
        let reason = format!("it is in {account}, the environment in {}", session.identity.account);
        return Ok(Some(Found::lacking(format!("{arn} is another account's"), reason, hint)));
    }
    let name = arn.rsplit('/').next().unwrap_or_default();
    let call = Call { service: &IAM, action: "iam:GetRole", resource: arn };
    let answer = match session.clients.signed.query(call, &[("RoleName", name)]).await {
        Ok(answer) => answer,
        Err(failure) if aws::is_missing(&failure) => {
            return Ok(Some(Found::lacking(
                format!("there is no {arn}"),
                "deploy.toml names it as execution_role",
                hint,
            )));
        }
        Err(failure) => return Err(failure),
    };
    if tag(&answer, "Arn").is_some_and(|found| found != arn) {
        let reason = format!("the role {name} is {}", tag(&answer, "Arn").unwrap_or_default());
        return Ok(Some(Found::lacking(format!("there is no {arn}"), reason, hint)));
    }
    // The document comes percent-encoded, and nothing in this name is.
    let trusted = answer.contains("cloudformation.amazonaws.com");
    Ok(Some(if trusted {
        Found::Fine(format!("CloudFormation may take {arn}"))
    } else {
        Found::lacking(format!("CloudFormation may not take {arn}"), "its trust does not name the service", hint)
    }))
}

#[cfg(test)]
mod tests;
