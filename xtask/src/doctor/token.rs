//! A pipeline's OIDC token: its source, and its claims compared with the trust policy.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret, SecretString};

use aws::github_token::TokenSource;
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Check;
use model::trust::{ClaimCheck, Claims, TokenCheck, Trust};

/// The token to compare with the trust policy.
#[derive(Debug)]
pub(crate) enum Token {
    Absent,
    /// Given by the user.
    Given(Claims),
    /// Of the job in which the tool runs, which need not be one that releases.
    Own(Result<Claims, String>),
}

/// The token in a file, or in stdin with `-`; else the job's own.
///
/// # Errors
/// The file cannot be read, or its text is not a token.
pub(crate) async fn find_token(path: Option<&Path>, vars: &BTreeMap<String, String>) -> Result<Token, Failure> {
    if let Some(path) = path {
        return Ok(Token::Given(read_claims(path)?));
    }
    let Some(source) = TokenSource::of(vars) else { return Ok(Token::Absent) };
    let token = source.token().await;
    let read = |token: SecretString| Claims::read(token.expose_secret()).map_err(str::to_owned);
    Ok(Token::Own(token.and_then(read)))
}

/// Reads the claims of a token in a file, or in stdin with `-`.
///
/// # Errors
/// The file cannot be read, or its text is not a token.
pub(crate) fn read_claims(path: &Path) -> Result<Claims, Failure> {
    let unreadable = |reason: String| {
        Failure::new(Exit::Usage, FailureKind::Token, "the token cannot be read")
            .resource(path.display().to_string())
            .reason(reason)
    };
    let text = read_input(path).map_err(|error| unreadable(format!("{error:#}")))?;
    Claims::read(&text).map_err(|reason| unreadable(reason.to_owned()))
}

fn read_input(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).context("the file cannot be read");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("stdin cannot be read")?;
    Ok(text)
}

/// Compares every relevant claim with the trust policy, at the current time.
pub(crate) fn check_claims(trust: &Trust, claims: &Claims, environment: &str) -> TokenCheck {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    trust.check(claims, i64::try_from(now).unwrap_or(i64::MAX), environment)
}

/// The line that is shown for a claim.
pub(crate) fn claim_check(finding: &ClaimCheck) -> Check {
    let ClaimCheck { claim, fits, expected, found, fix } = finding;
    let detail = if *fits { found.clone() } else { format!("expected {expected}; found {found}") };
    Check { name: claim, ok: *fits, note: false, detail, hint: fix.clone() }
}

/// What keeps a token from assuming any role; empty if it may assume one.
pub(crate) fn problems(findings: &TokenCheck) -> Vec<Failure> {
    if findings.roles.iter().any(|(level, _)| findings.may(*level)) {
        return Vec::new();
    }
    let wrong = |of: &[ClaimCheck]| of.iter().filter(|finding| !finding.fits).cloned().collect::<Vec<ClaimCheck>>();
    let mut problems: Vec<Failure> = wrong(&findings.shared).iter().map(|finding| mismatch(finding, "")).collect();
    if findings.roles.iter().all(|(_, of)| !wrong(of).is_empty()) {
        for (level, of) in &findings.roles {
            let role = format!(" the {} role", level.name());
            problems.extend(wrong(of).first().map(|finding| mismatch(finding, &role)));
        }
    }
    problems
}

/// The failure for a claim that does not match.
fn mismatch(finding: &ClaimCheck, role: &str) -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Trust, format!("the claim {} does not match{role}", finding.claim))
        .reason(format!("expected {}; found {}", finding.expected, finding.found))
        .hint(finding.fix.clone().unwrap_or_default())
}
