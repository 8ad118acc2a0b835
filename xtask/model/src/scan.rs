//! What a registry's scan found in an image.

use std::collections::BTreeMap;

use serde::Serialize;

/// How bad a finding is, the worst last, as basic scanning and Amazon Inspector name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Not rated yet: UNDEFINED, or Inspector's UNTRIAGED.
    Undefined,
    Informational,
    Low,
    Medium,
    High,
    Critical,
    /// A word of AWS's that this version does not know; it counts as the worst.
    Unknown,
}

/// A vulnerability of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Usually a CVE's number.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// The package that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The package's version in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What it is, in the scanner's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The state of an image's scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// It is complete: the worst first.
    Findings(Vec<Finding>),
    /// ECR's scanner does not support this kind of image: its reason.
    Unsupported(String),
    /// There is no result, for any other reason: ECR's status and reason.
    Failed(String),
    /// It is still running.
    Pending,
    /// No scan was started, or there is no such image.
    Missing,
}

impl Severity {
    /// Reads ECR's word (`FindingSeverity`) or Inspector's, in any case.
    pub fn of(word: &str) -> Self {
        match word.to_ascii_uppercase().as_str() {
            "CRITICAL" => Self::Critical,
            "HIGH" => Self::High,
            "MEDIUM" => Self::Medium,
            "LOW" => Self::Low,
            "INFORMATIONAL" => Self::Informational,
            "UNDEFINED" | "UNTRIAGED" => Self::Undefined,
            _ => Self::Unknown,
        }
    }

    /// In lower case, as `--json` and `deploy.toml` write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Informational => "informational",
            Self::Undefined => "undefined",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.severity.word(), self.name)?;
        if let Some(package) = &self.package {
            write!(formatter, " in {package} {}", self.version.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// How many findings there are of each severity, the worst first: `1 critical, 2 high`; `none` for none.
pub fn severity_counts<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut counts = BTreeMap::<_, usize>::new();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().rev().map(|(severity, count)| format!("{count} {}", severity.word())).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
