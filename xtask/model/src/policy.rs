//! The IAM policy of the calls that this tool makes itself, as narrow as IAM can say it.
//!
//! What CloudFormation does on behalf of the caller, to create what a template names, is not in here: only the template
//! knows that. A test compares the actions with the calls in the sources.

mod configuration;
mod doctor;
mod grants;
mod reading;
mod scope;

use std::collections::BTreeMap;

use clap::ValueEnum;
use config::deployment::{Environment, Service};
use serde::Serialize;

pub use doctor::Question;
use grants::{Grant, PASS};
use scope::Arns;

/// Where GitHub's tokens come from, as IAM names the provider.
pub const PROVIDER: &str = "token.actions.githubusercontent.com";

/// As many characters of a stack's name go into the name of a role, which has 64 at most.
const ROLE_PREFIX: usize = 24;

/// How much somebody may do; each may do what those before it may.
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
    /// As the command line and the pipeline call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Release => "release",
        }
    }
}

/// Partitions by how the names of their regions begin; all others are `aws`.
const PARTITIONS: [(&str, &str); 5] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eusc-", "aws-eusc"),
];

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

/// The policy for whoever reads, plans or releases `service` in `environment`.
pub fn policy(service: &Service, environment: &Environment, level: Level) -> Policy {
    let arns = Arns { service, environment };
    let statement = |grant: &Grant| {
        let (resource, condition) = arns.narrowed(grant.scope);
        Statement { sid: grant.sid, effect: "Allow", action: grant.actions, resource, condition }
    };
    let pass = environment.execution_role.is_some().then_some(&PASS);
    let granted = grants::ALL
        .iter()
        .chain(reading::GRANTS)
        .chain([&doctor::LOOKS])
        .chain(pass)
        .filter(|grant| grant.level <= level);
    Policy { version: "2012-10-17", statement: granted.map(statement).collect() }
}

/// The partition that a region is in.
pub fn partition(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, name)| name)
}

/// How CloudFormation begins the names of a stack's roles, or of all instances' roles.
pub fn role_prefix(environment: &Environment) -> String {
    let stack = &environment.stack;
    match stack.get(..ROLE_PREFIX) {
        // Of an instance's name, which goes on, no more than this may be left.
        Some(start) if environment.instances || stack.len() > ROLE_PREFIX => start.to_owned(),
        _ => format!("{stack}-"),
    }
}
