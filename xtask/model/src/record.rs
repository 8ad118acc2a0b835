//! One release as it is recorded.

use serde::{Deserialize, Serialize};

/// How many durations a record keeps.
const REMEMBERED: usize = 20;

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Deployed, and verified unless the user skipped that.
    Succeeded,
    /// The stack went back to the release before.
    RolledBack,
    /// Deployed, but the endpoint does not give the right answer.
    Unproved,
    /// The stack is stuck or gone.
    Failed,
}

/// A release. Its number is the version of the parameter that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Record {
    /// The release's number, counted per stack.
    #[serde(skip_deserializing, default)]
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub number: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did to the stack.
    pub change: Change,
    /// The image by digest, HOST/REPOSITORY@sha256:…
    pub image: String,
    /// Identifies template and parameters: equal where both are equal.
    pub inputs: String,
    /// The commit that was released; absent if the work tree had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The ARN of the caller who released.
    pub by: String,
    /// The page of the pipeline's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it ended, in RFC 3339.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub at: String,
    /// How long the stack took, in seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub seconds: f64,
    /// The stack's own time of its last change, in RFC 3339. A different time now means a change by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub stack_updated: Option<String>,
    /// The number of the release that this one went back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub back_to: Option<i64>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How long the latest successful changes took, newest first, this one included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub took: Vec<Took>,
}

/// How long a successful change of a stack took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Took {
    /// What was done to the stack.
    pub change: Change,
    /// How long the stack took, in seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub seconds: f64,
}

impl Record {
    /// The durations that the next record keeps.
    pub fn learned(&self) -> Vec<Took> {
        let own = Took { change: self.change, seconds: self.seconds };
        let own = (self.outcome == Outcome::Succeeded && self.change != Change::None).then_some(own);
        own.into_iter().chain(self.took.iter().copied()).take(REMEMBERED).collect()
    }

    /// Whether both have the same image, template and parameters.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.image == other.image && self.inputs == other.inputs
    }

    /// The release whose state this one has: itself, unless it is a rollback.
    pub fn origin(&self) -> i64 {
        self.back_to.unwrap_or(self.number)
    }
}

/// What a release did to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Create,
    Update,
    /// The requested state was deployed already.
    None,
}

impl Change {
    /// As in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::None => "none",
        }
    }
}
