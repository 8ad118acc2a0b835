//! The IAM policy for this tool's own calls, as narrow as IAM allows.
//!
//! It does not cover what CloudFormation does on behalf of the caller: that depends on the template. A test compares
//! the actions with the calls in the sources.

mod boundary;
mod doctor;
mod grants;
mod scope;

use std::collections::BTreeMap;

use clap::ValueEnum;
use config::deployment::{Deployment, Environment};
use serde::Serialize;

pub use boundary::{covers, may_let_through};
pub use doctor::Question;
use grants::{ENCRYPT, Grant, PASS};
use scope::Arns;

use crate::partition;

/// The issuer of GitHub's tokens, as IAM names the provider.
pub const PROVIDER: &str = "token.actions.githubusercontent.com";

/// Characters of a stack's name in the name of its roles, which have 64 at most.
const ROLE_PREFIX: usize = 24;

/// A level of access; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Look: no log line, no secret, nothing that writes.
    Read,
    /// Publish an image and have change sets made, without executing one.
    Plan,
    /// Everything that this tool does.
    Release,
}

impl Level {
    /// Its name on the command line and in the pipeline.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Release => "release",
        }
    }
}

/// An IAM policy document
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: &'static [&'static str],
    resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Condition,
}

/// Values by condition key, by operator.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, String>>;

/// The policy for reading, planning or releasing the service in `environment`, for reading the stacks of its needs, and
/// for changing those of `changed`.
pub fn policy(deployment: &Deployment, environment: &Environment, changed: &[&Environment], level: Level) -> Policy {
    let needs = deployment.needs_of(environment);
    let arns = Arns { service: &deployment.service, environment, needs, changed };
    let statement = |grant: &Grant| {
        let (resource, condition) = arns.narrowed(grant.scope);
        Statement { sid: grant.sid, effect: "Allow", action: grant.actions, resource, condition }
    };
    let pass = environment.execution_role.is_some().then_some(&PASS);
    let encrypt = environment.secrets_key.is_some().then_some(&ENCRYPT);
    let granted =
        grants::ALL.iter().chain([&doctor::LOOKS]).chain(pass).chain(encrypt).filter(|grant| grant.level <= level);
    Policy { version: "2012-10-17", statement: granted.map(statement).collect() }
}

/// The partition of a region, as ARNs have it; that of most regions where it is not known.
pub fn partition(region: &str) -> &'static str {
    partition::of(region).unwrap_or(partition::COMMERCIAL).name
}

/// The prefix of the names that CloudFormation gives a stack's roles, or the roles of all instances.
pub fn role_prefix(environment: &Environment) -> String {
    let stack = &environment.stack;
    match stack.get(..ROLE_PREFIX) {
        // An instance's stack has a longer name, which may be cut here.
        Some(start) if environment.instances || stack.len() > ROLE_PREFIX => start.to_owned(),
        _ => format!("{stack}-"),
    }
}
