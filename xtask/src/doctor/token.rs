//! A pipeline's token: where it comes from, and what its claims are told as.

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

/// The token that is held against the trust.
#[derive(Debug)]
pub(crate) enum Token {
    Absent,
    /// The user wants to know.
    Given(Claims),
    /// Of the job that this runs in, which need not be one that releases.
    Own(Result<Claims, String>),
}

/// The token in a file, or with `-` of stdin; else the job's own.
///
/// # Errors
/// A file that cannot be read, or text that is no token.
pub(crate) async fn find(path: Option<&Path>, vars: &BTreeMap<String, String>) -> Result<Token, Failure> {
    if let Some(path) = path {
        return Ok(Token::Given(read(path)?));
    }
    let Some(source) = TokenSource::of(vars) else { return Ok(Token::Absent) };
    let token = source.token().await;
    let read = |token: SecretString| Claims::read(token.expose_secret()).map_err(str::to_owned);
    Ok(Token::Own(token.and_then(read)))
}

/// Reads the claims of a token in a file, or with `-` of stdin.
///
/// # Errors
/// A file that cannot be read, or text that is no token.
pub(crate) fn read(path: &Path) -> Result<Claims, Failure> {
    let unreadable = |reason: String| {
        Failure::new(Exit::Usage, FailureKind::Token, "the token cannot be read")
            .resource(path.display().to_string())
            .reason(reason)
    };
    let text = text(path).map_err(|error| unreadable(format!("{error:#}")))?;
    Claims::read(&text).map_err(|reason| unreadable(reason.to_owned()))
}

fn text(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).context("no such text");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("nothing can be read from stdin")?;
    Ok(text)
}

/// Every claim that counts, against the trust, at this moment.
pub(crate) fn check(trust: &Trust, claims: &Claims, environment: &str) -> TokenCheck {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    trust.check(claims, i64::try_from(now).unwrap_or(i64::MAX), environment)
}

/// A claim as it is shown.
pub(crate) fn told(finding: &ClaimCheck) -> Check {
    let ClaimCheck { claim, fits, expected, found, fix } = finding;
    let detail = if *fits { found.clone() } else { format!("expected {expected}; found {found}") };
    Check { name: claim, ok: *fits, note: false, detail, hint: fix.clone() }
}

/// What keeps a token from every role; nothing where it may take one.
pub(crate) fn problems(findings: &TokenCheck) -> Vec<Failure> {
    if findings.roles.iter().any(|(level, _)| findings.may(*level)) {
        return Vec::new();
    }
    let wrong = |of: &[ClaimCheck]| of.iter().filter(|finding| !finding.fits).cloned().collect::<Vec<ClaimCheck>>();
    let mut problems: Vec<Failure> = wrong(&findings.shared).iter().map(|finding| misfit(finding, "")).collect();
    if findings.roles.iter().all(|(_, of)| !wrong(of).is_empty()) {
        for (level, of) in &findings.roles {
            let role = format!(" the {} role", level.name());
            problems.extend(wrong(of).first().map(|finding| misfit(finding, &role)));
        }
    }
    problems
}

/// A claim that does not fit.
fn misfit(finding: &ClaimCheck, role: &str) -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Trust, format!("the claim {} does not fit{role}", finding.claim))
        .reason(format!("expected {}; found {}", finding.expected, finding.found))
        .hint(finding.fix.clone().unwrap_or_default())
}
