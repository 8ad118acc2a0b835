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
