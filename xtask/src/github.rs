//! What a job of GitHub Actions is told by its environment, and where it wants its results.
//!
//! Everything here works on any machine that sets the same variables
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>).

pub(crate) mod rest;
pub(crate) mod summary;
pub(crate) mod told;

use std::collections::BTreeMap;

use model::job::set;

/// The number of the pull request that the job was started for, as the event's file tells.
pub(crate) fn pull_request(vars: &BTreeMap<String, String>) -> Option<u64> {
    let event = std::fs::read_to_string(set(vars, "GITHUB_EVENT_PATH")?).ok()?;
    let event: serde_json::Value = serde_json::from_str(&event).ok()?;
    event["pull_request"]["number"].as_u64()
}
