//! Where the caller's credentials come from, and what to do where there are none.
//!
//! The order is the SDK's, which the AWS CLI shares: keys of the environment, then the profile, then what the machine has
//! (a task's or an instance's role). What the user has chosen is never replaced by what comes later: a profile that is named
//! and not there is an error as soon as it would be used. Keys of the environment win over it, as they do in every SDK.

use std::collections::{BTreeMap, HashMap};

use aws_config::profile::{self, ProfileSet};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_types::os_shim_internal::{Env, Fs};
use config::deployment::Environment;

use crate::error::{self, chain};
use crate::github_token;
use crate::github_token::Role;
use machine::http::{LOOKUP, quote};
use model::job::set;
use model::outcome::{Exit, Failure, FailureKind};

const EXPORT: &str = "aws configure export-credentials";

/// Who is asked for credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// Nobody: an emulator takes any key.
    Emulator,
    /// The environment has the keys.
    Keys,
    /// GitHub gives this job a token for a role.
    Job,
    /// A profile of the configuration files.
    Profile { name: String, kind: Kind },
    /// The machine, where it has a role.
    #[default]
    Machine,
}

/// How a profile comes to its credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kind {
    base: Base,
    /// Whether it says anything about credentials: else they are the machine's.
    whole: bool,
    /// Whether a role is assumed with a code of a second factor, for which only the AWS CLI asks.
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

impl Source {
    /// # Errors
    /// A choice of the user that leads nowhere.
    pub(super) async fn of(environment: &Environment, vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let (id, secret) = (set(vars, "AWS_ACCESS_KEY_ID"), set(vars, "AWS_SECRET_ACCESS_KEY"));
        if Role::is_meant(vars) {
            return Ok(Self::Job);
        }
        if environment.endpoint.is_some() && id.is_none() {
            return Ok(Self::Emulator);
        }
        match (id, secret) {
            (Some(_), Some(_)) => return Ok(Self::Keys),
            (None, None) => {}
            (id, _) => {
                let (there, lacking) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
                let (there, lacking) = if id.is_some() { (there, lacking) } else { (lacking, there) };
                let failure = Failure::new(Exit::Preflight, FailureKind::Credentials, "the AWS keys are incomplete");
                let failure = failure.resource(there).reason(format!("{there} is set, and {lacking} is not"));
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
        let kind = Kind::of(&profiles, &name);
        Ok(Self::Profile { name, kind })
    }

    /// There are no credentials, or AWS does not accept them.
    pub(super) fn lacking(&self, message: &str, reason: String, vars: &BTreeMap<String, String>) -> Failure {
        let failure =
            |message: &str| Failure::new(Exit::Preflight, FailureKind::Credentials, message).reason(reason.as_str());
        if let Some((message, hint)) = github_token::lacking(vars) {
            return failure(message).hint(hint);
        }
        match self {
            Self::Keys => failure(message).resource("AWS_ACCESS_KEY_ID").hint(
                "get new keys and export them, for example: eval \"$(aws configure export-credentials --format env)\"",
            ),
            Self::Profile { name, kind } => {
                let (message, hint) = kind.advice(name, message);
                failure(&message).resource(format!("profile {name}")).hint(hint)
            }
            Self::Emulator | Self::Job | Self::Machine => failure(message).hint(
                "sign in with `aws login` or `aws configure sso`, then set AWS_PROFILE; or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY",
            ),
        }
    }

    /// A provider gave none.
    pub(super) fn gave_none(&self, error: &CredentialsError, vars: &BTreeMap<String, String>) -> Failure {
        let reason = quote::redacted(&chain(error));
        if let CredentialsError::ProviderTimedOut(_) = error {
            let program = match self {
                Self::Profile { kind: Kind { base: Base::Process(program), .. }, .. } => {
                    format!("the credential process {program}")
                }
                _ => "the source of the AWS credentials".to_owned(),
            };
            let message = format!("{program} did not answer within {} s", LOOKUP.as_secs());
            return self.lacking(&message, reason, vars);
        }
        if error::lacking_credentials(error).is_none() {
            return error::unanswered("sts:GetCallerIdentity", "the caller's credentials", reason);
        }
        if let Self::Profile { name, kind } = self
            && is_of_a_role(error)
        {
            let failure = Failure::new(
                Exit::Preflight,
                FailureKind::Credentials,
                "the role of the AWS profile cannot be assumed",
            );
            let hint = if kind.mfa {
                format!("it demands MFA: eval \"$({EXPORT} --profile {name} --format env)\" asks for the code")
            } else {
                format!("check role_arn and source_profile of {name}, and whom the role trusts")
            };
            return failure.resource(format!("profile {name}")).reason(reason).hint(hint);
        }
        if let Self::Profile { name, kind: Kind { whole: true, .. } } = self
            && matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
        {
            let failure =
                Failure::new(Exit::Preflight, FailureKind::Credentials, format!("the AWS profile {name} has an error"));
            let failure = failure.resource(format!("profile {name}")).reason(reason);
            return failure.hint(format!("correct it in {}", files(vars)));
        }
        self.lacking("there are no AWS credentials", reason, vars)
    }
}

impl Kind {
    /// Whether the credentials are the profile's own, and nobody else's.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    fn of(profiles: &ProfileSet, name: &str) -> Self {
        let (mut kind, mut next) = (Self::default(), Some(name));
        let keys = ["aws_access_key_id", "credential_process", "credential_source", "login_session", "role_arn"];
        let sso = ["source_profile", "sso_account_id", "sso_session", "sso_start_url", "web_identity_token_file"];
        let has = |key: &&str| profiles.get_profile(name).is_some_and(|profile| profile.get(key).is_some());
        kind.whole = keys.iter().chain(&sso).any(has);
        // No chain of profiles is longer than there are.
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
    fn advice(&self, name: &str, otherwise: &str) -> (String, String) {
        match &self.base {
            Base::Sso => (
                format!("the SSO session of the AWS profile {name} has ended"),
                format!("aws sso login --profile {name}"),
            ),
            Base::Login => {
                (format!("nobody is signed in to the AWS profile {name}"), format!("aws login --profile {name}"))
            }
            Base::Process(program) => {
                let message = format!("the credential process {program} gave no AWS credentials");
                let message =
                    if otherwise.starts_with("the credential process") { otherwise.to_owned() } else { message };
                (message, format!("see what it says by itself: {EXPORT} --profile {name}"))
            }
            Base::Other => {
                let hint =
                    format!("get new ones, for example: aws sso login --profile {name}, or aws login --profile {name}");
                (otherwise.to_owned(), hint)
            }
        }
    }
}

/// The profile that the user has named.
pub(super) fn chosen(vars: &BTreeMap<String, String>) -> Option<&str> {
    set(vars, "AWS_PROFILE").or_else(|| set(vars, "AWS_DEFAULT_PROFILE"))
}

/// The files that are searched.
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

/// Whether it is a role that cannot be assumed.
fn is_of_a_role(error: &CredentialsError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<AssumeRoleError>().is_some() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A source that gives up in time: a program that gives credentials may hang.
#[derive(Debug)]
pub(super) struct InTime(pub(super) SharedCredentialsProvider);

impl ProvideCredentials for InTime {
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
