//! The one JSON object that `--json` prints, for every command and also on failure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::attestation::Attestation;
use crate::cost::Difference;
use crate::drift::Drift;
use crate::eta::Eta;
use crate::outcome::Failure;
use crate::record::{Change, Record};
use crate::scan::Finding;
use crate::stack::{Event, ResourceChange};

/// What is known at the end of a command. Keys that a command has nothing to say for are left out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// `build`: a reference the engine knows. Others: the image by digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Bytes, as the engine counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes of the layers that the registry did not have, as the engine counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_status: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_updated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What changes of the stack, by logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<ResourceChange>>,
    /// What would be lost, or could not be found out: a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the change means for the monthly bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Difference>,
    /// How long earlier changes of this kind took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
    /// `drift`: what is not as the template says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Vec<Drift>>,
    /// What ECR knows of the image, the worst first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// The number of this release in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<i64>,
    /// `status`: the releases that are remembered, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub releases: Option<Vec<Release>>,
    /// `status`: who holds the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<String>,
    /// `plan`, `diff`: the file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, String>>,
    /// `bootstrap`: what the pipeline has to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoke: Option<Smoke>,
    /// `doctor`, `bootstrap --check-token`: what was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<Check>>,
    /// What the image brings along, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<Vec<Attestation>>,
    /// `destroy`: what is gone, or with `--dry-run` would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<String>>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<String>>,
    /// `version`, `announce`: the version of this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `iam-policy`: the policy document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// `completions`: the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<String>,
    /// `events`: oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
    /// `logs`: oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Vec<Line>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseRecord>,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Report {
    /// Whether the command has changed something that outlives it.
    pub fn changed(&self) -> bool {
        let changed = self.change.is_some_and(|change| !matches!(change, Change::None));
        changed || self.release.is_some() || (self.removed.is_some() && self.plan.is_none())
    }
}

/// A release that is remembered.
#[derive(Debug, Serialize)]
pub struct Release {
    #[serde(flatten)]
    pub record: Record,
    /// Whether the stack runs it.
    pub running: bool,
    /// Whether `rollback` can go back to it.
    pub can_go_back: bool,
}

#[derive(Debug, Serialize)]
pub struct Smoke {
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_digest: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    /// Advice, or something that could not be looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub note: bool,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How long a phase took, for the result.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseRecord {
    pub name: &'static str,
    pub seconds: f64,
    pub skipped: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// RFC 3339.
    pub time: String,
    pub stream: String,
    pub message: String,
    /// Tells it from others that say the same.
    #[serde(skip)]
    pub id: String,
    /// Milliseconds since 1970.
    #[serde(skip)]
    pub millis: i64,
}
