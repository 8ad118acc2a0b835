//! A pipeline's access: GitHub's identity provider, the deploy role's trust policy, a token's claims, and the role that the
//! pipeline is configured to assume.

use super::token::{self, Token};
use super::{CheckResult, NamedResult, not_checked};
use crate::bootstrap::{self, pipeline};
use crate::session::Session;
use aws::github_token::ROLE;
use model::outcome::{Failure, FailureKind};
use model::policy::{Level, PROVIDER};
use model::trust::{Claims, Trust};

pub(super) async fn pipeline(session: &Session<'_>, token: &Token) -> Vec<NamedResult> {
    let mut findings: Vec<NamedResult> = configured_role(session).into_iter().map(|found| ("role", found)).collect();
    let own = pipeline::environment(session.environment);
    let deployed = async {
        pipeline::deployed_trust(&session.clients, session.environment).await.map_err(|error| Failure::of(&error))
    };
    let deployed = match super::with_timeout(deployed).await {
        Ok(deployed) => deployed,
        // It is the administrator's stack; others only need it to check a token.
        Err(failure) if aws::is_denied(&failure) && matches!(token, Token::Absent) => return findings,
        Err(failure) => {
            let hint = format!("an administrator can: cargo xtask bootstrap {} --check-token FILE", own.name);
            findings.push(("trust", CheckResult::Note(not_checked(&failure), Some(hint))));
            return findings;
        }
    };
    let Some((trust, stack)) = deployed else {
        // Releases from a developer's machine need none.
        if matches!(token, Token::Given(_)) {
            let hint = format!("cargo xtask bootstrap {} --github OWNER/REPO", session.environment.name);
            let message = "there is no trust policy to compare the token with";
            findings.push((
                "trust",
                CheckResult::problem(message, format!("stack {} trusts no pipeline", own.stack), hint),
            ));
        }
        return findings;
    };
    if stack == bootstrap::environment(session.environment).stack {
        let detail =
            format!("the pipeline's roles are still in stack {stack}, which no longer has them after an update");
        let hint = format!("cargo xtask bootstrap {}", session.environment.name);
        findings.push(("roles", CheckResult::Note(detail, Some(hint))));
    }
    findings.extend(super::one("provider", provider_known(session)).await);
    findings.extend(token_fits(session, &trust, token).into_iter().map(|found| ("trust", found)));
    findings
}

/// Whether the account has GitHub's identity provider.
async fn provider_known(session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
    let known = pipeline::provider(&session.clients, &session.identity, session.environment).await;
    Ok(Some(match known.map_err(|error| Failure::of(&error)) {
        Ok(true) => CheckResult::Passed(format!("the identity provider {PROVIDER} exists")),
        Ok(false) => CheckResult::problem(
            format!("the account has no identity provider {PROVIDER}"),
            "without it no token of a pipeline is accepted",
            format!("cargo xtask bootstrap {}", session.environment.name),
        ),
        // Only a wrong audience is a finding; other failures are AWS's.
        Err(failure) if failure.kind == FailureKind::Provider => CheckResult::Problem(failure),
        Err(failure) => return Err(failure),
    }))
}

fn token_fits(session: &Session<'_>, trust: &Trust, token: &Token) -> Vec<CheckResult> {
    let subject = trust.repository().zip(trust.environment(Level::Release));
    let subject = subject.map_or_else(String::new, |(repository, name)| format!("{repository}, environment {name}"));
    let mismatches = |claims: &Claims| -> Vec<Failure> {
        token::problems(&token::check_claims(trust, claims, &session.environment.name))
    };
    match token {
        Token::Absent => vec![CheckResult::Passed(format!("the deploy role trusts {subject}"))],
        Token::Given(claims) => match mismatches(claims) {
            mismatches if mismatches.is_empty() => {
                vec![CheckResult::Passed(format!("the token matches the trust policy, of {subject}"))]
            }
            mismatches => mismatches.into_iter().map(CheckResult::Problem).collect(),
        },
        Token::Own(Err(reason)) => {
            vec![CheckResult::Note(format!("could not be checked: no token of this job: {reason}"), None)]
        }
        Token::Own(Ok(claims)) => match mismatches(claims).first() {
            None => vec![CheckResult::Passed(format!("this job's token matches the trust policy, of {subject}"))],
            Some(first) => {
                let reason = first.reason.clone().unwrap_or_default();
                let detail = format!("this job may not assume the deploy role: {first}: {reason}");
                vec![CheckResult::Note(detail, first.hint.clone())]
            }
        },
    }
}

/// Whether the role that the pipeline is configured to assume belongs to the environment's account.
fn configured_role(session: &Session<'_>) -> Option<CheckResult> {
    let arn = model::job::set(&session.context.vars, ROLE)?;
    let account = arn.split(':').nth(4).unwrap_or_default();
    let wanted = session.environment.account.as_ref().unwrap_or(&session.identity.account);
    Some(if account == wanted {
        CheckResult::Passed(format!("{ROLE} is {arn}"))
    } else {
        let hint = format!("cargo xtask bootstrap {} prints the right one", session.environment.name);
        CheckResult::problem(
            format!("{ROLE} belongs to another account"),
            format!("{arn}; the environment is in {wanted}"),
            hint,
        )
    })
}
