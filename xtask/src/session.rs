//! One environment at AWS, as a command works with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws::{Clients, Identity};
use config::deployment::Environment;
use model::job;
use model::outcome::{Exit, Failure, FailureKind};

use crate::context::Context;
use local::ui::Ui;

/// What the commands and the engine share while they work on an environment.
#[derive(Clone)]
pub(crate) struct Session<'a> {
    pub(crate) context: &'a Context,
    pub(crate) environment: &'a Environment,
    pub(crate) clients: Clients,
    pub(crate) identity: Identity,
    pub(crate) ui: &'a Ui,
}

impl<'a> Session<'a> {
    /// Clients of an environment, and a caller that may be used for it.
    ///
    /// # Errors
    /// Missing or expired credentials, or another account than the environment allows.
    pub(crate) async fn open(context: &'a Context, environment: &'a Environment, ui: &'a Ui) -> Result<Self, Failure> {
        if job::is_job(&context.vars) && environment.account.is_none() && environment.endpoint.is_none() {
            let message = "a pipeline needs the account that it may change";
            return Err(Failure::new(Exit::Preflight, FailureKind::Account, message)
                .resource(format!("environment {}", environment.name))
                .reason("otherwise the job's variables would decide where it releases to")
                .hint(format!("account = \"…\" under [environments.{}] in deploy.toml", environment.name)));
        }
        let clients = aws::clients(environment, &context.vars).await?;
        let identity = aws::identity(&clients, &context.vars).await?;
        if let Some(allowed) = environment.account.as_ref().filter(|allowed| **allowed != identity.account) {
            return Err(Failure::new(Exit::Preflight, FailureKind::Account, "this is not the environment's account")
                .resource(format!("environment {}", environment.name))
                .reason(format!("deploy.toml allows {allowed}; {} is in {}", identity.arn, identity.account))
                .hint("choose the right AWS_PROFILE"));
        }
        Ok(Self { context, environment, clients, identity, ui })
    }

    /// Whether it is an emulator, which has neither quotas nor roles of AWS's own.
    pub(crate) fn is_emulator(&self) -> bool {
        self.environment.endpoint.is_some()
    }

    /// How long the credentials last, as far as they say.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.identity.expiry.map(|expiry| expiry.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Account, region, caller and how long the credentials last, in one line.
    pub(crate) fn describe(&self) -> String {
        let Identity { account, arn, temporary, .. } = &self.identity;
        let left = match self.time_left() {
            Some(left) => format!("credentials for {} min", left.as_secs() / 60),
            None if *temporary => "credentials of unknown lifetime".to_owned(),
            None => "credentials that do not expire".to_owned(),
        };
        format!("account {account} in {}, {arn}, {left}", self.environment.region)
    }
}

/// A name that no other run has: time and process, as a change set may be named.
pub(crate) fn token() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("xtask-{millis}-{}", std::process::id())
}
