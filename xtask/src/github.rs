//! What a job of GitHub Actions is told by its environment, and where it wants its results.
//!
//! Everything here works on any machine that sets the same variables
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>).

pub(crate) mod rest;
pub(crate) mod summary;
pub(crate) mod token;
pub(crate) mod told;

use std::collections::BTreeMap;

use crate::outcome::{Exit, Failure};
use crate::trust::Repository;

/// The variables of the process, as `main` has read them.
type Vars = BTreeMap<String, String>;

/// Whether this process belongs to a job of GitHub Actions.
pub(crate) fn is_job(vars: &Vars) -> bool {
    set(vars, "GITHUB_ACTIONS") == Some("true")
}

/// A variable that is there and not empty: workflows pass what they do not know as an empty text.
pub(crate) fn set<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// As [`set`], where this process belongs to a job.
pub(crate) fn of_job<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    set(vars, name).filter(|_| is_job(vars))
}

/// The repository that the job belongs to.
///
/// # Errors
/// No job, or one that does not say it.
pub(crate) fn repository(vars: &Vars) -> Result<Repository, Failure> {
    let name = needed(vars, "GITHUB_REPOSITORY")?;
    name.parse().map_err(|reason: &str| {
        Failure::new(Exit::Usage, "github", "GITHUB_REPOSITORY does not name a repository")
            .resource(name)
            .reason(reason)
    })
}

/// A variable without which GitHub cannot be asked.
///
/// # Errors
/// It is not there.
pub(crate) fn needed<'a>(vars: &'a Vars, name: &str) -> Result<&'a str, Failure> {
    set(vars, name).ok_or_else(|| {
        Failure::new(Exit::Usage, "github", format!("{name} is not set"))
            .reason("this command speaks to GitHub, in a job's name")
            .hint(match name {
                "GITHUB_TOKEN" => "in a workflow: env: GITHUB_TOKEN: ${{ github.token }}".to_owned(),
                _ => format!("GitHub sets it in every job; elsewhere: export {name}=…"),
            })
    })
}

/// The number of the pull request that the job was started for, as the event's file tells.
pub(crate) fn pull_request(vars: &Vars) -> Option<u64> {
    let event = std::fs::read_to_string(set(vars, "GITHUB_EVENT_PATH")?).ok()?;
    let event: serde_json::Value = serde_json::from_str(&event).ok()?;
    event["pull_request"]["number"].as_u64()
}
