//! Proves an endpoint: the right answer, from the right image, several times running.

mod client;
mod intermediary;
pub(crate) mod sign_in;

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
pub(crate) use client::ApiClient;
use intermediary::NotReached;
use machine::http;
use machine::http::{Client, Http};
use model::outcome::Failure;
use model::reference::Digest;
use model::report::Smoke;
pub(crate) use sign_in::ApiClients;

/// Good rounds in a row that prove an endpoint.
const ROUNDS: u32 = 5;
/// How long an image that nobody expects may answer until it is taken for the answer.
const UNEXPECTED_LIMIT: Duration = Duration::from_secs(10);
/// How long a request may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Longest pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Answers that are longer than this are not read to their end.
const MAX_BODY: usize = 64 * 1024;

/// What is asked of an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint<'a> {
    /// May have a path, such as a gateway's stage.
    pub(crate) base: Url,
    pub(crate) service: &'a Service,
    /// The image that must answer; `None` takes any.
    pub(crate) digest: Option<Digest>,
    /// The image that ran before, which may still answer for a while. Where it is known, any other is waited for in vain.
    pub(crate) before: Option<Digest>,
    /// Pause between two good rounds. While old and new serve side by side, rounds at one moment would prove little.
    pub(crate) spacing: Duration,
    /// Who asks, and who must not be let in.
    pub(crate) callers: ApiClients,
}

/// What an endpoint turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The right answer; with the digest where the service tells it.
    Right { served: Option<String> },
    /// It works, and another image answers.
    OldVersion { served: String },
    /// It lets strangers in.
    Open { reason: String },
    /// It does not give the right answer.
    NotAnswering { reason: String },
    /// Something before the service answers in its place; `next` says what to look at.
    NotReached { reason: String, next: String },
}

impl Endpoint<'_> {
    /// Whether it is neither the image that must answer nor the one that may still do so.
    fn is_unexpected(&self, verdict: &Verdict) -> bool {
        match (verdict, &self.before) {
            (Verdict::OldVersion { served }, Some(before)) => served != before.as_str(),
            _ => false,
        }
    }
}

impl Verdict {
    pub(crate) fn report(&self) -> Smoke {
        Smoke { status: self.status(), served_digest: self.served() }
    }

    /// The word for it in results.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Right { .. } => "right",
            Self::OldVersion { .. } => "old-version",
            Self::Open { .. } => "open",
            Self::NotAnswering { .. } | Self::NotReached { .. } => "not-answering",
        }
    }

    pub(crate) fn served(&self) -> Option<String> {
        match self {
            Self::Right { served } => served.clone(),
            Self::OldVersion { served } => Some(served.clone()),
            Self::Open { .. } | Self::NotAnswering { .. } | Self::NotReached { .. } => None,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Verdict::Right { .. } => "right".to_owned(),
            Verdict::OldVersion { served } => format!("still served by {served}"),
            Verdict::Open { reason } | Verdict::NotAnswering { reason } | Verdict::NotReached { reason, .. } => {
                reason.clone()
            }
        }
    }
}

#[derive(Deserialize)]
struct Version {
    digest: Option<String>,
}

/// An HTTP client for proofs.
///
/// # Errors
/// The machine's certificates cannot be read.
pub(crate) fn client(http: &Http) -> Result<Client, Failure> {
    // Each round asks anew, so that a release behind a load balancer is seen on more than one connection.
    http.client(|builder| builder.timeout(ATTEMPT).pool_max_idle_per_host(0))
}

/// Asks until the endpoint is right `ROUNDS` times running or `patience` ends.
pub(crate) async fn verify_endpoint(
    client: &Client,
    target: &Endpoint<'_>,
    patience: Duration,
    phase: &Phase<'_>,
) -> Verdict {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(100);
    let (mut good, mut strange) = (0, None);
    loop {
        let mut verdict = check_once(client, target).await;
        if matches!(verdict, Verdict::Right { .. }) {
            good += 1;
            phase.doing(&format!("right, {good} of {ROUNDS}"));
            if good < ROUNDS {
                tokio::time::sleep(target.spacing).await;
                continue;
            }
            match lets_anyone_in(client, target).await {
                None => return verdict,
                Some(let_in) => verdict = let_in,
            }
        }
        good = 0;
        phase.doing(&verdict.describe());
        strange = strange.filter(|_| target.is_unexpected(&verdict));
        let in_vain =
            target.is_unexpected(&verdict) && strange.get_or_insert_with(Instant::now).elapsed() > UNEXPECTED_LIMIT;
        if in_vain || Instant::now() + pause > deadline {
            return verdict;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
    }
}

/// One round.
pub(crate) async fn check_once(client: &Client, target: &Endpoint<'_>) -> Verdict {
    match round(client, target).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let redact = |text: &str| target.callers.authenticated.redact(text);
            match error.downcast_ref::<NotReached>() {
                Some(NotReached { reason, next }) => Verdict::NotReached { reason: redact(reason), next: redact(next) },
                None => Verdict::NotAnswering { reason: redact(&format!("{error:#}")) },
            }
        }
    }
}

/// What is wrong where somebody who has not signed in is not turned away.
async fn lets_anyone_in(client: &Client, target: &Endpoint<'_>) -> Option<Verdict> {
    let stranger = target.callers.unauthenticated.as_ref()?;
    let url = join(&target.base, &target.service.smoke_path);
    let answer = send(client, &url, stranger).await;
    let reason = match answer.map(|answer| answer.status()) {
        Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return None,
        Ok(status) if status.is_success() => {
            return Some(Verdict::Open { reason: format!("{url} answers {status} without signing in") });
        }
        Ok(status) => format!("{url} answers {status} without signing in, not 401 or 403"),
        Err(error) => stranger.redact(&format!("{error:#}")),
    };
    Some(Verdict::NotAnswering { reason })
}

async fn round(client: &Client, target: &Endpoint<'_>) -> Result<Verdict> {
    let service = target.service;
    let body = get(client, target, &service.smoke_path).await?;
    if !body.text.contains(&service.smoke_contains) {
        let start: String = body.text.chars().take(200).collect();
        let cut = if body.cut { format!("; only {} KiB were read", MAX_BODY / 1024) } else { String::new() };
        anyhow::bail!("{} answers {start:?}, which has no {:?}{cut}", service.smoke_path, service.smoke_contains);
    }
    let Some(path) = &service.version_path else { return Ok(Verdict::Right { served: None }) };
    let body = get(client, target, path).await?;
    let version: Version = serde_json::from_str(&body.text).with_context(|| format!("{path} does not answer JSON"))?;
    match (version.digest, &target.digest) {
        (served, None) => Ok(Verdict::Right { served }),
        (Some(served), Some(wanted)) if served == wanted.as_str() => Ok(Verdict::Right { served: Some(served) }),
        (Some(served), Some(_)) => Ok(Verdict::OldVersion { served }),
        (None, Some(_)) => anyhow::bail!("{path} answers no digest: the container was started without IMAGE_DIGEST"),
    }
}

async fn get(client: &Client, target: &Endpoint<'_>, path: &str) -> Result<Body> {
    let url = join(&target.base, path);
    let response = send(client, &url, &target.callers.authenticated).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_body(response).await.with_context(|| format!("{url} broke off"))?;
    if status != StatusCode::OK {
        let start: String = body.text.chars().take(200).collect();
        if let Some(other) = intermediary::refusal(&url, status, &headers, &body.text) {
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

/// An answer as text.
struct Body {
    text: String,
    /// Whether it is longer than what was read.
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

/// Puts a path behind the base's own.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

#[cfg(test)]
mod tests;
