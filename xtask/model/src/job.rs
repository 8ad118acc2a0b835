//! What a job of GitHub Actions learns from its environment
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>).
//!
//! Works on any machine that sets the same variables.

use std::collections::BTreeMap;

use crate::outcome::{Exit, Failure, FailureKind};
use crate::trust::Repository;

/// The variables of the process, as `main` has read them.
type Vars = BTreeMap<String, String>;

/// Whether this process belongs to a job of GitHub Actions.
pub fn is_job(vars: &Vars) -> bool {
    set(vars, "GITHUB_ACTIONS") == Some("true")
}

/// A variable that is there and not empty: workflows pass what they do not know as an empty text.
pub fn set<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// As [`set`], where this process belongs to a job.
pub fn of_job<'a>(vars: &'a Vars, name: &str) -> Option<&'a str> {
    set(vars, name).filter(|_| is_job(vars))
}

/// The repository that the job belongs to.
///
/// # Errors
/// No job, or one that does not say it.
pub fn repository(vars: &Vars) -> Result<Repository, Failure> {
    let name = needed(vars, "GITHUB_REPOSITORY")?;
    name.parse().map_err(|reason: &str| {
        Failure::new(Exit::Usage, FailureKind::Github, "GITHUB_REPOSITORY does not name a repository")
            .resource(name)
            .reason(reason)
    })
}

/// A variable without which GitHub cannot be asked.
///
/// # Errors
/// It is not there.
pub fn needed<'a>(vars: &'a Vars, name: &str) -> Result<&'a str, Failure> {
    set(vars, name).ok_or_else(|| {
        Failure::new(Exit::Usage, FailureKind::Github, format!("{name} is not set"))
            .reason("this command speaks to GitHub, in a job's name")
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
