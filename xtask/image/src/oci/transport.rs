//! Requests to a registry: with credentials to the registry alone, with a few attempts, and with a limit to what is read.

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
use machine::http;
use machine::http::{Client, Http, Lost, words};
use model::credentials::Credentials;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::ImageReference;

/// Longest answer that is read, in bytes. A bill of materials has a hundredth of it.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;
/// How often something is asked that the registry does not answer, or is too busy for.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// One repository of a registry.
pub struct Registry {
    client: Client,
    base: Url,
    repository: String,
    credentials: Option<Credentials>,
    /// What the registry has accepted last, or is tried next.
    authorization: Mutex<Option<SecretString>>,
}

/// What the registry has answered.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why an attempt is not the last.
enum Vain {
    /// The registry asks for a pause, or has a failure of its own.
    Busy(Answer),
    Lost(Lost),
    /// Asking again would not help.
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

    /// Something in the repository.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Where an upload ends: the place that the registry has named, and the digest.
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

    /// Asks, and asks again where that may help.
    ///
    /// # Errors
    /// A registry that does not answer, or does not know who asks.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let body = body.map(bytes::Bytes::from);
        // An upload takes as long as the line needs.
        if method != Method::GET && method != Method::HEAD {
            return self.patiently(method, url, headers, body).await;
        }
        let lost = |lost: Lost| self.failure("does not answer", url, &lost.to_string());
        http::in_time(self.patiently(method, url, headers, body)).await.map_err(lost)?
    }

    async fn patiently(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<bytes::Bytes>,
    ) -> Result<Answer, Failure> {
        let attempt = || async {
            let once = || async { self.once(method.clone(), url, headers, body.clone()).await.map_err(Vain::Lost) };
            let mut answer = once().await?;
            if answer.status == 401 {
                self.sign_in(answer).await.map_err(Vain::Refused)?;
                answer = once().await?;
            }
            if answer.status == 429 || answer.status >= 500 { Err(Vain::Busy(answer)) } else { Ok(answer) }
        };
        let again = |vain: &Vain| !matches!(vain, Vain::Refused(_));
        match attempt.retry(http::retries(ATTEMPTS, PAUSE)).when(again).await {
            Ok(answer) | Err(Vain::Busy(answer)) => Ok(answer),
            Err(Vain::Lost(lost)) => Err(self.failure("does not answer", url, &lost.to_string())),
            Err(Vain::Refused(failure)) => Err(failure),
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

    /// Gets what the registry asks for.
    async fn sign_in(&self, refused: Answer) -> Result<(), Failure> {
        let challenges = refused.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let known: Vec<Challenge> = challenges.filter_map(Challenge::read).collect();
        let authorization = match (known.first(), &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => basic(credentials),
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                self.token(realm, service.as_deref(), scope.as_deref()).await?
            }
            _ => {
                let reason = "it wants to know who asks, and there are no credentials for it";
                return Err(self.failure("does not let anybody in", self.base.as_str(), reason));
            }
        };
        *self.authorization.lock().expect("no holder panics") = Some(authorization);
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: Option<&str>) -> Result<SecretString, Failure> {
        let fail = |reason: &str| self.failure("does not let anybody in", &plainly(realm), reason);
        let mut url = Url::parse(realm).map_err(|_| fail("it names nobody who gives tokens"))?;
        if url.scheme() != "https" && self.base.scheme() == "https" {
            return Err(fail("it wants a password to go over HTTP without TLS"));
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
            let reason = format!("whoever gives tokens answers {status}");
            return Err(failure("does not let anybody in", plainly(realm), Some(status.as_u16()), reason));
        }
        let token: Token = answer.json().await.map_err(|_| fail("the token cannot be read"))?;
        token.header().ok_or_else(|| fail("the answer has no token"))
    }

    pub(super) fn failure(&self, what: &str, url: &str, reason: &str) -> Failure {
        failure(what, plainly(url), None, reason.to_owned())
    }

    pub(super) fn not_found(&self, what: &str, url: &str) -> Failure {
        failure(what, plainly(url), Some(404), "HTTP 404".to_owned())
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// Where the next page of a list is (RFC 8288).
    pub(super) fn next(&self) -> Option<&str> {
        let link = self.header("link").filter(|link| link.contains("rel=\"next\""))?;
        link.split_once('<')?.1.split_once('>').map(|(url, _)| url)
    }

    /// The tag names something else, and tags cannot be moved.
    pub(super) fn is_tag_taken(&self) -> bool {
        let said = self.said().to_lowercase();
        (400..500).contains(&self.status) && (said.contains("immutable") || said.contains("already exists"))
    }

    /// The answer, if it has the status that it must have.
    pub(super) fn must_be(self, status: u16, otherwise: &str, url: &str) -> Result<Self, Failure> {
        if self.status == status || (status == 201 && self.status == 200) {
            return Ok(self);
        }
        let reason = format!("HTTP {}: {}", self.status, self.said());
        Err(failure(otherwise, plainly(url), Some(self.status), reason))
    }

    /// The registry's own words, or the first of whatever has answered.
    fn said(&self) -> String {
        let errors = serde_json::from_slice::<Errors>(&self.body).map(|body| body.errors).unwrap_or_default();
        if errors.is_empty() {
            return words::first(&String::from_utf8_lossy(&self.body));
        }
        let words: Vec<String> =
            errors.into_iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect();
        let words = words.join("; ");
        words::visible(&words.chars().take(300).collect::<String>())
    }
}

/// Without what may be a secret: uploads are allowed by what stands behind the question mark.
fn plainly(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn failure(what: &str, resource: String, status: Option<u16>, reason: String) -> Failure {
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
