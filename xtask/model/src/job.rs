//! The environment variables of a GitHub Actions job
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>).
//!
//! Works on any machine that sets the same variables.

use std::collections::BTreeMap;

use crate::outcome::{Exit, Failure, FailureKind};
use crate::trust::Repository;

/// The process environment.
type Vars = BTreeMap<String, String>;

/// Whether this process belongs to a job of GitHub Actions.
pub fn is_job(vars: &Vars) -> bool {
    set(vars, "GITHUB_ACTIONS") == Some("true")
}

/// A variable that is set and not empty: workflows pass unknown values as an empty text.
pub fn set<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// As [`set`], but only in a job.
pub fn of_job<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    set(vars, name).filter(|_| is_job(vars))
}

/// The repository that the job belongs to.
///
/// # Errors
/// `GITHUB_REPOSITORY` is missing or invalid.
pub fn repository(vars: &Vars) -> Result<Repository, Failure> {
    let name = needed(vars, "GITHUB_REPOSITORY")?;
    name.parse().map_err(|reason: &str| {
        Failure::new(Exit::Usage, FailureKind::Github, "GITHUB_REPOSITORY does not name a repository")
            .resource(name)
            .reason(reason)
    })
}

/// A variable that requests to GitHub need.
///
/// # Errors
/// It is not set.
pub fn needed<'a>(vars: &'a Vars, name: &str) -> Result<&'a str, Failure> {
    set(vars, name).ok_or_else(|| {
        Failure::new(Exit::Usage, FailureKind::Github, format!("{name} is not set"))
            .reason("this command calls GitHub on behalf of a job")
            .hint(match name {
                "GITHUB_TOKEN" => "in a workflow: env: GITHUB_TOKEN: ${{ github.token }}".to_owned(),
                _ => format!("GitHub sets it in every job; elsewhere: export {name}=…"),
            })
    })
}

/// The page of the pipeline's run, from the variables that GitHub Actions sets
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>) or GitLab CI.
pub fn run_url(vars: &BTreeMap<String, String>) -> Option<String> {
    let var = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let github = || {
        let (server, repository) = (var("GITHUB_SERVER_URL")?, var("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", var("GITHUB_RUN_ID")?))
    };
    github().or_else(|| var("CI_JOB_URL").cloned())
}
