//! The source of the caller's credentials, and what to do if there are none.
//!
//! The order is that of the SDK and the AWS CLI: keys in the environment, then the profile, then the role of the machine (a
//! task's or an instance's). An explicit choice is never replaced by a later source: a named profile that does not exist is
//! an error as soon as it would be used. Keys in the environment take precedence over it, as in every SDK.

use std::collections::{BTreeMap, HashMap};

use aws_config::profile::{self, ProfileSet};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_types::os_shim_internal::{Env, Fs};
use config::deployment::Environment;

use crate::error::{self, chain};
use crate::github_token::{self, Role};
use machine::http::{LOOKUP, quote};
use model::job::set;
use model::outcome::{Exit, Failure, FailureKind};

const EXPORT: &str = "aws configure export-credentials";

/// Where credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum CredentialSource {
    /// None are needed: an emulator accepts any key.
    Emulator,
    /// Keys in environment variables.
    Keys,
    /// A role that this job assumes with a token of GitHub.
    Job,
    /// A profile of the configuration files.
    Profile { name: String, kind: ProfileKind },
    /// The role of the machine, if it has one.
    #[default]
    Machine,
}

/// Why there are no credentials that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Missing,
    Expired,
    Rejected,
    /// The source of the credentials did not answer in time.
    TimedOut,
}

/// How a profile gets its credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProfileKind {
    base: Base,
    /// Whether it configures credentials at all; otherwise the machine's are used.
    pub(super) has_credentials: bool,
    /// Whether a role requires an MFA code, for which only the AWS CLI prompts.
    mfa: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Base {
    Sso,
    Login,
    /// The program, without its arguments, which may be secret.
    Process(String),
    #[default]
    Other,
}

impl CredentialSource {
    /// # Errors
    /// Incomplete keys, or a profile that does not exist.
    pub(super) async fn of(environment: &Environment, vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let (id, secret) = (set(vars, "AWS_ACCESS_KEY_ID"), set(vars, "AWS_SECRET_ACCESS_KEY"));
        if Role::is_configured(vars) {
            return Ok(Self::Job);
        }
        if environment.endpoint.is_some() && id.is_none() {
            return Ok(Self::Emulator);
        }
        match (id, secret) {
            (Some(_), Some(_)) => return Ok(Self::Keys),
            (None, None) => {}
            (id, _) => {
                let (set, unset) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
                let (set, unset) = if id.is_some() { (set, unset) } else { (unset, set) };
                let failure = Failure::new(Exit::Preflight, FailureKind::Credentials, "the AWS keys are incomplete");
                let failure = failure.resource(set).reason(format!("{set} is set, and {unset} is not"));
                return Err(failure.hint("set both, or none"));
            }
        }
        Self::of_profile(vars).await
    }

    async fn of_profile(vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let chosen = chosen(vars);
        let env = Env::from(vars.clone().into_iter().collect::<HashMap<_, _>>());
        let name = chosen.unwrap_or("default").to_owned();
        let failed = |message: &str, reason: String| {
            Failure::new(Exit::Preflight, FailureKind::Credentials, message)
                .resource(format!("profile {name}"))
                .reason(reason)
        };
        let loaded = profile::load(&Fs::real(), &env, &Default::default(), Some(name.clone().into())).await;
        let profiles = loaded.map_err(|error| {
            let failure = failed("the AWS configuration files cannot be read", chain(&error));
            failure.hint(format!("correct {}", files(vars)))
        })?;
        if profiles.get_profile(&name).is_none() {
            return if chosen.is_none() {
                Ok(Self::Machine)
            } else {
                let mut known: Vec<&str> = profiles.profiles().collect();
                known.sort_unstable();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let reason = format!("{} have these: {known}", files(vars));
                let failure = failed(&format!("there is no AWS profile {name:?}"), reason);
                Err(failure.hint(format!(
                    "set AWS_PROFILE to one of these or unset it; a new one: aws configure sso --profile {name}"
                )))
            };
        }
        let kind = ProfileKind::of(&profiles, &name);
        Ok(Self::Profile { name, kind })
    }

    /// The failure of credentials that are missing or not accepted.
    pub(super) fn unusable(&self, problem: Problem, reason: String, vars: &BTreeMap<String, String>) -> Failure {
        let failure =
            |message: &str| Failure::new(Exit::Preflight, FailureKind::Credentials, message).reason(reason.as_str());
        if let Some((message, hint)) = github_token::missing_setup(vars) {
            return failure(message).hint(hint);
        }
        let message = self.message(problem);
        match self {
            Self::Keys => failure(&message).resource("AWS_ACCESS_KEY_ID").hint(
                "get new keys and export them, for example: eval \"$(aws configure export-credentials --format env)\"",
            ),
            Self::Profile { name, kind } => {
                let (message, hint) = kind.advice(name, problem, message);
                failure(&message).resource(format!("profile {name}")).hint(hint)
            }
            Self::Emulator | Self::Job | Self::Machine => failure(&message).hint(
                "sign in with `aws login` or `aws configure sso`, then set AWS_PROFILE; or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY",
            ),
        }
    }

    fn message(&self, problem: Problem) -> String {
        match (problem, self) {
            (Problem::Missing, _) => "there are no AWS credentials".to_owned(),
            (Problem::Expired, _) => "the AWS credentials have expired".to_owned(),
            (Problem::Rejected, _) => "AWS does not accept the credentials".to_owned(),
            (Problem::TimedOut, Self::Profile { kind: ProfileKind { base: Base::Process(program), .. }, .. }) => {
                format!("the credential process {program} did not answer within {} s", LOOKUP.as_secs())
            }
            (Problem::TimedOut, _) => {
                format!("the source of the AWS credentials did not answer within {} s", LOOKUP.as_secs())
            }
        }
    }

    /// The failure of a provider that returned no credentials.
    pub(super) fn provider_error(&self, error: &CredentialsError, vars: &BTreeMap<String, String>) -> Failure {
        let reason = quote::redacted(&chain(error));
        if let CredentialsError::ProviderTimedOut(_) = error {
            return self.unusable(Problem::TimedOut, reason, vars);
        }
        if error::credentials_error(error).is_none() {
            return error::no_response("sts:GetCallerIdentity", "the caller's credentials", reason);
        }
        if let Self::Profile { name, kind } = self
            && is_role_error(error)
        {
            let failure = Failure::new(
                Exit::Preflight,
                FailureKind::Credentials,
                "the role of the AWS profile cannot be assumed",
            );
            let hint = if kind.mfa {
                format!("it requires MFA: eval \"$({EXPORT} --profile {name} --format env)\" asks for the code")
            } else {
                format!("check role_arn and source_profile of {name}, and the role's trust policy")
            };
            return failure.resource(format!("profile {name}")).reason(reason).hint(hint);
        }
        if let Self::Profile { name, kind: ProfileKind { has_credentials: true, .. } } = self
            && matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
        {
            let failure =
                Failure::new(Exit::Preflight, FailureKind::Credentials, format!("the AWS profile {name} has an error"));
            let failure = failure.resource(format!("profile {name}")).reason(reason);
            return failure.hint(format!("correct it in {}", files(vars)));
        }
        self.unusable(Problem::Missing, reason, vars)
    }
}

impl ProfileKind {
    fn of(profiles: &ProfileSet, name: &str) -> Self {
        let (mut kind, mut next) = (Self::default(), Some(name));
        let keys = ["aws_access_key_id", "credential_process", "credential_source", "login_session", "role_arn"];
        let sso = ["source_profile", "sso_account_id", "sso_session", "sso_start_url", "web_identity_token_file"];
        let has = |key: &&str| profiles.get_profile(name).is_some_and(|profile| profile.get(key).is_some());
        kind.has_credentials = keys.iter().chain(&sso).any(has);
        // A chain of profiles is not longer than their number.
        for _ in profiles.profiles() {
            let Some(profile) = next.and_then(|name| profiles.get_profile(name)) else { break };
            let has = |key: &str| profile.get(key).is_some();
            kind.mfa |= has("role_arn") && has("mfa_serial");
            kind.base = if has("sso_session") || has("sso_start_url") {
                Base::Sso
            } else if has("login_session") {
                Base::Login
            } else if let Some(command) = profile.get("credential_process") {
                Base::Process(program(command))
            } else {
                Base::Other
            };
            next = profile.get("source_profile").filter(|source| *source != profile.name());
        }
        kind
    }

    /// The message, and the next command.
    fn advice(&self, name: &str, problem: Problem, otherwise: String) -> (String, String) {
        match &self.base {
            Base::Sso => (
                format!("the SSO session of the AWS profile {name} has ended"),
                format!("aws sso login --profile {name}"),
            ),
            Base::Login => {
                (format!("the AWS profile {name} has no sign-in session"), format!("aws login --profile {name}"))
            }
            Base::Process(program) => {
                let message = match problem {
                    Problem::TimedOut => otherwise,
                    _ => format!("the credential process {program} returned no AWS credentials"),
                };
                (message, format!("run it on its own to see its error: {EXPORT} --profile {name}"))
            }
            Base::Other => {
                let hint =
                    format!("get new ones, for example: aws sso login --profile {name}, or aws login --profile {name}");
                (otherwise, hint)
            }
        }
    }
}

/// The profile that the user has chosen.
pub(super) fn chosen(vars: &BTreeMap<String, String>) -> Option<&str> {
    set(vars, "AWS_PROFILE").or_else(|| set(vars, "AWS_DEFAULT_PROFILE"))
}

/// The configuration files.
fn files(vars: &BTreeMap<String, String>) -> String {
    let file = |name: &str, otherwise: &str| set(vars, name).unwrap_or(otherwise).to_owned();
    let config = file("AWS_CONFIG_FILE", "~/.aws/config");
    format!("{config} and {}", file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
}

fn program(command: &str) -> String {
    let command = command.trim();
    let quoted = command.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    quoted.map_or(command.split_whitespace().next().unwrap_or_default(), |(program, _)| program).to_owned()
}

/// Whether the cause is a role that cannot be assumed.
fn is_role_error(error: &CredentialsError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<AssumeRoleError>().is_some() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A provider with a timeout: a credential process may hang.
#[derive(Debug)]
pub(super) struct WithTimeout(pub(super) SharedCredentialsProvider);

impl ProvideCredentials for WithTimeout {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let given = tokio::time::timeout(LOOKUP, self.0.provide_credentials()).await;
            given.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LOOKUP)))
        })
    }
}

#[cfg(test)]
mod tests;
