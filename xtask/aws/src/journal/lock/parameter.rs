//! The lock as it is stored: its holder, and how the parameter is read and written.
//!
//! Systems Manager has no conditional write or delete: what can be compared is compared beforehand, and the version that
//! it returns afterwards.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::{Parameter, ParameterType};
use serde::{Deserialize, Serialize};

use super::LIFETIME;
use crate::error::{failure, is_missing};
use crate::journal::{lock_name, now};

/// The id of the holder if a lock cannot be parsed.
const UNKNOWN: &str = "unknown";

/// A run of the tool that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Unique for each run.
    id: String,
    /// The caller's ARN.
    pub by: String,
    /// Its command, such as `release`.
    doing: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The URL of the pipeline run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// RFC 3339.
    since: String,
    /// Identifies the machine, or the container; `None` if the system does not provide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    process: u32,
}

/// The lock as it was read.
#[derive(Debug, Clone)]
pub struct Held {
    pub holder: Holder,
    pub(super) version: i64,
    /// The stored text.
    pub(super) value: String,
    /// The time of the last heartbeat.
    heartbeat: SystemTime,
}

impl Holder {
    /// This run.
    pub fn this_run(id: &str, by: &str, doing: &str, commit: Option<&str>, run: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            by: by.to_owned(),
            doing: doing.to_owned(),
            commit: commit.map(str::to_owned),
            run: run.map(str::to_owned),
            since: now(),
            machine: machine(),
            process: std::process::id(),
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Whether the lock could be read.
    pub(super) fn is_known(&self) -> bool {
        self.id != UNKNOWN
    }

    /// Whether it ran on this machine, and its process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.machine.is_some()
            && self.machine == machine()
            && Path::new("/proc/self").exists()
            && !Path::new(&format!("/proc/{}", self.process)).exists()
    }
}

/// Boot and process namespace, within which a process id is unique.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.doing, self.by)?;
        if let Some(commit) = &self.commit {
            write!(f, ", commit {}", commit.get(..12).unwrap_or(commit))?;
        }
        if let Some(run) = &self.run {
            write!(f, ", {run}")?;
        }
        write!(f, ", since {}", self.since)
    }
}

impl Held {
    /// Parses a lock; one that cannot be parsed has an unknown holder.
    pub fn read(parameter: &Parameter) -> Self {
        let heartbeat = parameter.last_modified_date().and_then(|date| SystemTime::try_from(*date).ok());
        let holder = parameter.value().and_then(|value| serde_json::from_str(value).ok());
        Self {
            holder: holder.unwrap_or_else(|| Holder {
                id: UNKNOWN.to_owned(),
                by: "an unknown caller".to_owned(),
                doing: "a command".to_owned(),
                commit: None,
                run: None,
                since: "an unknown time".to_owned(),
                machine: None,
                process: 0,
            }),
            version: parameter.version(),
            value: parameter.value().unwrap_or_default().to_owned(),
            heartbeat: heartbeat.unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// Whether its holder seems to be alive.
    pub fn is_alive(&self) -> bool {
        !self.holder.has_ended() && self.age() < LIFETIME
    }

    /// The time since the last heartbeat, by this machine's clock.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.heartbeat).unwrap_or_default()
    }
}

/// The lock, if there is one.
pub async fn current(client: &Client, stack: &str) -> Result<Option<Held>> {
    get_parameter(client, &lock_name(stack)).await
}

/// `name` may end in a version.
async fn get_parameter(client: &Client, name: &str) -> Result<Option<Held>> {
    let answer = client.get_parameter().name(name).send().await;
    match answer.map_err(|error| failure("ssm:GetParameter", name, &error)) {
        Ok(answer) => Ok(answer.parameter().map(Held::read)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Deletes the lock that was read, and no other. Returns the lock that is held instead, if there is one.
///
/// The holder of one that was `alive` may have renewed it since.
pub async fn remove(client: &Client, stack: &str, seen: &Held, alive: bool) -> Result<Option<Held>> {
    let same =
        |now: &Held| now.holder.is(&seen.holder) && (now.version == seen.version || (alive && now.holder.is_known()));
    match current(client, stack).await? {
        Some(now) if same(&now) => delete_parameter(client, stack).await.map(|()| None),
        other => Ok(other),
    }
}

/// Deletes the lock of any holder, if it exists.
pub(super) async fn delete_parameter(client: &Client, stack: &str) -> Result<()> {
    let name = lock_name(stack);
    let answer = client.delete_parameter().name(&name).send().await;
    match answer.map_err(|error| failure("ssm:DeleteParameter", &name, &error)) {
        Err(failure) if !is_missing(&failure) => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Creates the lock; returns false if it exists.
pub(super) async fn create_parameter(client: &Client, stack: &str, holder: &Holder) -> Result<bool> {
    Ok(put_parameter(client, stack, &text(holder)?, false).await?.is_some())
}

/// Overwrites the lock that was read, and returns whether it is ours then. If another holder has written in between, their
/// value is restored.
pub(super) async fn overwrite_parameter(client: &Client, stack: &str, holder: &Holder, seen: &Held) -> Result<bool> {
    let name = lock_name(stack);
    let written =
        put_parameter(client, stack, &text(holder)?, true).await?.with_context(|| format!("{name} has no version"))?;
    if written == 1 {
        // It was deleted, so there was nothing to overwrite.
        return delete_parameter(client, stack).await.map(|()| false);
    }
    // A new parameter counts its versions from 1 again, so that the number alone is not enough.
    match get_parameter(client, &format!("{name}:{}", written - 1)).await? {
        Some(before) if before.holder.is(&seen.holder) && before.version == seen.version => Ok(true),
        // The answer to our own call was lost, and it was repeated.
        Some(before) if before.holder.is(holder) => Ok(true),
        Some(theirs) => {
            put_parameter(client, stack, &theirs.value, true).await?;
            Ok(false)
        }
        // An emulator without versions.
        None => Ok(written == seen.version + 1),
    }
}

fn text(holder: &Holder) -> Result<String> {
    serde_json::to_string(holder).context("a holder can be written as JSON")
}

/// Writes the parameter and returns its version; `None` if it exists.
async fn put_parameter(client: &Client, stack: &str, value: &str, overwrite: bool) -> Result<Option<i64>> {
    let name = lock_name(stack);
    let call = client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(overwrite).value(value);
    match call.send().await {
        Ok(answer) => Ok(Some(answer.version())),
        Err(error) if error.code() == Some("ParameterAlreadyExists") => Ok(None),
        Err(error) => Err(failure("ssm:PutParameter", &name, &error).into()),
    }
}
