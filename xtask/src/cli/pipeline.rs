//! What the commands take that a pipeline runs.

use std::path::PathBuf;

use clap::Args;

use super::values::word;

#[derive(Debug, Args)]
pub(crate) struct Comment {
    /// Markdown files; what they say stands in one comment, in this order
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What the comment is about: there is one comment for each name
    #[arg(long, value_name = "NAME", default_value = "plan", value_parser = word)]
    pub(crate) name: String,
    /// The pull request [default: the one that the job runs for]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pull_request: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct NextVersion {
    /// Write it down: in the changelog with today's date, in the manifest and in the lock files
    #[arg(long)]
    pub(crate) write: bool,
    /// The version, where it is not to be the one that the changelog asks for
    #[arg(long, value_name = "X.Y.Z")]
    pub(crate) set: Option<semver::Version>,
}

#[derive(Debug, Args)]
pub(crate) struct Announce {
    /// The tag, v and the version that Cargo.toml has
    #[arg(value_name = "TAG")]
    pub(crate) tag: String,
    /// Only see whether tag, manifest and changelog belong together, and print the notes
    #[arg(long)]
    pub(crate) dry_run: bool,
}
