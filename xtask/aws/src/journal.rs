//! What is remembered of a stack's releases outside this machine: parameters of AWS Systems Manager.
//!
//! Below `/xtask/STACK` lie `lock`, `releases` and `inputs/HASH/PIECE`. A release is one version of the parameter
//! `releases`, so that Systems Manager itself counts them, says who wrote each, and keeps the last hundred
//! (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html>). Parameters of the
//! standard tier are free and need nothing to be created first.

pub mod inputs;
pub mod lock;
pub mod record;

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::Parameter;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::failure;
use lock::Held;
use model::eta;
use model::eta::Eta;
use model::record::Record;

/// Most bytes of a parameter of the standard tier
/// (<https://docs.aws.amazon.com/general/latest/gr/ssm.html#parameter-store>).
const MAX_VALUE: usize = 4096;

/// What one look finds.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    pub lock: Option<Held>,
    /// The newest release, whatever became of it.
    pub last: Option<Record>,
}

impl Remembered {
    /// How long a change of this kind (`create` or `update`) took before.
    pub fn eta(&self, kind: &str) -> Option<Eta> {
        let learned = self.last.as_ref().map(Record::learned).unwrap_or_default();
        let took: Vec<(&str, f64)> = learned.iter().map(|took| (took.change.as_str(), took.seconds)).collect();
        eta::learn(kind, &took)
    }
}

/// The path below which everything of a stack lies.
pub fn path(stack: &str) -> String {
    format!("/xtask/{stack}")
}

fn lock_name(stack: &str) -> String {
    format!("{}/lock", path(stack))
}

fn releases_name(stack: &str) -> String {
    format!("{}/releases", path(stack))
}

/// Reads lock and newest release in one call.
///
/// # Errors
/// What AWS says.
pub async fn look(client: &Client, stack: &str) -> Result<Remembered> {
    let (lock, releases) = (lock_name(stack), releases_name(stack));
    let answer = client.get_parameters().names(&lock).names(&releases).send().await;
    let answer = answer.map_err(|error| failure("ssm:GetParameters", &path(stack), &error))?;
    let find = |name: &str| answer.parameters().iter().find(|parameter| parameter.name() == Some(name));
    Ok(Remembered {
        lock: find(&lock).map(Held::read),
        // A record that cannot be read is none: the next release writes a good one.
        last: find(&releases).and_then(|parameter| record::read(parameter.value()?, parameter.version()).ok()),
    })
}

/// Now, in RFC 3339 and whole seconds.
pub fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("zero is a valid nanosecond");
    now.format(&Rfc3339).expect("the year has four digits")
}

fn value(parameter: &Parameter) -> Result<&str> {
    parameter.value().with_context(|| format!("parameter {} has no value", parameter.name().unwrap_or_default()))
}
