//! The commit that is released, as far as git knows it.
//!
//! What git cannot answer is a failure with its own words, and never taken for a no.

use std::path::Path;

use tokio::process::Command;

use machine::child;
use machine::child::Refusal;
use model::outcome::{Exit, Failure, FailureKind};

/// The commit of a clean work tree.
///
/// `None` without a commit, or with uncommitted changes: then no commit describes what is built.
///
/// # Errors
/// What git says.
pub async fn clean_commit(root: &Path) -> Result<Option<String>, Failure> {
    // A branch without a commit is a no.
    let commit = async { no(1, git(root, &["rev-parse", "--quiet", "--verify", "HEAD"]).await) };
    let (commit, changes) = tokio::join!(commit, git(root, &["status", "--porcelain"]));
    let (commit, changes) = (commit.map_err(|refusal| failure(root, &refusal))?, changes);
    let changes = changes.map_err(|refusal| failure(root, &refusal))?;
    Ok(commit.filter(|_| changes.is_empty()).map(|commit| commit.trim().to_owned()))
}

/// The files that git tracks or would track, relative to `root`.
///
/// # Errors
/// What git says.
pub async fn files(root: &Path) -> Result<Vec<String>, Failure> {
    let list = git(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).await;
    let list = list.map_err(|refusal| failure(root, &refusal))?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Where git has the sources from; `None` where there is no remote `origin`.
///
/// # Errors
/// What git says.
pub async fn origin(root: &Path) -> Result<Option<String>, Failure> {
    let address = no(1, git(root, &["config", "--get", "remote.origin.url"]).await);
    let address = address.map_err(|refusal| failure(root, &refusal))?;
    Ok(address.map(|address| address.trim().to_owned()).filter(|address| !address.is_empty()))
}

/// Whether the clone has a commit.
///
/// # Errors
/// What git says.
pub async fn knows(root: &Path, commit: &str) -> Result<bool, Failure> {
    if commit.len() < 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(false);
    }
    let found = git(root, &["rev-parse", "--quiet", "--verify", &format!("{commit}^{{commit}}")]).await;
    Ok(no(1, found).map_err(|refusal| failure(root, &refusal))?.is_some())
}

/// Whether the clone's history is cut off.
///
/// # Errors
/// What git says.
pub async fn is_shallow(root: &Path) -> Result<bool, Failure> {
    let answer = git(root, &["rev-parse", "--is-shallow-repository"]).await;
    match answer.map_err(|refusal| failure(root, &refusal))?.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        // A git that does not know the question repeats it.
        other => {
            let words = format!("git answers {other:?} to rev-parse --is-shallow-repository");
            Err(failure(root, &Refusal::Failed { code: None, words }).hint("update git to 2.15 or newer"))
        }
    }
}

/// `None` where git ended with the code that means no.
fn no(code: i32, answer: Result<String, Refusal>) -> Result<Option<String>, Refusal> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(Refusal::Failed { code: Some(found), .. }) if found == code => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn git(root: &Path, arguments: &[&str]) -> Result<String, Refusal> {
    let mut command = Command::new("git");
    // Its words may be shown beside ours.
    command.args(arguments).current_dir(root).env("LC_ALL", "C");
    child::ask(&mut command, child::LIMIT).await
}

fn failure(root: &Path, refusal: &Refusal) -> Failure {
    let failure = Failure::new(Exit::Preflight, FailureKind::Git, "git cannot read the repository")
        .resource(root.display().to_string())
        .reason(refusal.to_string());
    match refusal {
        Refusal::Missing => failure.hint("install git"),
        Refusal::Failed { words, .. } => failure.hint(hint(root, words)),
        Refusal::Late(_) | Refusal::Broken(_) | Refusal::NotText => {
            failure.hint(format!("git -C {} status", root.display()))
        }
    }
}

/// The command that git itself names, as for a folder of another user; or else one that shows more.
fn hint(root: &Path, words: &str) -> String {
    let command = words.lines().map(str::trim).find(|line| line.starts_with("git config "));
    match command {
        Some(command) => command.to_owned(),
        None if words.contains("not a git repository") => "work in a clone of the repository".to_owned(),
        None => format!("git -C {} status", root.display()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_git_names_is_the_next_one() {
        let words = "fatal: detected dubious ownership in repository at '/srv/api'\nTo add an exception for this directory, \
                     call:\n\n\tgit config --global --add safe.directory /srv/api";
        let root = Path::new("/srv/api");
        let failure = failure(root, &Refusal::Failed { code: Some(128), words: words.to_owned() });
        assert_eq!(failure.reason.as_deref(), Some(words));
        assert_eq!(failure.hint.as_deref(), Some("git config --global --add safe.directory /srv/api"));
        assert_eq!(hint(root, "fatal: not a git repository"), "work in a clone of the repository");
        assert_eq!(super::failure(root, &Refusal::Missing).hint.as_deref(), Some("install git"));
    }

    #[tokio::test]
    async fn what_git_cannot_answer_is_not_a_no() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // A folder without a repository: every question fails, none is answered with no.
        let commit = "0".repeat(40);
        assert!(clean_commit(root).await.is_err() && files(root).await.is_err() && is_shallow(root).await.is_err());
        assert!(knows(root, &commit).await.is_err());
        assert!(std::process::Command::new("git").args(["init", "-q"]).current_dir(root).status().unwrap().success());
        assert_eq!(clean_commit(root).await.unwrap(), None);
        assert_eq!(origin(root).await.unwrap(), None);
        assert!(!knows(root, &commit).await.unwrap() && !is_shallow(root).await.unwrap());
    }
}
