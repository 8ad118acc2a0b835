//! Smoke test of an endpoint: the right answer from the right image, several times in a row.

mod client;
mod intermediary;

use std::time::Duration;

use anyhow::{Context, Result};
use config::deployment::Service;
use encoding_rs::{Encoding, UTF_8};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::ui::Phase;
pub use client::{ApiClient, ApiClients, Signer};
use intermediary::NotReached;
use machine::http::{self, Client, Http, Lost};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::Digest;
use model::report::Smoke;

/// Successful rounds in a row that an endpoint needs.
const ROUNDS: u32 = 5;
/// How long an unexpected image may answer before the test gives up on it.
const UNEXPECTED_LIMIT: Duration = Duration::from_secs(10);
/// Time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest response that is read to its end.
const MAX_BODY: usize = 64 * 1024;

/// The endpoint to test, and what is expected of it.
#[derive(Debug)]
pub struct Endpoint<'a> {
    /// May have a path, such as a gateway's stage.
    pub base: Url,
    pub service: &'a Service,
    /// The image that must answer; `None` takes any.
    pub digest: Option<Digest>,
    /// The previous image, which may still answer for a while. If it is known, the test does not wait on any other.
    pub before: Option<Digest>,
    /// Pause between two successful rounds. While old and new tasks serve side by side, rounds in quick succession say little.
    pub spacing: Duration,
    pub callers: ApiClients,
    /// Whether a connection that cannot be made is tried again, as right after a deployment.
    pub retries_connections: bool,
}

/// The result of a smoke test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The right answer; with the digest if the service reports it.
    Right { served: Option<String> },
    /// It works, and another image answers.
    OldVersion { served: String },
    /// It answers requests without authentication.
    Open { reason: String },
    /// It does not give the right answer.
    NotAnswering { reason: String },
    /// There is no connection: it is refused, the host is unknown, or the certificate is not trusted.
    NoConnection { reason: String },
    /// Something in front of the service answers instead; `next` says what to check.
    NotReached { reason: String, next: String },
}

impl Endpoint<'_> {
    /// The failure that a verdict is, unless it is good.
    pub fn failure(&self, verdict: &Verdict, exit: Exit) -> Option<Failure> {
        let failure = |kind, message: &str| Failure::new(exit, kind, message).resource(shown_url(&self.base));
        Some(match verdict {
            Verdict::Right { .. } => return None,
            Verdict::OldVersion { served } => {
                let wanted = self.digest.as_ref().map(ToString::to_string).unwrap_or_default();
                failure(FailureKind::OldVersion, "another version is still serving")
                    .reason(format!("{served} answers, {wanted} was deployed"))
                    .hint("wait and ask again with cargo xtask smoke; if it stays, look at the service's log")
            }
            Verdict::Open { reason } => failure(FailureKind::Open, "the endpoint answers without authentication")
                .reason(reason)
                .hint("look at the API's methods and authorizer, then ask again with cargo xtask smoke"),
            Verdict::NotAnswering { reason } => {
                failure(FailureKind::NotAnswering, "the endpoint does not give the right answer")
                    .reason(reason)
                    .hint("look at the service's log, then ask again with cargo xtask smoke")
            }
            Verdict::NoConnection { reason } => failure(FailureKind::NotAnswering, "no connection to the endpoint")
                .reason(reason)
                .hint("check the URL and that the service runs, then ask again with cargo xtask smoke"),
            Verdict::NotReached { reason, next } => {
                failure(FailureKind::NotAnswering, "the endpoint does not give the right answer")
                    .reason(reason)
                    .hint(format!("{next}; then ask again with cargo xtask smoke"))
            }
        })
    }

    /// Whether neither the expected image nor the previous one answers.
    fn is_unexpected(&self, verdict: &Verdict) -> bool {
        match (verdict, &self.before) {
            (Verdict::OldVersion { served }, Some(before)) => served != before.as_str(),
            _ => false,
        }
    }
}

impl Verdict {
    pub fn report(&self) -> Smoke {
        Smoke { status: self.status(), served_digest: self.served() }
    }

    /// Its name in results.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Right { .. } => "right",
            Self::OldVersion { .. } => "old-version",
            Self::Open { .. } => "open",
            Self::NotAnswering { .. } | Self::NoConnection { .. } | Self::NotReached { .. } => "not-answering",
        }
    }

    pub fn served(&self) -> Option<String> {
        match self {
            Self::Right { served } => served.clone(),
            Self::OldVersion { served } => Some(served.clone()),
            Self::Open { .. } | Self::NotAnswering { .. } | Self::NoConnection { .. } | Self::NotReached { .. } => None,
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Verdict::Right { .. } => "correct".to_owned(),
            Verdict::OldVersion { served } => format!("still served by {served}"),
            Verdict::Open { reason }
            | Verdict::NotAnswering { reason }
            | Verdict::NoConnection { reason }
            | Verdict::NotReached { reason, .. } => reason.clone(),
        }
    }
}

/// What is not known without a `version_path`.
pub const UNKNOWN_IMAGE: &str = "which image answered is not known: [service] version_path is not set in deploy.toml";

/// The URL as it is shown, without a trailing slash.
pub fn shown_url(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[derive(Deserialize)]
struct Version {
    digest: Option<String>,
}

/// An HTTP client for smoke tests.
///
/// # Errors
/// The system's certificates cannot be read.
pub fn client(http: &Http) -> Result<Client, Failure> {
    // Each request gets a new connection, so that a load balancer can choose another task.
    http.client(|builder| builder.timeout(REQUEST_TIMEOUT).pool_max_idle_per_host(0))
}

/// Repeats rounds until `ROUNDS` in a row succeed or the timeout ends.
pub async fn verify_endpoint(
    client: &Client,
    endpoint: &Endpoint<'_>,
    timeout: Duration,
    phase: &Phase<'_>,
) -> Verdict {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(100);
    let (mut good, mut unexpected) = (0, None);
    loop {
        let mut verdict = check_once(client, endpoint).await;
        if matches!(verdict, Verdict::Right { .. }) {
            good += 1;
            phase.doing(&format!("correct, {good} of {ROUNDS}"));
            if good < ROUNDS {
                tokio::time::sleep(endpoint.spacing).await;
                continue;
            }
            match check_authentication(client, endpoint).await {
                None => return verdict,
                Some(open) => verdict = open,
            }
        }
        good = 0;
        phase.doing(&verdict.describe());
        unexpected = unexpected.filter(|_| endpoint.is_unexpected(&verdict));
        let give_up = endpoint.is_unexpected(&verdict)
            && unexpected.get_or_insert_with(Instant::now).elapsed() > UNEXPECTED_LIMIT;
        let no_connection = matches!(verdict, Verdict::NoConnection { .. });
        if give_up || no_connection || Instant::now() + pause > deadline {
            return verdict;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
    }
}

/// One round, in which failures are a verdict.
pub async fn check_once(client: &Client, endpoint: &Endpoint<'_>) -> Verdict {
    match round(client, endpoint).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let redact = |text: &str| endpoint.callers.authenticated.redact(text);
            match error.downcast_ref::<NotReached>() {
                Some(NotReached { reason, next }) => Verdict::NotReached { reason: redact(reason), next: redact(next) },
                None => {
                    let reason = redact(&format!("{error:#}"));
                    let lost = error.downcast_ref::<Lost>();
                    // A timeout may be a cold start.
                    if !endpoint.retries_connections && lost.is_some_and(|lost| lost.unsent && !lost.timed_out) {
                        Verdict::NoConnection { reason }
                    } else {
                        Verdict::NotAnswering { reason }
                    }
                }
            }
        }
    }
}

/// Checks that a request without authentication is refused; `None` if it is.
async fn check_authentication(client: &Client, endpoint: &Endpoint<'_>) -> Option<Verdict> {
    let unauthenticated = endpoint.callers.unauthenticated.as_ref()?;
    let url = join(&endpoint.base, &endpoint.service.smoke_path);
    let answer = send(client, &url, unauthenticated).await;
    let reason = match answer.map(|answer| answer.status()) {
        Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return None,
        Ok(status) if status.is_success() => {
            return Some(Verdict::Open { reason: format!("{url} answers {status} without authentication") });
        }
        Ok(status) => format!("{url} answers {status} without authentication, not 401 or 403"),
        Err(error) => unauthenticated.redact(&format!("{error:#}")),
    };
    Some(Verdict::NotAnswering { reason })
}

async fn round(client: &Client, endpoint: &Endpoint<'_>) -> Result<Verdict> {
    let service = endpoint.service;
    let body = get(client, endpoint, &service.smoke_path).await?;
    if !body.text.contains(&service.smoke_contains) {
        let start: String = body.text.chars().take(200).collect();
        let cut = if body.cut { format!("; only {} KiB were read", MAX_BODY / 1024) } else { String::new() };
        anyhow::bail!(
            "{} answers {start:?}, which does not contain {:?}{cut}",
            service.smoke_path,
            service.smoke_contains
        );
    }
    let Some(path) = &service.version_path else { return Ok(Verdict::Right { served: None }) };
    let body = get(client, endpoint, path).await?;
    let version: Version = serde_json::from_str(&body.text).with_context(|| format!("{path} does not return JSON"))?;
    match (version.digest, &endpoint.digest) {
        (served, None) => Ok(Verdict::Right { served }),
        (Some(served), Some(wanted)) if served == wanted.as_str() => Ok(Verdict::Right { served: Some(served) }),
        (Some(served), Some(_)) => Ok(Verdict::OldVersion { served }),
        (None, Some(_)) => anyhow::bail!("{path} returns no digest: the container was started without IMAGE_DIGEST"),
    }
}

async fn get(client: &Client, endpoint: &Endpoint<'_>, path: &str) -> Result<Body> {
    let url = join(&endpoint.base, path);
    let response = send(client, &url, &endpoint.callers.authenticated).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_body(response).await.with_context(|| format!("the response of {url} ended early"))?;
    if status != StatusCode::OK {
        let start: String = body.text.chars().take(200).collect();
        if let Some(other) = intermediary::detect(&url, status, &headers, &body.text) {
            return Err(other.into());
        }
        anyhow::bail!("{url} answers {status} {start}");
    }
    Ok(body)
}

async fn send(http: &Client, url: &Url, client: &ApiClient) -> Result<Response> {
    let request = client.authenticate(http.get(url.clone()), url).await?;
    http.send(request).await.with_context(|| format!("{url} cannot be reached"))
}

/// A response's text.
struct Body {
    text: String,
    /// Whether it was cut at the limit.
    cut: bool,
}

async fn read_body(response: Response) -> Result<Body> {
    let charset = response.headers().get(CONTENT_TYPE).and_then(|value| charset(value.to_str().ok()?));
    let mut bytes = http::body(response, MAX_BODY + 1).await?;
    let cut = bytes.len() > MAX_BODY;
    bytes.truncate(MAX_BODY);
    let (text, ..) = charset.unwrap_or(UTF_8).decode(&bytes);
    Ok(Body { text: text.into_owned(), cut })
}

/// The encoding that a `Content-Type` names (RFC 9110 §8.3.2), if it is a known one.
fn charset(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    Encoding::for_label(named.next()?.1.trim().trim_matches('"').as_bytes())
}

/// Appends a path to the base URL's own.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

#[cfg(test)]
mod tests;
