//! Typed settings for the service and for its deployment.
//!
//! This crate turns text into checked values and says everything that is wrong with the text at once. It never reads
//! the process environment or a file itself: both programs pass in what they read.

#[cfg(feature = "deployment")]
pub mod deployment;
pub mod service;

use std::fmt;

/// One setting that cannot be used, with what would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the setting stands: a file's path, or `environment`.
    pub source: String,
    /// The key in its source's own notation: `API_PORT`, `environments.dev.region`.
    pub key: String,
    pub given: Given,
    /// What is allowed instead.
    pub allowed: String,
}

/// What stands there instead of what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Nothing.
    Missing,
    /// This value.
    Value(String),
    /// A value that is not shown, because it contains a secret.
    Secret,
    /// A name that nobody knows; what its value is does not matter, and may be a secret.
    UnknownName,
}

impl From<Option<String>> for Given {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Missing, Self::Value)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.key)?;
        match &self.given {
            Given::Missing => write!(f, " is missing; allowed: {}", self.allowed),
            Given::Value(value) => write!(f, " is {value:?}; allowed: {}", self.allowed),
            Given::Secret => write!(f, " cannot be used (its value is not shown); allowed: {}", self.allowed),
            Given::UnknownName => write!(f, " is no setting; allowed: {}", self.allowed),
        }
    }
}

/// Every problem of one source of settings, in the order of reading; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Invalid(pub Vec<Problem>);

/// More edits than these, and a name is not taken for a misspelt one.
const SIMILAR: usize = 3;

/// The known name that is most like an unknown one, if one is like it.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let nearest = known.into_iter().min_by_key(distance)?;
    let most = SIMILAR.min(name.chars().count() / 2);
    (distance(&nearest) <= most).then_some(nearest)
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
