//! The AWS clients of an environment, and the identity of the caller.
//!
//! All standard variables and files of the SDK keep their meaning; `deploy.toml` adds the region and, for an emulator, the
//! endpoint.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use config::deployment::Environment;

use crate::credentials::{CredentialSource, Problem, WithTimeout};
use crate::error::{code, failure};
use crate::github_token::Role;
use crate::{connector, signed};
use machine::http::{self, Http};
use model::outcome::{AwsClass, Exit, Failure, FailureKind};

/// Clients of one environment.
#[derive(Debug, Clone)]
pub struct Clients {
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub ecr: aws_sdk_ecr::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub sts: aws_sdk_sts::Client,
    /// For services that are called without an SDK.
    pub signed: signed::Signed,
    credentials: Option<SharedCredentialsProvider>,
    source: CredentialSource,
    is_emulator: bool,
}

impl Clients {
    /// The pause between two polls, given the usual one: an emulator throttles nobody, so its users need not wait.
    pub fn pause(&self, usual: Duration) -> Duration {
        if self.is_emulator { usual / 10 } else { usual }
    }
}

/// The caller, according to STS and the credentials.
#[derive(Debug, Clone)]
pub struct Identity {
    pub account: String,
    pub arn: String,
    /// When the credentials expire, if that is known.
    pub expiry: Option<SystemTime>,
    /// Whether they expire, known or not.
    pub temporary: bool,
    /// Whether they are not renewed: they come from environment variables.
    pub fixed: bool,
}

#[cfg(any(test, feature = "test-util"))]
impl Identity {
    /// A caller whose credentials do not expire.
    pub fn of(account: &str, arn: &str) -> Self {
        Self { account: account.to_owned(), arn: arn.to_owned(), expiry: None, temporary: false, fixed: false }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clients {
    /// Clients of which only CloudFormation is usable, as the test has mocked it.
    pub fn with_cloudformation(cloudformation: aws_sdk_cloudformation::Client) -> Self {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Self { cloudformation, ..from(&config, signed::Signed::default()) }
    }

    /// Sends the calls without an SDK to this address.
    pub fn with_signed_at(self, endpoint: &str) -> Self {
        Self { signed: signed::Signed::at(endpoint), ..self }
    }
}

/// Makes the clients of `environment`, without a call to AWS.
///
/// # Errors
/// A proxy or an `AWS_CA_BUNDLE` that cannot be used.
pub async fn clients(environment: &Environment, vars: &BTreeMap<String, String>) -> Result<Clients, Failure> {
    let http = Http::of(vars)?.aws()?;
    let source = CredentialSource::of(environment, vars).await?;
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let region = Region::new(environment.region.clone());
    let connector = connector::Connector::new(http.clone());
    // Bursts of throttling are normal during a deployment; the SDK adds the jitter. All pauses together are shorter than
    // the timeout, so that a throttled call is reported as such.
    let retries = RetryConfig::standard().with_max_attempts(6).with_max_backoff(Duration::from_secs(5));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(http::CONNECT)
        .operation_attempt_timeout(http::LOOKUP / 2)
        .operation_timeout(http::LOOKUP)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .app_name(AppName::new("xtask").expect("the name is valid"))
        .http_client(connector.clone())
        .retry_config(retries.clone())
        .timeout_config(timeouts.clone());
    if let Some(endpoint) = &environment.endpoint {
        if set("AWS_ENDPOINT_URL").is_none() {
            loader = loader.endpoint_url(endpoint);
        }
        if source == CredentialSource::Emulator {
            // An emulator accepts any key, and must not get the user's own.
            loader = loader.credentials_provider(Credentials::new("test", "test", None, None, "emulator"));
        }
    }
    if let CredentialSource::Profile { name, kind } = &source {
        loader = loader.profile_name(name);
        if kind.has_credentials {
            // The SDK's chain would skip an incomplete profile, and use the machine's role instead.
            let of_profile = ProviderConfig::without_region().with_region(Some(region)).with_http_client(connector);
            let of_profile = of_profile.with_retry_config(retries).with_timeout_config(timeouts);
            let provider = ProfileFileCredentialsProvider::builder().configure(&of_profile).profile_name(name);
            loader = loader.credentials_provider(provider.build());
        }
    }
    let mut config = loader.load().await;
    let role =
        (source == CredentialSource::Job).then(|| Role::of(vars, || aws_sdk_sts::Client::new(&config))).flatten();
    let provider = role.map(SharedCredentialsProvider::new).or_else(|| config.credentials_provider());
    if let Some(provider) = provider {
        let provider = SharedCredentialsProvider::new(WithTimeout(provider));
        config = config.into_builder().credentials_provider(provider).build();
    }
    let is_emulator = environment.endpoint.is_some();
    Ok(Clients { source, is_emulator, ..from(&config, signed::Signed::new(&config, vars, http)) })
}

fn from(config: &SdkConfig, signed: signed::Signed) -> Clients {
    // The first call shows whether AWS is reachable at all; that must not take a minute.
    let retries = RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(300));
    let sts = aws_sdk_sts::config::Builder::from(config).retry_config(retries).build();
    Clients {
        cloudformation: aws_sdk_cloudformation::Client::new(config),
        ecr: aws_sdk_ecr::Client::new(config),
        ecs: aws_sdk_ecs::Client::new(config),
        logs: aws_sdk_cloudwatchlogs::Client::new(config),
        ssm: aws_sdk_ssm::Client::new(config),
        sts: aws_sdk_sts::Client::from_conf(sts),
        signed,
        credentials: config.credentials_provider(),
        source: CredentialSource::default(),
        is_emulator: false,
    }
}

/// Asks STS for the identity of the caller.
///
/// # Errors
/// With the login command if there are no credentials or they have expired.
pub async fn identity(clients: &Clients, vars: &BTreeMap<String, String>) -> Result<Identity, Failure> {
    let source = &clients.source;
    let missing = || source.unusable(Problem::Missing, "there is no credentials provider".to_owned(), vars);
    let provider = clients.credentials.as_ref().ok_or_else(missing)?;
    let credentials = provider.provide_credentials().await.map_err(|error| source.provider_error(&error, vars))?;
    let caller = clients.sts.get_caller_identity().send().await.map_err(|error| {
        let failure = failure("sts:GetCallerIdentity", "the caller's identity", &error);
        let reason = failure.reason.clone().unwrap_or_default();
        match failure.aws.as_ref().map(|error| error.class) {
            Some(AwsClass::Expired) if code(&failure).starts_with("Expired") => {
                source.unusable(Problem::Expired, reason, vars)
            }
            Some(AwsClass::Expired) => source.unusable(Problem::Rejected, reason, vars),
            Some(AwsClass::Skewed) => Failure { exit: Exit::Preflight, kind: FailureKind::Clock, ..failure },
            _ => failure,
        }
    })?;
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let fixed = vars.get("AWS_ACCESS_KEY_ID").is_some_and(|id| id == credentials.access_key_id());
    Ok(Identity {
        account: text(caller.account()),
        arn: text(caller.arn()),
        expiry: credentials.expiry().or_else(|| exported_expiry(vars).filter(|_| fixed)),
        temporary: credentials.session_token().is_some(),
        fixed,
    })
}

/// When the keys in the environment expire, as `aws configure export-credentials` exports it beside them.
fn exported_expiry(vars: &BTreeMap<String, String>) -> Option<SystemTime> {
    let text = vars.get("AWS_CREDENTIAL_EXPIRATION")?;
    Some(time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?.into())
}

#[cfg(test)]
pub(crate) mod tests;
