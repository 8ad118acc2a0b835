//! The way to AWS: clients for one environment, and who is calling.
//!
//! Everything the SDK reads from its standard variables and files keeps its meaning; `deploy.toml` adds the region
//! and, for an emulator, the endpoint.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use config::deployment::Environment;

use crate::credentials::{CredentialSource, InTime, Problem};
use crate::error::{code, failure};
use crate::github_token::Role;
use crate::{connector, signed};
use machine::http;
use machine::http::Http;
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
    /// For services that are asked by hand.
    pub signed: signed::Signed,
    credentials: Option<SharedCredentialsProvider>,
    source: CredentialSource,
}

/// Who calls, as STS and the credentials say.
#[derive(Debug, Clone)]
pub struct Identity {
    pub account: String,
    pub arn: String,
    /// When the credentials end, as far as they say.
    pub expiry: Option<SystemTime>,
    /// Whether they end at all, said or not.
    pub temporary: bool,
    /// Whether nobody renews them: they came from the environment.
    pub fixed: bool,
}

#[cfg(any(test, feature = "test-util"))]
impl Identity {
    /// A caller whose credentials do not end.
    pub fn of(account: &str, arn: &str) -> Self {
        Self { account: account.to_owned(), arn: arn.to_owned(), expiry: None, temporary: false, fixed: false }
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clients {
    /// Only CloudFormation answers, as the test has modelled it.
    pub fn modelled(cloudformation: aws_sdk_cloudformation::Client) -> Self {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Self { cloudformation, ..from(&config, signed::Signed::default()) }
    }

    /// What is asked by hand answers at this address.
    pub fn with_signed_at(self, endpoint: &str) -> Self {
        Self { signed: signed::Signed::at(endpoint), ..self }
    }
}

/// Makes the clients of `environment`; nothing is asked of AWS yet.
///
/// # Errors
/// A proxy or an `AWS_CA_BUNDLE` that cannot be used.
pub async fn clients(environment: &Environment, vars: &BTreeMap<String, String>) -> Result<Clients, Failure> {
    let http = Http::of(vars)?.aws()?;
    let source = CredentialSource::of(environment, vars).await?;
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let region = Region::new(environment.region.clone());
    let connector = connector::Connector::new(http.clone());
    // Bursts of throttling are normal while a stack works; the SDK adds the jitter. All pauses together are shorter than
    // a lookup may take, so that a call that ends for them says so.
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
            // An emulator takes any key, and must not be shown the user's own.
            loader = loader.credentials_provider(Credentials::new("test", "test", None, None, "emulator"));
        }
    }
    if let CredentialSource::Profile { name, kind } = &source {
        loader = loader.profile_name(name);
        if kind.is_whole() {
            // The SDK's chain would pass over a profile with a gap, and take the machine's role instead.
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
        let provider = SharedCredentialsProvider::new(InTime(provider));
        config = config.into_builder().credentials_provider(provider).build();
    }
    Ok(Clients { source, ..from(&config, signed::Signed::new(&config, vars, http)) })
}

fn from(config: &SdkConfig, signed: signed::Signed) -> Clients {
    // The first call tells whether AWS is there at all; an endpoint that is not must not take a minute to say so.
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
    }
}

/// Asks who calls.
///
/// # Errors
/// A failure with the login command where there are no credentials or they have ended.
pub async fn identity(clients: &Clients, vars: &BTreeMap<String, String>) -> Result<Identity, Failure> {
    let source = &clients.source;
    let missing = || source.lacking(Problem::Missing, "there is no provider".to_owned(), vars);
    let provider = clients.credentials.as_ref().ok_or_else(missing)?;
    let credentials = provider.provide_credentials().await.map_err(|error| source.gave_none(&error, vars))?;
    let caller = clients.sts.get_caller_identity().send().await.map_err(|error| {
        let failure = failure("sts:GetCallerIdentity", "the caller's identity", &error);
        let reason = failure.reason.clone().unwrap_or_default();
        match failure.aws.as_ref().map(|said| said.class) {
            Some(AwsClass::Expired) if code(&failure).starts_with("Expired") => {
                source.lacking(Problem::Expired, reason, vars)
            }
            Some(AwsClass::Expired) => source.lacking(Problem::Rejected, reason, vars),
            Some(AwsClass::Skewed) => Failure { exit: Exit::Preflight, kind: FailureKind::Clock, ..failure },
            _ => failure,
        }
    })?;
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let fixed = vars.get("AWS_ACCESS_KEY_ID").is_some_and(|id| id == credentials.access_key_id());
    Ok(Identity {
        account: text(caller.account()),
        arn: text(caller.arn()),
        expiry: credentials.expiry().or_else(|| said_expiry(vars).filter(|_| fixed)),
        temporary: credentials.session_token().is_some(),
        fixed,
    })
}

/// When the keys in the environment end, as `aws configure export-credentials` says it beside them.
fn said_expiry(vars: &BTreeMap<String, String>) -> Option<SystemTime> {
    let text = vars.get("AWS_CREDENTIAL_EXPIRATION")?;
    Some(time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?.into())
}

#[cfg(test)]
pub(crate) mod tests;
