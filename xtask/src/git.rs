//! The commit that is released, as far as git knows it.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// The commit of a clean work tree.
///
/// `None` without git, without a commit, or with uncommitted changes: then no commit describes what is built.
pub(crate) async fn clean_commit(root: &Path) -> Option<String> {
    let (commit, changes) =
        tokio::join!(git(root, &["rev-parse", "--verify", "HEAD"]), git(root, &["status", "--porcelain"]));
    (changes?.is_empty()).then_some(commit?.trim().to_owned())
}

/// The files that git tracks or would track, relative to `root`; `None` where git cannot tell.
pub(crate) async fn files(root: &Path) -> Option<Vec<String>> {
    let list = git(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).await?;
    Some(list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Where git has the sources from; `None` where there is no remote `origin`.
pub(crate) async fn origin(root: &Path) -> Option<String> {
    let address = git(root, &["config", "--get", "remote.origin.url"]).await?;
    Some(address.trim().to_owned()).filter(|address| !address.is_empty())
}

/// Whether the clone has a commit.
pub(crate) async fn knows(root: &Path, commit: &str) -> bool {
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash && git(root, &["cat-file", "-e", &format!("{commit}^{{commit}}")]).await.is_some()
}

/// Whether the clone's history is cut off.
pub(crate) async fn is_shallow(root: &Path) -> bool {
    git(root, &["rev-parse", "--is-shallow-repository"]).await.is_some_and(|answer| answer.trim() == "true")
}

async fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
