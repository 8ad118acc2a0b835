//! Proves a new version while no user sees it: a header leads the question to the new tasks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use config::deployment::Environment;
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use super::{Access, answering, callers, remove_temporary_users};
use crate::context::Context;
use aws::signed::{Call, SECRETS_MANAGER};
use aws::{Clients, stack};
use local::smoke::{self, Endpoint, Verdict, shown_url};
use local::ui::{Phase, Ui};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::Digest;
use model::stack::Stack;
use model::template::Gate;

/// How long the new version may take to be right: the load balancer leads to it already.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two good rounds, so that more than one task is asked.
const SPACING: Duration = Duration::from_millis(200);
/// What is left of the pause when the answer is given at the latest.
const SPARE: Duration = Duration::from_secs(20);

/// What is proved, and where.
pub(crate) struct Question<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) environment: &'a Environment,
    pub(crate) gate: &'a Gate,
    /// The stack as it was before, whose outputs say how to sign in.
    pub(crate) stack: &'a Stack,
    pub(crate) base: Url,
    pub(crate) digest: Option<Digest>,
    /// Whether an earlier release runs again.
    pub(crate) is_back: bool,
    /// When the pause ends by itself, in seconds since 1970.
    pub(crate) expires: Option<f64>,
}

/// Proves the new version; returns what was seen.
///
/// # Errors
/// What is wrong with it, or why it cannot be asked.
pub(crate) async fn prove_new_tasks(
    context: &Context,
    question: &Question<'_>,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<String> {
    let Question { clients, environment, gate, stack, base, digest, is_back, expires } = question;
    let secret = secret(clients, stack, gate).await?;
    let client = smoke::client(&context.http()?)?;
    let mut callers = callers(context, &client, Access::Stack(clients, environment, stack)).await?;
    let public = callers.authenticated.clone();
    callers.authenticated = callers.authenticated.with(&gate.header, secret);
    let service = &*answering(&context.deployment.service, digest.as_ref(), *is_back);
    let before = stack.image(environment).and_then(|image| image.digest);
    let had = before.as_ref().map(ToString::to_string);
    let base = base.clone();
    let mut target = Endpoint {
        base,
        service,
        digest: digest.clone(),
        before,
        spacing: SPACING,
        callers,
        retries_connections: true,
    };
    let verdict = smoke::verify_endpoint(&client, &target, timeout(*expires), phase).await;
    if let Verdict::Right { served } = &verdict {
        // Users are asked after, once: they must not have it yet.
        target.callers.authenticated = public;
        target.digest = None;
        let users = smoke::check_once(&client, &target).await;
        if let Some(words) = leak(&users, served.as_deref(), had.as_deref()) {
            ui.warn(&words);
        }
    }
    remove_temporary_users(context, ui).await;
    let url = shown_url(&target.base);
    if let Some(failure) = target.failure(&verdict, Exit::RolledBack) {
        let failure = match &verdict {
            Verdict::OldVersion { served } => {
                let wanted = digest.as_ref().map(ToString::to_string).unwrap_or_default();
                let reason = format!("the new tasks answer {served}, {wanted} was deployed");
                let message = "the new tasks do not run the image that was deployed".to_owned();
                Failure { message, ..failure }.reason(reason)
            }
            Verdict::Open { .. } => failure,
            _ => Failure { message: "the new version does not give the right answer".to_owned(), ..failure },
        };
        return Err(failure.into());
    }
    Ok(match verdict.served() {
        Some(served) => format!("{url} with {} runs {}", gate.header, ui.shown(&served)),
        None => format!("{url} with {} is right", gate.header),
    })
}

/// The header's value. It is never shown.
async fn secret(clients: &Clients, stack: &Stack, gate: &Gate) -> Result<SecretString> {
    let failed = |reason: &str| {
        Failure::new(Exit::Failed, FailureKind::Proof, "the new version cannot be asked for")
            .resource(format!("secret {}", gate.secret))
            .reason(reason)
            .hint("the template's Metadata.Release.Proof names a secret that the stack must have")
    };
    let resources = stack::resources(&clients.cloudformation, &stack.id).await?;
    let found = resources.into_iter().find(|resource| resource.logical_id == gate.secret);
    let Some(id) = found.and_then(|resource| resource.physical_id) else {
        return Err(failed("the stack has no such resource").into());
    };
    let resource = format!("secret {}", gate.secret);
    let call = Call { service: &SECRETS_MANAGER, action: "secretsmanager:GetSecretValue", resource: &resource };
    let answer = clients.signed.json(call, &json!({"SecretId": id})).await?;
    match answer["SecretString"].as_str().filter(|value| !value.is_empty()) {
        Some(value) => Ok(SecretString::from(value)),
        None => Err(failed("it has no text").into()),
    }
}

/// What to warn of where users have the new version already.
fn leak(users: &Verdict, served: Option<&str>, had: Option<&str>) -> Option<String> {
    match users {
        // The same image again, with other parameters, cannot be told apart.
        Verdict::Right { served: Some(users) } if Some(users.as_str()) == served && had != served => {
            Some(format!("users get {users} already, before it was proved: look at the listener's rules"))
        }
        Verdict::Right { .. } => None,
        other => Some(format!("what users get meanwhile is not right: {}", other.describe())),
    }
}

/// The usual timeout, or less where the pause ends sooner.
fn timeout(expires: Option<f64>) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = expires.map(|expires| Duration::from_secs_f64((expires - now).max(0.0)).saturating_sub(SPARE));
    left.map_or(TIMEOUT, |left| left.min(TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_who_have_the_new_version_already_are_a_warning() {
        let users = |digest: &str| Verdict::Right { served: Some(digest.to_owned()) };
        assert_eq!(leak(&users("sha256:old"), Some("sha256:new"), Some("sha256:old")), None);
        assert!(leak(&users("sha256:new"), Some("sha256:new"), Some("sha256:old")).unwrap().contains("already"));
        assert_eq!(leak(&users("sha256:new"), Some("sha256:new"), Some("sha256:new")), None);
        let down = Verdict::NotAnswering { reason: "502".to_owned() };
        assert!(leak(&down, Some("sha256:new"), Some("sha256:old")).unwrap().contains("502"));
    }

    #[test]
    fn the_answer_comes_before_the_pause_ends_by_itself() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert_eq!(timeout(None), TIMEOUT);
        assert_eq!(timeout(Some(now + 1800.0)), TIMEOUT);
        assert!(timeout(Some(now + 30.0)) <= Duration::from_secs(10));
        assert_eq!(timeout(Some(now - 1.0)), Duration::ZERO);
    }
}
