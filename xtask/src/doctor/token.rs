//! A pipeline's token: where it comes from, and what its claims are told as.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use reqwest::redirect;

use crate::outcome::{Exit, Failure};
use crate::report::Check;
use crate::trust::{AUDIENCE, Claims, Finding, Trust};

/// Where GitHub gives a job its tokens, and what it wants to see for one
/// (<https://docs.github.com/en/actions/reference/security/oidc>).
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const PASS: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

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
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    Ok(match set(URL).zip(set(PASS)) {
        Some((url, pass)) => Token::Own(own(url, pass).await.map_err(|error| format!("{error:#}"))),
        None => Token::Absent,
    })
}

/// Reads the claims of a token in a file, or with `-` of stdin.
///
/// # Errors
/// A file that cannot be read, or text that is no token.
pub(crate) fn read(path: &Path) -> Result<Claims, Failure> {
    let unreadable = |reason: String| {
        Failure::new(Exit::Usage, "token", "the token cannot be read")
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

/// Asks GitHub for one, as a release would. No error has a word of what was sent or answered.
async fn own(url: &str, pass: &str) -> Result<Claims> {
    let mut url: url::Url = url.parse().ok().context("GitHub's address for tokens is none")?;
    url.query_pairs_mut().append_pair("audience", AUDIENCE);
    let client =
        reqwest::Client::builder().timeout(Duration::from_secs(10)).redirect(redirect::Policy::none()).build()?;
    let answer = client.get(url).bearer_auth(pass).send().await.map_err(reqwest::Error::without_url)?;
    let answer = answer.error_for_status().map_err(reqwest::Error::without_url)?;
    let text = answer.text().await.map_err(reqwest::Error::without_url)?;
    Claims::read(&text).map_err(anyhow::Error::msg)
}

/// Every claim that counts, against the trust, at this moment.
pub(crate) fn check(trust: &Trust, claims: &Claims, environment: &str) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    trust.check(claims, i64::try_from(now).unwrap_or(i64::MAX), environment)
}

/// A claim as it is shown.
pub(crate) fn told(finding: &Finding) -> Check {
    let Finding { claim, fits, expected, found, fix } = finding;
    let detail = if *fits { found.clone() } else { format!("expected {expected}; found {found}") };
    Check { name: claim, ok: *fits, note: false, detail, hint: fix.clone() }
}

/// A claim that does not fit.
pub(crate) fn misfit(finding: &Finding) -> Failure {
    Failure::new(Exit::Preflight, "trust", format!("the claim {} does not fit", finding.claim))
        .reason(format!("expected {}; found {}", finding.expected, finding.found))
        .hint(finding.fix.clone().unwrap_or_default())
}
