//! Requests to a registry: credentials are sent to the registry alone, transient failures retried, responses limited.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use backon::Retryable as _;
use reqwest::header::HeaderMap;
use reqwest::{Method, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::authorization::{Challenge, Token, basic};
use machine::http::{self, Client, Http, Lost, quote};
use model::credentials::Credentials;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::ImageReference;

/// Longest response that is read, in bytes. An SBOM has a hundredth of it.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;
/// Attempts of a request, if the registry does not respond or is overloaded.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// One repository of a registry.
pub struct Registry {
    client: Client,
    base: Url,
    repository: String,
    credentials: Option<Credentials>,
    /// The last accepted one, or the next to try.
    authorization: Mutex<Option<SecretString>>,
}

/// A response of the registry.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why an attempt failed.
enum AttemptError {
    /// The registry throttles, or has an internal failure.
    Busy(Answer),
    Lost(Lost),
    /// A retry would not help.
    Refused(Failure),
}

/// The body of an error (<https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes>).
#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// The repository of `image`. `plain` is for one that is not reached by TLS.
    ///
    /// # Errors
    /// A host that makes no URL.
    pub fn new(image: &ImageReference, credentials: Option<Credentials>, plain: bool, http: &Http) -> Result<Self> {
        let scheme = if plain { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", image.host, image.repository))
            .with_context(|| format!("{} makes no URL", image.name()))?;
        // Blobs may lie elsewhere; reqwest takes the credentials along to no other host.
        let client = http.client(|builder| builder.redirect(redirect::Policy::limited(5)).https_only(!plain))?;
        let repository = image.repository.clone();
        Ok(Self { client, base, repository, credentials, authorization: Mutex::default() })
    }

    /// The URL of a path in the repository.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL that completes an upload: the registry's location, with the digest.
    pub(super) fn join(&self, location: &str, digest: &str) -> Option<String> {
        let mut url = self.base.join(location).ok()?;
        url.query_pairs_mut().append_pair("digest", digest);
        Some(url.into())
    }

    /// The next page of a list, which is the registry's own.
    pub(super) fn page(&self, location: &str) -> Option<String> {
        let url = self.base.join(location).ok()?;
        (url.origin() == self.base.origin()).then(|| url.into())
    }

    /// Sends a request, with retries.
    ///
    /// # Errors
    /// A registry that does not respond or does not accept the credentials.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let body = body.map(bytes::Bytes::from);
        // An upload takes as long as the network needs.
        if method != Method::GET && method != Method::HEAD {
            return self.with_retries(method, url, headers, body).await;
        }
        let lost = |lost: Lost| self.failure("does not answer", url, &lost.to_string());
        http::in_time(self.with_retries(method, url, headers, body)).await.map_err(lost)?
    }

    async fn with_retries(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<bytes::Bytes>,
    ) -> Result<Answer, Failure> {
        let attempt = || async {
            let once =
                || async { self.once(method.clone(), url, headers, body.clone()).await.map_err(AttemptError::Lost) };
            let mut answer = once().await?;
            if answer.status == 401 {
                self.sign_in(answer).await.map_err(AttemptError::Refused)?;
                answer = once().await?;
            }
            if answer.status == 429 || answer.status >= 500 { Err(AttemptError::Busy(answer)) } else { Ok(answer) }
        };
        let again = |error: &AttemptError| !matches!(error, AttemptError::Refused(_));
        match attempt.retry(http::retries(ATTEMPTS, PAUSE)).when(again).await {
            Ok(answer) | Err(AttemptError::Busy(answer)) => Ok(answer),
            Err(AttemptError::Lost(lost)) => Err(self.failure("does not answer", url, &lost.to_string())),
            Err(AttemptError::Refused(failure)) => Err(failure),
        }
    }

    async fn once(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<bytes::Bytes>,
    ) -> Result<Answer, Lost> {
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let own = Url::parse(url).is_ok_and(|url| url.origin() == self.base.origin());
        let authorization = self.authorization.lock().expect("no holder panics").clone();
        if let Some(authorization) = authorization.filter(|_| own) {
            request = request.header("authorization", authorization.expose_secret());
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = self.client.send(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = http::body(response, LONGEST).await?;
        Ok(Answer { status, headers, body })
    }

    /// Answers the registry's challenge.
    async fn sign_in(&self, refused: Answer) -> Result<(), Failure> {
        let challenges = refused.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let known: Vec<Challenge> = challenges.filter_map(Challenge::read).collect();
        let authorization = match (known.first(), &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => basic(credentials),
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                self.token(realm, service.as_deref(), scope.as_deref()).await?
            }
            _ => {
                let reason = "authentication is required, and there are no credentials for it";
                return Err(self.failure("refuses access", self.base.as_str(), reason));
            }
        };
        *self.authorization.lock().expect("no holder panics") = Some(authorization);
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: Option<&str>) -> Result<SecretString, Failure> {
        let fail = |reason: &str| self.failure("refuses access", &without_query(realm), reason);
        let mut url = Url::parse(realm).map_err(|_| fail("it names no token server"))?;
        if url.scheme() != "https" && self.base.scheme() == "https" {
            return Err(fail("its token server wants a password over HTTP without TLS"));
        }
        let own = format!("repository:{}:pull", self.repository);
        url.query_pairs_mut().append_pair("scope", scope.unwrap_or(&own));
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        let mut request = self.client.get(url);
        if let Some(credentials) = &self.credentials {
            request = request.header("authorization", basic(credentials).expose_secret());
        }
        let answer = self.client.send(request).await.map_err(|lost| fail(&lost.to_string()))?;
        let status = answer.status();
        if !status.is_success() {
            let reason = format!("the token server answers {status}");
            return Err(registry_failure("refuses access", without_query(realm), Some(status.as_u16()), reason));
        }
        let token: Token = answer.json().await.map_err(|_| fail("the token cannot be read"))?;
        token.header().ok_or_else(|| fail("the answer has no token"))
    }

    pub(super) fn failure(&self, what: &str, url: &str, reason: &str) -> Failure {
        registry_failure(what, without_query(url), None, reason.to_owned())
    }

    pub(super) fn not_found(&self, what: &str, url: &str) -> Failure {
        registry_failure(what, without_query(url), Some(404), "HTTP 404".to_owned())
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The URL of a list's next page (RFC 8288).
    pub(super) fn next(&self) -> Option<&str> {
        let link = self.header("link").filter(|link| link.contains("rel=\"next\""))?;
        link.split_once('<')?.1.split_once('>').map(|(url, _)| url)
    }

    /// The tag names something else and is immutable.
    pub(super) fn is_tag_taken(&self) -> bool {
        let message = self.message().to_lowercase();
        (400..500).contains(&self.status) && (message.contains("immutable") || message.contains("already exists"))
    }

    /// The response, if it has this status.
    pub(super) fn must_be(self, status: u16, otherwise: &str, url: &str) -> Result<Self, Failure> {
        if self.status == status || (status == 201 && self.status == 200) {
            return Ok(self);
        }
        let reason = format!("HTTP {}: {}", self.status, self.message());
        Err(registry_failure(otherwise, without_query(url), Some(self.status), reason))
    }

    /// The registry's error message, or an excerpt of another response.
    fn message(&self) -> String {
        let errors = serde_json::from_slice::<Errors>(&self.body).map(|body| body.errors).unwrap_or_default();
        if errors.is_empty() {
            return quote::excerpt(&String::from_utf8_lossy(&self.body));
        }
        let words: Vec<String> =
            errors.into_iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect();
        let words = words.join("; ");
        words.chars().take(300).collect()
    }
}

/// Without the query: an upload's may hold a secret.
fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn registry_failure(what: &str, resource: String, status: Option<u16>, reason: String) -> Failure {
    // A registry may also deny access with another status.
    let denied = matches!(status, Some(401 | 403)) || reason.to_lowercase().contains("denied");
    let hint = match status {
        _ if denied => {
            "the registry refused the credentials: check who may push there (ecr:PutImage and the upload actions on AWS)"
        }
        Some(400..500) => "correct what the registry names, then repeat the command",
        _ => {
            "check that this machine reaches the registry over HTTPS, or over HTTP on its loopback; then repeat the \
             command"
        }
    };
    Failure::new(Exit::Failed, FailureKind::Registry, format!("the registry {what}"))
        .resource(resource)
        .reason(reason)
        .hint(hint)
}
