//! What the commands take that set an environment up, keep it up and take it down.

use std::path::PathBuf;

use clap::Args;

use super::EnvironmentArg;
use super::values::{branch, word};
use model::policy::Level;
use model::trust::Repository;

#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Give up this resource, which cannot be brought back; may be repeated
    #[arg(long, value_name = "LOGICAL_ID")]
    pub(crate) skip: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Successful releases of the environment that one can still go back to afterwards
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=50))]
    pub(crate) keep: u16,
    /// Say what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", required_unless_present = "local")]
    pub(crate) environment: Option<String>,
    /// Remove what `release --local` started from this checkout
    #[arg(long, conflicts_with = "environment")]
    pub(crate) local: bool,
    /// Remove the images too: the whole repository, or with --local those of this checkout
    #[arg(long)]
    pub(crate) images: bool,
    /// Wait for the environment lock, instead of stopping where somebody else holds it
    #[arg(long, conflicts_with = "local")]
    pub(crate) wait: bool,
    /// Say what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IamPolicy {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// For whoever only looks, also publishes and plans, or also releases
    #[arg(long = "for", value_name = "LEVEL", default_value = "release")]
    pub(crate) level: Level,
}

#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// The repository on GitHub whose pipeline may release, as GitHub spells it [default: as it is, at first none]
    #[arg(long, value_name = "OWNER/REPO")]
    pub(crate) github: Option<Repository>,
    /// GitHub's number of the repository: gh api repos/OWNER/REPO --jq .id
    #[arg(long, value_name = "ID", requires = "github")]
    pub(crate) github_id: Option<u64>,
    /// GitHub's number of the owner: gh api repos/OWNER/REPO --jq .owner.id
    #[arg(long, value_name = "ID", requires = "github_id")]
    pub(crate) owner_id: Option<u64>,
    /// The GitHub environment that the pipeline's job has to run in [default: ENV]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub(crate) github_environment: Option<String>,
    /// The GitHub environment of the jobs that publish and plan [default: that of --github-environment with -plan]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub(crate) plan_environment: Option<String>,
    /// The branch whose jobs may look without a GitHub environment, as pull requests may
    #[arg(long, value_name = "NAME", requires = "github", default_value = "main", value_parser = branch)]
    pub(crate) default_branch: String,
    /// The one workflow that may plan and release, OWNER/REPO/.github/workflows/FILE@REF [default: any]
    #[arg(long, value_name = "FILE@REF", requires = "github")]
    pub(crate) github_workflow: Option<String>,
    /// Have API Gateway log in this account and region, where it does not yet
    #[arg(long)]
    pub(crate) api_gateway_logs: bool,
    /// Something that the service itself may come to do at AWS, such as s3:GetObject; may be repeated
    #[arg(long, value_name = "ACTION")]
    pub(crate) service_action: Vec<String>,
    /// Only hold a token's claims against the trust, that of --github or else the stack's; - reads stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) check_token: Option<PathBuf>,
    /// Say what would be made and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
