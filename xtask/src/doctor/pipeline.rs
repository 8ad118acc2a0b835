//! Whether a pipeline is let in: GitHub's provider, the trust of the deploy role, a token's claims, and the role that the
//! pipeline is told to take.

use super::token::{self, Token};
use super::{Finding, Found, unseen};
use crate::bootstrap;
use crate::session::Session;
use aws::github_token::ROLE;
use aws::stack;
use model::outcome::{Failure, FailureKind};
use model::policy::Level;
use model::policy::PROVIDER;
use model::trust::{Claims, Trust};

pub(super) async fn look(session: &Session<'_>, token: &Token) -> Vec<Finding> {
    let mut findings: Vec<Finding> = role(session).into_iter().map(|found| ("role", found)).collect();
    let own = bootstrap::environment(session.environment);
    let look =
        async { stack::describe(&session.clients.cloudformation, &own.stack).await.map_err(|e| Failure::of(&e)) };
    let trust = match super::bounded(look).await {
        Ok(stack) => stack.as_ref().and_then(|stack| Trust::deployed(&stack.parameters)),
        // It is the administrator's stack, and of no interest to others unless they ask.
        Err(failure) if aws::is_denied(&failure) && matches!(token, Token::Absent) => return findings,
        Err(failure) => {
            let hint = format!("an administrator can: cargo xtask bootstrap {} --check-token FILE", own.name);
            findings.push(("trust", Found::Note(unseen(&failure), Some(hint))));
            return findings;
        }
    };
    let Some(trust) = trust else {
        // Who releases from a machine of their own needs none.
        if matches!(token, Token::Given(_)) {
            let hint = format!("cargo xtask bootstrap {} --github OWNER/REPO", session.environment.name);
            let message = "there is no trust to compare the token with";
            findings.push(("trust", Found::lacking(message, format!("stack {} trusts no pipeline", own.stack), hint)));
        }
        return findings;
    };
    findings.extend(super::one("provider", provider(session)).await);
    findings.extend(claims(session, &trust, token).into_iter().map(|found| ("trust", found)));
    findings
}

/// Whether the account still knows GitHub.
async fn provider(session: &Session<'_>) -> Result<Option<Found>, Failure> {
    let known = bootstrap::provider(&session.clients, &session.identity, session.environment).await;
    Ok(Some(match known.map_err(|error| Failure::of(&error)) {
        Ok(true) => Found::Fine(format!("{PROVIDER} is known")),
        Ok(false) => Found::lacking(
            format!("the account does not know {PROVIDER}"),
            "no token of a pipeline is taken without",
            format!("cargo xtask bootstrap {}", session.environment.name),
        ),
        // Its audience is wrong; everything else is what AWS says.
        Err(failure) if failure.kind == FailureKind::Provider => Found::Lacking(failure),
        Err(failure) => return Err(failure),
    }))
}

fn claims(session: &Session<'_>, trust: &Trust, token: &Token) -> Vec<Found> {
    let whom = trust.repository().zip(trust.environment(Level::Release));
    let whom = whom.map_or_else(String::new, |(repository, name)| format!("{repository}, environment {name}"));
    let misfits =
        |claims: &Claims| -> Vec<Failure> { token::problems(&token::check(trust, claims, &session.environment.name)) };
    match token {
        Token::Absent => vec![Found::Fine(format!("the deploy role trusts {whom}"))],
        Token::Given(claims) => match misfits(claims) {
            misfits if misfits.is_empty() => vec![Found::Fine(format!("the token fits, of {whom}"))],
            misfits => misfits.into_iter().map(Found::Lacking).collect(),
        },
        Token::Own(Err(reason)) => {
            vec![Found::Note(format!("could not be looked at: no token of this job: {reason}"), None)]
        }
        Token::Own(Ok(claims)) => match misfits(claims).first() {
            None => vec![Found::Fine(format!("this job's token fits, of {whom}"))],
            Some(first) => {
                let reason = first.reason.clone().unwrap_or_default();
                let detail = format!("this job may not take the deploy role: {first}: {reason}");
                vec![Found::Note(detail, first.hint.clone())]
            }
        },
    }
}

/// Whether the role that the pipeline is told to take is of the environment's account.
fn role(session: &Session<'_>) -> Option<Found> {
    let arn = model::job::set(&session.context.vars, ROLE)?;
    let account = arn.split(':').nth(4).unwrap_or_default();
    let wanted = session.environment.account.as_ref().unwrap_or(&session.identity.account);
    Some(if account == wanted {
        Found::Fine(format!("{ROLE} is {arn}"))
    } else {
        let hint = format!("cargo xtask bootstrap {} prints the right one", session.environment.name);
        Found::lacking(format!("{ROLE} is another account's"), format!("{arn}; the environment is in {wanted}"), hint)
    })
}
