//! A role of AWS that a job takes with GitHub's own token: nothing is stored, and nothing ends in the middle of a release.
//!
//! The token is asked for whenever the role's credentials have to be renewed, so an hour's credentials are no limit
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
use machine::http;
use machine::http::{Client, Http, Lost};
use model::job::set;
use model::trust::{AUDIENCE, Claims};

/// The variable that names the role; the SDK's chain knows it too, together with a file that GitHub does not write.
pub const ROLE: &str = "AWS_ROLE_ARN";
/// Where a job that has the permission `id-token: write` asks for its token.
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Attempts that the token gets where GitHub does not answer.
const ATTEMPTS: usize = 6;
const BACK_OFF: Duration = Duration::from_millis(500);
/// Short enough for another one within the time of a lookup.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A token has a few thousand bytes.
const MAX_TOKEN: usize = 256 * 1024;
/// How long before their end credentials are renewed: longer than any single request.
const EARLY: Duration = Duration::from_secs(300);
/// Claims that tell whose the token is, for whoever has to find out why it was not let in. None is secret.
const TOLD: [&str; 4] = ["sub", "repository_id", "environment", "job_workflow_ref"];

/// Where a job asks for its tokens.
#[derive(Clone)]
pub struct TokenSource {
    url: String,
    bearer: SecretString,
    http: Client,
}

/// A role, taken with a job's tokens.
pub struct Role {
    arn: String,
    session: String,
    source: TokenSource,
    sts: aws_sdk_sts::Client,
    held: Mutex<Option<Credentials>>,
}

impl TokenSource {
    /// What this job was given; `None` outside of one, or without the permission.
    pub fn of(vars: &BTreeMap<String, String>) -> Option<Self> {
        let (url, bearer) = (set(vars, URL)?.to_owned(), set(vars, TOKEN)?.to_owned());
        let http = Http::of(vars).ok()?.client(|builder| builder.timeout(ATTEMPT)).ok()?;
        Some(Self { url, bearer: SecretString::from(bearer), http })
    }

    /// Asks for a token that AWS takes.
    ///
    /// # Errors
    /// Why there is none, in GitHub's words.
    pub async fn token(&self) -> Result<SecretString, String> {
        self.token_with_retries().await.map_err(|(reason, _)| reason)
    }

    /// As [`Self::token`]; a refusal says whether it may pass.
    async fn token_with_retries(&self) -> Result<SecretString, (String, bool)> {
        let attempt = || self.ask();
        let asked = attempt.retry(http::retries(ATTEMPTS, BACK_OFF)).when(|(_, may_pass)| *may_pass);
        let token = http::in_time(asked).await.unwrap_or_else(|lost| Err((lost.to_string(), true)));
        token.map_err(|(reason, may_pass)| (format!("GitHub gives this job no token: {reason}"), may_pass))
    }

    /// One attempt; a refusal says whether another may do better.
    async fn ask(&self) -> Result<SecretString, (String, bool)> {
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
            let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err((format!("it answers {status}"), may_pass));
        }
        let body = http::body(answer, MAX_TOKEN).await.map_err(lost)?;
        let unread = |_| ("its answer has no token".to_owned(), true);
        let answer: TokenResponse = serde_json::from_slice(&body).map_err(unread)?;
        Ok(SecretString::from(answer.value))
    }
}

impl Role {
    /// The role that this job is to take; `None` where credentials come from elsewhere.
    pub fn of(vars: &BTreeMap<String, String>, sts: impl FnOnce() -> aws_sdk_sts::Client) -> Option<Self> {
        if !Self::is_meant(vars) {
            return None;
        }
        let (arn, source) = (set(vars, ROLE)?.to_owned(), TokenSource::of(vars)?);
        Some(Self { arn, session: session(vars), source, sts: sts(), held: Mutex::default() })
    }

    /// Whether this job is to take a role: whoever signs in by other means, such as an action before this step, means that.
    pub fn is_meant(vars: &BTreeMap<String, String>) -> bool {
        let others = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"];
        [ROLE, URL, TOKEN].iter().all(|name| set(vars, name).is_some())
            && others.iter().all(|name| set(vars, name).is_none())
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        if let Some(credentials) = held.as_ref().filter(|held| is_fresh(held)) {
            return Ok(credentials.clone());
        }
        let token = self.source.token_with_retries().await.map_err(|(reason, may_pass)| none(reason, may_pass))?;
        let call = self.sts.assume_role_with_web_identity().role_arn(&self.arn).role_session_name(&self.session);
        let taken = call.web_identity_token(token.expose_secret()).send().await.map_err(|error| {
            let code = error.code().unwrap_or("no answer").to_owned();
            let said = error.message().map_or_else(|| error::chain(&error), str::to_owned);
            let reason = format!("sts:AssumeRoleWithWebIdentity of {}: {code}: {said}; {}", self.arn, told(&token));
            none(reason, error::is_lost(&error::failure("sts:AssumeRoleWithWebIdentity", &self.arn, &error)))
        })?;
        let given = taken.credentials();
        let given = given.ok_or_else(|| none("STS answered without credentials".to_owned(), false))?;
        let expiry = SystemTime::try_from(*given.expiration()).ok();
        let session = Some(given.session_token().to_owned());
        let fresh = Credentials::new(given.access_key_id(), given.secret_access_key(), session, expiry, "GitHub");
        *held = Some(fresh.clone());
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

/// Why a job has no credentials, and what to do; `None` where it is none, or was given keys.
pub fn lacking(vars: &BTreeMap<String, String>) -> Option<(&'static str, String)> {
    if !model::job::is_job(vars) || set(vars, "AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    Some(if set(vars, ROLE).is_none() {
        let hint = "cargo xtask bootstrap ENV prints the variable AWS_ROLE_ARN of the GitHub environment, and the step needs \
                    env: AWS_ROLE_ARN: ${{ vars.AWS_ROLE_ARN }}";
        ("this job is told of no role", hint.to_owned())
    } else if set(vars, URL).is_none() {
        let hint = "give the job the permission `id-token: write`; a pull request from a fork never has it";
        ("this job may not ask GitHub for a token", hint.to_owned())
    } else {
        let hint =
            "hold the claims against the trust: cargo xtask doctor ENV, or cargo xtask bootstrap ENV --check-token";
        ("the role does not let this job in", hint.to_owned())
    })
}

/// Why there are no credentials; a failure that may pass is the network's.
fn none(reason: String, may_pass: bool) -> CredentialsError {
    if may_pass {
        CredentialsError::provider_error(ConnectorError::io(reason.into()))
    } else {
        CredentialsError::provider_error(reason)
    }
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + EARLY)
}

/// How CloudTrail names whoever took the role: the run and the job, of letters that STS allows, at most 64.
fn session(vars: &BTreeMap<String, String>) -> String {
    let part = |name: &str| set(vars, name).unwrap_or("0");
    let name = format!("run-{}-{}-{}", part("GITHUB_RUN_ID"), part("GITHUB_RUN_ATTEMPT"), part("GITHUB_JOB"));
    name.chars().filter(|char| char.is_ascii_alphanumeric() || "-_.@=,+".contains(*char)).take(64).collect()
}

/// What a token says of itself.
fn told(token: &SecretString) -> String {
    let Ok(claims) = Claims::read(token.expose_secret()) else { return "the token cannot be read".to_owned() };
    let said = TOLD.map(|name| (name, claims.text(name)));
    let said = said.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} = {value}"));
    format!("the token says {}", said.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
