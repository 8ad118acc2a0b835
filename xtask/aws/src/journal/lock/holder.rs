//! Who holds a lock, in words that others can act on.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_sdk_ssm::types::Parameter;
use serde::{Deserialize, Serialize};

use super::LIFETIME;
use crate::journal;

/// The id where a lock cannot be read.
const UNKNOWN: &str = "unknown";

/// One run of the tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// No other run has it.
    id: String,
    /// The caller's ARN.
    pub by: String,
    /// What it does, such as `release`.
    doing: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The page of the pipeline's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// RFC 3339.
    since: String,
    /// Tells machines, and containers on one machine, apart; `None` where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    process: u32,
}

/// A lock that was found.
#[derive(Debug, Clone)]
pub struct Held {
    pub holder: Holder,
    pub(super) version: i64,
    /// As it is stored.
    pub(super) value: String,
    /// When it was last heard of.
    heard: SystemTime,
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
            since: journal::now(),
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

    /// Whether it ran on this machine, and its process is no more.
    pub(super) fn is_gone(&self) -> bool {
        self.machine.is_some()
            && self.machine == machine()
            && Path::new("/proc/self").exists()
            && !Path::new(&format!("/proc/{}", self.process)).exists()
    }
}

/// Boot and process namespace, by which a process id means something.
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
    /// Reads a lock; one that cannot be understood is somebody's all the same.
    pub fn read(parameter: &Parameter) -> Self {
        let heard = parameter.last_modified_date().and_then(|date| SystemTime::try_from(*date).ok());
        let holder = parameter.value().and_then(|value| serde_json::from_str(value).ok());
        Self {
            holder: holder.unwrap_or_else(|| Holder {
                id: UNKNOWN.to_owned(),
                by: "somebody unknown".to_owned(),
                doing: "a command".to_owned(),
                commit: None,
                run: None,
                since: "an unknown time".to_owned(),
                machine: None,
                process: 0,
            }),
            version: parameter.version(),
            value: parameter.value().unwrap_or_default().to_owned(),
            heard: heard.unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// Whether its holder is still there, as far as one look can tell.
    pub fn lives(&self) -> bool {
        !self.holder.is_gone() && self.age() < LIFETIME
    }

    /// How long ago it was heard of, by this machine's clock.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.heard).unwrap_or_default()
    }
}
