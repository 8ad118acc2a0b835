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
    /// The value as it was given; `None` when it is missing.
    pub value: Option<String>,
    /// What is allowed instead.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.key)?;
        match &self.value {
            Some(value) => write!(f, " is {value:?}; allowed: {}", self.allowed),
            None => write!(f, " is missing; allowed: {}", self.allowed),
        }
    }
}

/// Every problem of one source of settings, in the order of reading; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Invalid(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
