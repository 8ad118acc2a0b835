//! The way to AWS: clients for one environment, and who is calling.
//!
//! Everything the SDK reads from its standard variables and files keeps its meaning; `deploy.toml` adds the region
//! and, for an emulator, the endpoint.

pub(crate) mod ec2;
pub(crate) mod ecs;
pub(crate) mod log;
mod patience;
mod refusal;
pub(crate) mod signed;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sts::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use config::deployment::Environment;

use crate::github::token::{self, Role};
use crate::outcome::{AwsClass, Exit, Failure};
pub(crate) use patience::{again, jitter};
pub(crate) use refusal::{code, failure, is_denied, is_expired, is_missing, is_refusal, is_throttled};

/// Clients of one environment.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    pub(crate) ecr: aws_sdk_ecr::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    /// For services that are asked by hand.
    pub(crate) signed: signed::Signed,
    credentials: Option<SharedCredentialsProvider>,
}

/// Who calls, as STS and the credentials say.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) arn: String,
    /// When the credentials end, as far as they say.
    pub(crate) expiry: Option<SystemTime>,
    /// Whether they end at all, said or not.
    pub(crate) temporary: bool,
    /// Whether nobody renews them: they came from the environment.
    pub(crate) fixed: bool,
}

#[cfg(test)]
impl Identity {
    /// A caller whose credentials do not end.
    pub(crate) fn of(account: &str, arn: &str) -> Self {
        Self { account: account.to_owned(), arn: arn.to_owned(), expiry: None, temporary: false, fixed: false }
    }
}

#[cfg(test)]
impl Clients {
    /// Only CloudFormation answers, as the test has modelled it.
    pub(crate) fn modelled(cloudformation: aws_sdk_cloudformation::Client) -> Self {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Self { cloudformation, ..from(&config, signed::Signed::default()) }
    }

    /// These answer too.
    pub(crate) fn and(self, ecs: aws_sdk_ecs::Client, logs: aws_sdk_cloudwatchlogs::Client) -> Self {
        Self { ecs, logs, ..self }
    }

    /// What is asked by hand answers at this address.
    pub(crate) fn with_signed_at(self, endpoint: &str) -> Self {
        Self { signed: signed::Signed::at(endpoint), ..self }
    }
}

/// Makes the clients of `environment`; nothing is asked of AWS yet.
///
/// # Errors
/// An `AWS_CA_BUNDLE` that cannot be read.
pub(crate) async fn clients(environment: &Environment, vars: &BTreeMap<String, String>) -> Result<Clients> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(environment.region.clone()))
        .app_name(AppName::new("xtask").expect("the name is valid"))
        // Bursts of throttling are normal while a stack works; the SDK adds the jitter.
        .retry_config(RetryConfig::standard().with_max_attempts(6))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .operation_attempt_timeout(Duration::from_secs(60))
                .build(),
        );
    if let Some(endpoint) = &environment.endpoint {
        if set("AWS_ENDPOINT_URL").is_none() {
            loader = loader.endpoint_url(endpoint);
        }
        if set("AWS_ACCESS_KEY_ID").is_none() {
            // An emulator takes any key, and must not be shown the user's own.
            loader = loader.credentials_provider(Credentials::new("test", "test", None, None, "emulator"));
        }
    }
    let mut authorities = None;
    if let Some(path) = set("AWS_CA_BUNDLE") {
        let pem = std::fs::read(path).with_context(|| format!("cannot read AWS_CA_BUNDLE {path}"))?;
        loader = loader.http_client(trusting(path, &pem)?);
        authorities = Some(pem);
    }
    let mut config = loader.load().await;
    if let Some(role) = Role::of(vars, || aws_sdk_sts::Client::new(&config)) {
        let credentials = SharedCredentialsProvider::new(role);
        config = config.into_builder().credentials_provider(credentials).build();
    }
    Ok(from(&config, signed::Signed::new(&config, vars, authorities)))
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
    }
}

/// An HTTP client that trusts the authorities in a PEM file and no others, as `AWS_CA_BUNDLE` means.
fn trusting(path: &str, pem: &[u8]) -> Result<aws_sdk_sts::config::SharedHttpClient> {
    let context = TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(pem))
        .build()
        .with_context(|| format!("AWS_CA_BUNDLE {path} holds no certificates that can be used"))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}

/// Asks who calls.
///
/// # Errors
/// A failure with the login command where there are no credentials or they have ended.
pub(crate) async fn identity(clients: &Clients, vars: &BTreeMap<String, String>) -> Result<Identity, Failure> {
    let provider = clients.credentials.as_ref().ok_or_else(|| no_credentials("there is no provider", vars))?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| no_credentials(&chain(&error), vars))?;
    let caller = clients.sts.get_caller_identity().send().await.map_err(|error| {
        let failure = failure("sts:GetCallerIdentity", "the caller's identity", &error);
        match failure.aws.as_ref().map(|said| said.class) {
            Some(AwsClass::Expired) => no_credentials(failure.reason.as_deref().unwrap_or_default(), vars),
            Some(AwsClass::Skewed) => Failure { exit: Exit::Preflight, kind: "clock", ..failure },
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

fn no_credentials(reason: &str, vars: &BTreeMap<String, String>) -> Failure {
    let profile = vars.get("AWS_PROFILE").map_or("default", String::as_str);
    let lower = reason.to_lowercase();
    let sso = lower.contains("sso");
    let (message, hint) = if let Some(lacking) = token::lacking(vars) {
        lacking
    } else if sso {
        ("the SSO session has ended", format!("aws sso login --profile {profile}"))
    } else if lower.contains("expired") {
        ("the AWS credentials have ended", format!("get new ones, for example: aws sso login --profile {profile}"))
    } else {
        (
            "there are no AWS credentials",
            "aws configure sso, then set AWS_PROFILE; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
        )
    };
    Failure::new(Exit::Preflight, "credentials", message)
        .resource(format!("profile {profile}"))
        .reason(reason)
        .hint(hint)
}

/// What an error and its causes say, each once. Never their debug text, which holds whole responses.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests;
