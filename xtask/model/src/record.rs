//! One release as it is recorded.

use serde::{Deserialize, Serialize};

/// How many earlier times are remembered.
const REMEMBERED: usize = 20;

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Deployed, and proved unless the user did not want that.
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
pub struct Record {
    #[serde(skip_deserializing, default)]
    pub number: i64,
    pub outcome: Outcome,
    pub change: Change,
    /// By digest.
    pub image: String,
    /// Names template and parameters: see the journal of `aws`.
    pub inputs: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Who released, as STS names the caller.
    pub by: String,
    /// The page of the pipeline's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it ended, in RFC 3339.
    pub at: String,
    /// How long the stack took.
    pub seconds: f64,
    /// The stack's own time of its last change, by which a later look knows that nobody has changed it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_updated: Option<String>,
    /// The number of the release that this one went back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How long the newest good changes took, newest first: the next release learns from them without reading all records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took: Vec<Took>,
}

/// How long a good change of a stack took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Took {
    pub change: Change,
    pub seconds: f64,
}

impl Record {
    /// What the next one can learn from this and those before it.
    pub fn learned(&self) -> Vec<Took> {
        let own = Took { change: self.change, seconds: self.seconds };
        let own = (self.outcome == Outcome::Succeeded && self.change != Change::None).then_some(own);
        own.into_iter().chain(self.took.iter().copied()).take(REMEMBERED).collect()
    }

    /// Whether both bring the stack to the same state.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.image == other.image && self.inputs == other.inputs
    }

    /// The release whose state this one has, going back included.
    pub fn origin(&self) -> i64 {
        self.back_to.unwrap_or(self.number)
    }
}

/// What a release did to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Create,
    Update,
    None,
}

impl Change {
    /// As results say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::None => "none",
        }
    }
}
