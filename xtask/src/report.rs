//! The one JSON object that `--json` prints, for every command and also on failure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::aws::log::Line;
use crate::outcome::Failure;
use crate::smoke::Verdict;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outputs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) smoke: Option<Smoke>,
    /// `doctor`: what was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<Vec<Check>>,
    /// `destroy`: what is gone, or with `--dry-run` would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<Vec<String>>,
    /// With `--dry-run`: what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Vec<String>>,
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

/// What a release did to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Create,
    Update,
    None,
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
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl From<&Verdict> for Smoke {
    fn from(verdict: &Verdict) -> Self {
        Self { status: verdict.status(), served_digest: verdict.served() }
    }
}
