//! The AWS role that a GitHub job assumes with its OIDC token: no stored secret, and no expiry during a release.
//!
//! A token is requested whenever the role's credentials must be renewed, so that their lifetime of an hour is no limit
//! (<https://docs.github.com/en/actions/reference/security/oidc>).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::error::{ConnectorError, ProvideErrorMetadata};
use backon::Retryable as _;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error;
use machine::http::{self, Client, Http, Lost};
use model::job::set;
use model::trust::{AUDIENCE, Claims};

/// The variable that names the role; the SDK's chain knows it too, together with a file that GitHub does not write.
pub const ROLE: &str = "AWS_ROLE_ARN";
/// Where a job with the permission `id-token: write` requests its token.
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Attempts to get a token if GitHub does not answer.
const ATTEMPTS: usize = 6;
const BACK_OFF: Duration = Duration::from_millis(500);
/// The timeout of an attempt, short enough for another one within the overall timeout.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The longest response that is read; a token has a few thousand bytes.
const MAX_TOKEN: usize = 256 * 1024;
/// How long before their expiry credentials are renewed: longer than any single request.
const EARLY: Duration = Duration::from_secs(300);
/// Claims that identify the job, for the message of a role that refuses it. None is secret.
const SHOWN_CLAIMS: [&str; 4] = ["sub", "repository_id", "environment", "job_workflow_ref"];

/// Where a job requests its tokens.
#[derive(Clone)]
pub struct TokenSource {
    url: String,
    bearer: SecretString,
    http: Client,
}

/// A role, assumed with a job's tokens.
pub struct Role {
    arn: String,
    session: String,
    source: TokenSource,
    sts: aws_sdk_sts::Client,
    cached: Mutex<Option<Credentials>>,
}

impl TokenSource {
    /// From the variables of this job; `None` outside of a job, or without the permission.
    pub fn of(vars: &BTreeMap<String, String>) -> Option<Self> {
        let (url, bearer) = (set(vars, URL)?.to_owned(), set(vars, TOKEN)?.to_owned());
        let http = Http::of(vars).ok()?.client(|builder| builder.timeout(ATTEMPT)).ok()?;
        Some(Self { url, bearer: SecretString::from(bearer), http })
    }

    /// Requests a token for AWS.
    ///
    /// # Errors
    /// Why GitHub issued none.
    pub async fn token(&self) -> Result<SecretString, String> {
        self.token_with_retries().await.map_err(|(reason, _)| reason)
    }

    /// As [`Self::token`]; the error says whether a later attempt may succeed.
    async fn token_with_retries(&self) -> Result<SecretString, (String, bool)> {
        let attempt = || self.request_token();
        let token = attempt.retry(http::retries(ATTEMPTS, BACK_OFF)).when(|(_, retryable)| *retryable);
        let token = http::in_time(token).await.unwrap_or_else(|lost| Err((lost.to_string(), true)));
        token.map_err(|(reason, retryable)| (format!("GitHub issued no token for this job: {reason}"), retryable))
    }

    /// A single attempt; the error says whether another may succeed.
    async fn request_token(&self) -> Result<SecretString, (String, bool)> {
        #[derive(Deserialize)]
        struct TokenResponse {
            value: String,
        }
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}audience={AUDIENCE}", self.url);
        let lost = |lost: Lost| (lost.to_string(), true);
        let request = self.http.get(url).bearer_auth(self.bearer.expose_secret());
        let answer = self.http.send(request).await.map_err(lost)?;
        let status = answer.status();
        if !status.is_success() {
            let retryable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err((format!("it responded with {status}"), retryable));
        }
        let body = http::body(answer, MAX_TOKEN).await.map_err(lost)?;
        let unread = |_| ("the response contains no token".to_owned(), true);
        let answer: TokenResponse = serde_json::from_slice(&body).map_err(unread)?;
        Ok(SecretString::from(answer.value))
    }
}

impl Role {
    /// The role that this job is to assume; `None` if its credentials have another source.
    pub fn of(vars: &BTreeMap<String, String>, sts: impl FnOnce() -> aws_sdk_sts::Client) -> Option<Self> {
        if !Self::is_configured(vars) {
            return None;
        }
        let (arn, source) = (set(vars, ROLE)?.to_owned(), TokenSource::of(vars)?);
        Some(Self { arn, session: session_name(vars), source, sts: sts(), cached: Mutex::default() })
    }

    /// Whether this job is to assume a role. Credentials from elsewhere, such as an earlier step, take precedence.
    pub fn is_configured(vars: &BTreeMap<String, String>) -> bool {
        let others = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"];
        [ROLE, URL, TOKEN].iter().all(|name| set(vars, name).is_some())
            && others.iter().all(|name| set(vars, name).is_none())
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut cached = self.cached.lock().await;
        if let Some(credentials) = cached.as_ref().filter(|cached| is_fresh(cached)) {
            return Ok(credentials.clone());
        }
        let token =
            self.source.token_with_retries().await.map_err(|(reason, retryable)| provider_error(reason, retryable))?;
        let call = self.sts.assume_role_with_web_identity().role_arn(&self.arn).role_session_name(&self.session);
        let assumed = call.web_identity_token(token.expose_secret()).send().await.map_err(|error| {
            let code = error.code().unwrap_or("no answer").to_owned();
            let message = error.message().map_or_else(|| error::chain(&error), str::to_owned);
            let reason =
                format!("sts:AssumeRoleWithWebIdentity of {}: {code}: {message}; {}", self.arn, shown_claims(&token));
            provider_error(reason, error::is_lost(&error::failure("sts:AssumeRoleWithWebIdentity", &self.arn, &error)))
        })?;
        let given = assumed.credentials();
        let given = given.ok_or_else(|| provider_error("STS returned no credentials".to_owned(), false))?;
        let expiry = SystemTime::try_from(*given.expiration()).ok();
        let session = Some(given.session_token().to_owned());
        let fresh = Credentials::new(given.access_key_id(), given.secret_access_key(), session, expiry, "GitHub");
        *cached = Some(fresh.clone());
        Ok(fresh)
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// Why a job has no credentials, and what to do; `None` outside of a job, or if it has keys.
pub fn missing_setup(vars: &BTreeMap<String, String>) -> Option<(&'static str, String)> {
    if !model::job::is_job(vars) || set(vars, "AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    Some(if set(vars, ROLE).is_none() {
        let hint = "cargo xtask bootstrap ENV prints the variable AWS_ROLE_ARN of the GitHub environment, and the step needs \
                    env: AWS_ROLE_ARN: ${{ vars.AWS_ROLE_ARN }}";
        ("this job has no AWS role", hint.to_owned())
    } else if set(vars, URL).is_none() {
        let hint = "give the job the permission `id-token: write`; a pull request from a fork never has it";
        ("this job may not request a token from GitHub", hint.to_owned())
    } else {
        let hint = "compare the claims with the trust policy: cargo xtask doctor ENV, or cargo xtask bootstrap ENV --check-token";
        ("the role does not trust this job", hint.to_owned())
    })
}

/// Why there are no credentials; a retryable error counts as one of the network.
fn provider_error(reason: String, retryable: bool) -> CredentialsError {
    if retryable {
        CredentialsError::provider_error(ConnectorError::io(reason.into()))
    } else {
        CredentialsError::provider_error(reason)
    }
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + EARLY)
}

/// The session name, which CloudTrail shows: the run and the job, in at most 64 characters that STS allows.
fn session_name(vars: &BTreeMap<String, String>) -> String {
    let part = |name: &str| set(vars, name).unwrap_or("0");
    let name = format!("run-{}-{}-{}", part("GITHUB_RUN_ID"), part("GITHUB_RUN_ATTEMPT"), part("GITHUB_JOB"));
    name.chars().filter(|char| char.is_ascii_alphanumeric() || "-_.@=,+".contains(*char)).take(64).collect()
}

/// The claims of a token that identify the job.
fn shown_claims(token: &SecretString) -> String {
    let Ok(claims) = Claims::read(token.expose_secret()) else { return "the token cannot be read".to_owned() };
    let claims_shown = SHOWN_CLAIMS.map(|name| (name, claims.text(name)));
    let claims_shown =
        claims_shown.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} = {value}"));
    format!("the token says {}", claims_shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
