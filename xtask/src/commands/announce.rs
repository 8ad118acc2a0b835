//! `announce`: publishes a GitHub release with the changelog's notes.

use anyhow::Result;

use super::version::{CHANGELOG, current_version, read_file};
use crate::context::Context;
use crate::github::{Api, GithubRelease};
use local::cli::Announce;
use local::ui::Ui;
use model::changelog::Changelog;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) async fn run(arguments: &Announce, context: &Context, ui: &Ui) -> Result<()> {
    let tag = &arguments.tag;
    let version = current_version(&context.root)?;
    let wrong = |reason: String| {
        Failure::new(Exit::Usage, FailureKind::Version, format!("{tag} is not this version's tag"))
            .reason(reason)
            .hint("cargo xtask version --write, commit, and tag that commit")
    };
    if *tag != format!("v{version}") {
        return Err(wrong(format!("Cargo.toml says {version}, whose tag is v{version}")).into());
    }
    let text = read_file(&context.root, CHANGELOG)?;
    let notes = Changelog(&text).notes(&version.to_string()).filter(|notes| !notes.is_empty());
    let notes = notes.ok_or_else(|| wrong(format!("{CHANGELOG} has no entries for {version}")))?;
    ui.note(|report| report.version = Some(version.to_string()));
    if arguments.dry_run {
        ui.result(notes);
        return Ok(());
    }
    let release = GithubRelease { tag, notes, prerelease: !version.pre.is_empty() };
    let posted = Api::of(&context.vars)?.release(&release).await?;
    ui.line(if posted.updated { "the release was updated" } else { "the release was published" });
    ui.result(&posted.url);
    ui.note(|report| report.url = Some(posted.url));
    Ok(())
}
