//! The one JSON object that `--json` prints, for every command and also on failure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attest::Attestation;
use crate::aws::log::Line;
use crate::cost::Difference;
use crate::drift::Drift;
use crate::ecr::scan::Finding;
use crate::eta::Eta;
use crate::journal::record::Record;
use crate::outcome::Failure;
use crate::smoke::Verdict;
use crate::stack::change_set::Change as ResourceChange;
use crate::stack::events::Event;
use crate::ui::PhaseRecord;

/// What is known at the end of a command. Keys that a command has nothing to say for are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    /// `build`: a reference the engine knows. Others: the image by digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    /// Bytes, as the engine counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Bytes of the layers that the registry did not have, as the engine counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pushed_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack_status: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack_updated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
    /// What changes of the stack, by logical id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Vec<ResourceChange>>,
    /// What would be lost, or could not be found out: a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// What the change means for the monthly bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Difference>,
    /// How long earlier changes of this kind took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eta: Option<Eta>,
    /// `drift`: what is not as the template says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drift: Option<Vec<Drift>>,
    /// What ECR knows of the image, the worst first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<Vec<Finding>>,
    /// The number of this release in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<i64>,
    /// `status`: the releases that are remembered, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) releases: Option<Vec<Release>>,
    /// `status`: who holds the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locked_by: Option<String>,
    /// `plan`, `diff`: the file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outputs: Option<BTreeMap<String, String>>,
    /// `bootstrap`: what the pipeline has to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variables: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) smoke: Option<Smoke>,
    /// `doctor`, `bootstrap --check-token`: what was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<Vec<Check>>,
    /// What the image brings along, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attestations: Option<Vec<Attestation>>,
    /// `destroy`: what is gone, or with `--dry-run` would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<Vec<String>>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Vec<String>>,
    /// `version`, `announce`: the version of this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// `iam-policy`: the policy document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Value>,
    /// `completions`: the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completions: Option<String>,
    /// `events`: oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<Event>>,
    /// `logs`: oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logs: Option<Vec<Line>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) phases: Vec<PhaseRecord>,
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failure>,
}

impl Report {
    /// Whether the command has changed something that outlives it.
    pub(crate) fn changed(&self) -> bool {
        let changed = self.change.is_some_and(|change| !matches!(change, Change::None));
        changed || self.release.is_some() || (self.removed.is_some() && self.plan.is_none())
    }
}

/// What a release did to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Create,
    Update,
    None,
}

impl Change {
    /// As results say it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::None => "none",
        }
    }
}

/// A release that is remembered.
#[derive(Debug, Serialize)]
pub(crate) struct Release {
    #[serde(flatten)]
    pub(crate) record: Record,
    /// Whether the stack runs it.
    pub(crate) running: bool,
    /// Whether `rollback` can go back to it.
    pub(crate) can_go_back: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Smoke {
    pub(crate) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) served_digest: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    /// Advice, or something that could not be looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) note: bool,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl From<&Verdict> for Smoke {
    fn from(verdict: &Verdict) -> Self {
        Self { status: verdict.status(), served_digest: verdict.served() }
    }
}
