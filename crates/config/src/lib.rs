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

/// The shortest beginning of a name that is taken for the name.
const BEGINNING: usize = 3;

/// The known name that is most like an unknown one, if one is like it; or else the only one that begins with it.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let distance = |other: &&&str| strsim::damerau_levenshtein(&name, &other.to_lowercase());
    let nearest = known.iter().min_by_key(distance)?;
    let length = name.chars().count();
    if distance(&nearest) <= SIMILAR.min(length / 2) {
        return Some(nearest);
    }
    let mut longer = known.iter().filter(|other| length >= BEGINNING && other.to_lowercase().starts_with(&name));
    longer.next().filter(|_| longer.next().is_none()).copied()
}

/// The end of a sentence about an unknown name: the known one that may have been meant, or nothing.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    similar(name, known).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
