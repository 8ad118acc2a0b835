//! The container's secrets, and whether the permissions boundary lets the service read them and do what its own
//! permissions allow.

use anyhow::Result;
use config::deployment::SecretReference;
use config::service::values::percent_decoded;
use futures_util::future::join_all;
use model::container::allowed_actions;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters as plan;
use model::policy::may_let_through;
use serde_json::Value;

use super::CheckResult;
use super::template::TemplateCheck;
use crate::engine::observe::{Observed, base};
use crate::session::Session;
use crate::{bootstrap, container, container_secrets};
use aws::signed::{Call, IAM, tag};

/// The template's parameter for the boundary of its roles.
const BOUNDARY: &str = "PermissionsBoundary";

/// Whether every secret of deploy.toml is there, and encrypted.
///
/// # Errors
/// A call for one of them fails.
pub(super) async fn secrets(session: &Session<'_>) -> Result<Vec<CheckResult>, Failure> {
    let environment = session.environment;
    let asked = environment
        .secrets
        .iter()
        .map(|(name, text)| async move { (name, text, container_secrets::described(session, name, text).await) });
    let (mut fine, mut found) = (Vec::new(), Vec::new());
    for (name, text, described) in join_all(asked).await {
        match described {
            Ok(described) if described.is_encrypted => {
                let key = described.key.as_ref().map(|key| format!(", key {key}")).unwrap_or_default();
                fine.push(format!("{name} ({}{key})", described.in_words()));
            }
            Ok(_) => {
                let is_own = text.starts_with(&environment.secrets_path());
                let hint = match is_own {
                    true => format!("cargo xtask secret set {} {name} stores it encrypted", environment.section()),
                    false => "store it as a SecureString".to_owned(),
                };
                found.push(CheckResult::Note(format!("{name} is not encrypted: {text} is a String"), Some(hint)));
            }
            Err(_) if SecretReference::parse(text).is_none() => {
                found.push(CheckResult::Note(format!("{name} could not be checked: {text} is not known yet"), None));
            }
            Err(failure) if failure.kind == FailureKind::Secrets => found.push(CheckResult::Problem(failure)),
            Err(failure) => return Err(failure),
        }
    }
    found.extend((!fine.is_empty()).then(|| CheckResult::Passed(fine.join(", "))));
    Ok(found)
}

/// Whether the boundary of the stack's roles lets through what deploy.toml gives the service.
///
/// # Errors
/// Permissions that cannot be read, or a call to IAM that fails.
pub(super) async fn boundary(
    session: &Session<'_>,
    template: &TemplateCheck,
    seen: Option<&Observed>,
) -> Result<Option<CheckResult>, Failure> {
    let Session { context, environment, identity, .. } = session;
    let actions = allowed_actions(&container::permissions(&context.root, environment)?);
    let elsewhere = bootstrap::secret_arns(environment, &identity.account);
    let Ok(template) = &template.template else { return Ok(None) };
    let before = seen.and_then(|seen| base(seen.stack.as_ref())).map(|stack| &stack.parameters);
    let arn = plan::value(environment, template, before, BOUNDARY).filter(|arn| !arn.is_empty());
    let Some(arn) = arn.filter(|_| !actions.is_empty() || !elsewhere.is_empty()) else { return Ok(None) };
    let document = document(session, &arn).await?;
    let stopped = actions.iter().filter(|action| !may_let_through(&document, action, None));
    let mut stopped: Vec<&str> = stopped.map(String::as_str).collect();
    stopped.extend(elsewhere.iter().map(String::as_str).filter(|secret| {
        let reads =
            if secret.contains(":secretsmanager:") { "secretsmanager:GetSecretValue" } else { "ssm:GetParameters" };
        !may_let_through(&document, reads, Some(secret))
    }));
    if stopped.is_empty() {
        return Ok(Some(CheckResult::Passed(format!("{arn} lets through what the service is given"))));
    }
    let hint = format!("cargo xtask bootstrap {} adds it to the boundary", environment.section());
    let message = "the permissions boundary does not let through what the service is given";
    Ok(Some(CheckResult::problem(message, format!("{} in {arn}", stopped.join(", ")), hint)))
}

/// A policy's text.
async fn document(session: &Session<'_>, arn: &str) -> Result<Value, Failure> {
    let signed = &session.clients.signed;
    let call = Call { service: &IAM, action: "iam:GetPolicy", resource: arn };
    let policy = signed.query(call, &[("PolicyArn", arn)]).await?;
    let version = tag(&policy, "DefaultVersionId").unwrap_or_default();
    let call = Call { service: &IAM, action: "iam:GetPolicyVersion", resource: arn };
    let answer = signed.query(call, &[("PolicyArn", arn), ("VersionId", version)]).await?;
    let document = tag(&answer, "Document").and_then(percent_decoded);
    document.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Aws, "the permissions boundary cannot be read").resource(arn)
    })
}
