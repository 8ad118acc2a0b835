//! The commit that is released, as git knows it.
//!
//! A git that fails is a failure with its own message, and never taken for a no.

use std::path::Path;

use tokio::process::Command;

use machine::child::{self, ChildError};
use model::outcome::{Exit, Failure, FailureKind};

/// The commit of a clean work tree.
///
/// `None` without a commit, or with uncommitted changes: then no commit describes what is built.
///
/// # Errors
/// A git that fails.
pub async fn clean_commit(root: &Path) -> Result<Option<String>, Failure> {
    // A branch without a commit ends with 1.
    let commit = async { no(1, git(root, &["rev-parse", "--quiet", "--verify", "HEAD"]).await) };
    let (commit, changes) = tokio::join!(commit, git(root, &["status", "--porcelain"]));
    let (commit, changes) = (commit.map_err(|error| git_failure(root, &error))?, changes);
    let changes = changes.map_err(|error| git_failure(root, &error))?;
    Ok(commit.filter(|_| changes.is_empty()).map(|commit| commit.trim().to_owned()))
}

/// The files that git tracks or would track, relative to `root`.
///
/// # Errors
/// A git that fails.
pub async fn files(root: &Path) -> Result<Vec<String>, Failure> {
    let list = git(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).await;
    let list = list.map_err(|error| git_failure(root, &error))?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// The URL of the remote `origin`, if there is one.
///
/// # Errors
/// A git that fails.
pub async fn origin(root: &Path) -> Result<Option<String>, Failure> {
    let address = no(1, git(root, &["config", "--get", "remote.origin.url"]).await);
    let address = address.map_err(|error| git_failure(root, &error))?;
    Ok(address.map(|address| address.trim().to_owned()).filter(|address| !address.is_empty()))
}

/// Whether the clone contains a commit.
///
/// # Errors
/// A git that fails.
pub async fn knows(root: &Path, commit: &str) -> Result<bool, Failure> {
    if commit.len() < 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(false);
    }
    let found = git(root, &["rev-parse", "--quiet", "--verify", &format!("{commit}^{{commit}}")]).await;
    Ok(no(1, found).map_err(|error| git_failure(root, &error))?.is_some())
}

/// Whether the clone is shallow.
///
/// # Errors
/// A git that fails.
pub async fn is_shallow(root: &Path) -> Result<bool, Failure> {
    let answer = git(root, &["rev-parse", "--is-shallow-repository"]).await;
    match answer.map_err(|error| git_failure(root, &error))?.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        // A git that does not know the option repeats it.
        other => {
            let message = format!("git answers {other:?} to rev-parse --is-shallow-repository");
            Err(git_failure(root, &ChildError::Failed { code: None, message }).hint("update git to 2.15 or newer"))
        }
    }
}

/// `None` where git ended with the code that means no.
fn no(code: i32, answer: Result<String, ChildError>) -> Result<Option<String>, ChildError> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(ChildError::Failed { code: Some(found), .. }) if found == code => Ok(None),
        Err(error) => Err(error),
    }
}

async fn git(root: &Path, arguments: &[&str]) -> Result<String, ChildError> {
    let mut command = Command::new("git");
    // Its message may be shown beside ours.
    command.args(arguments).current_dir(root).env("LC_ALL", "C");
    child::run(&mut command, child::LIMIT).await
}

fn git_failure(root: &Path, error: &ChildError) -> Failure {
    let failure = Failure::new(Exit::Preflight, FailureKind::Git, "git cannot read the repository")
        .resource(root.display().to_string())
        .reason(error.to_string());
    match error {
        ChildError::NotFound => failure.hint("install git"),
        ChildError::Failed { message, .. } => failure.hint(git_hint(root, message)),
        ChildError::TimedOut(_) | ChildError::NotStarted(_) | ChildError::NotUtf8 => {
            failure.hint(format!("git -C {} status", root.display()))
        }
    }
}

/// The command that git itself suggests, as for a folder of another user; or else one that shows more.
fn git_hint(root: &Path, message: &str) -> String {
    let command = message.lines().map(str::trim).find(|line| line.starts_with("git config "));
    match command {
        Some(command) => command.to_owned(),
        None if message.contains("not a git repository") => "work in a clone of the repository".to_owned(),
        None => format!("git -C {} status", root.display()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_git_suggests_is_the_hint() {
        let message = "fatal: detected dubious ownership in repository at '/srv/api'\nTo add an exception for this directory, \
                     call:\n\n\tgit config --global --add safe.directory /srv/api";
        let root = Path::new("/srv/api");
        let failure = git_failure(root, &ChildError::Failed { code: Some(128), message: message.to_owned() });
        assert_eq!(failure.reason.as_deref(), Some(message));
        assert_eq!(failure.hint.as_deref(), Some("git config --global --add safe.directory /srv/api"));
        assert_eq!(git_hint(root, "fatal: not a git repository"), "work in a clone of the repository");
        assert_eq!(super::git_failure(root, &ChildError::NotFound).hint.as_deref(), Some("install git"));
    }

    #[tokio::test]
    async fn a_git_that_fails_is_not_a_no() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // A folder without a repository: every query fails.
        let commit = "0".repeat(40);
        assert!(clean_commit(root).await.is_err() && files(root).await.is_err() && is_shallow(root).await.is_err());
        assert!(knows(root, &commit).await.is_err());
        assert!(std::process::Command::new("git").args(["init", "-q"]).current_dir(root).status().unwrap().success());
        assert_eq!(clean_commit(root).await.unwrap(), None);
        assert_eq!(origin(root).await.unwrap(), None);
        assert!(!knows(root, &commit).await.unwrap() && !is_shallow(root).await.unwrap());
    }
}
