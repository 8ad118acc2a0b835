//! What each command takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::EnvironmentArg;
use super::values::{age, branch, registry, smoke_url, word};
use image::artifact::Compiler;
use model::policy::Level;
use model::trust::Repository;

#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    /// Compile inside the engine (stage `builder`) instead of with this machine's cargo
    ///
    /// Always so where this machine is not Linux of the image's architecture.
    #[arg(long)]
    pub(crate) from_source: bool,
    /// Base image of the stage `builder`, where another than docker/Dockerfile's is wanted
    #[arg(long, value_name = "IMAGE", requires = "from_source")]
    pub(crate) builder_image: Option<String>,
}

impl Source {
    pub(crate) fn compiler(&self) -> Compiler {
        Compiler { is_engine: self.from_source, builder_image: self.builder_image.clone() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", default_value = "dev")]
    pub(crate) environment: String,
    /// Hold this token's claims against the deploy role's trust; - reads stdin; a job on GitHub takes its own
    #[arg(long, value_name = "FILE|-")]
    pub(crate) token: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Platform of the image: linux/amd64 or linux/arm64 [default: this machine's architecture]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

/// Where and whether the deployment is proved.
#[derive(Debug, Clone, Args)]
pub(crate) struct Proof {
    /// Base URL for the smoke test, where the stack's own does not lead; may name outputs as {OutputKey}
    #[arg(long, value_name = "URL", conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
    /// Do not prove that the endpoint runs the image
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// The registry's real host, where the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry)]
    pub(crate) registry: Option<String>,
}

/// How a change gets along with others, and what it may do.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Conduct {
    /// Wait for whoever holds the environment, instead of stopping
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stop where an operation of the stack is under way, instead of following it to its end first
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Allow this resource, which holds data or identity, to be replaced or removed; may be repeated
    #[arg(long, value_name = "LOGICAL_ID")]
    pub(crate) allow: Vec<String>,
    /// Let this finding of the image's scan pass, as CVE-2026-1; may be repeated
    #[arg(long, value_name = "CVE")]
    pub(crate) allow_finding: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Release to this machine's Docker engine; no account is needed and nothing leaves the machine
    #[arg(long, conflicts_with_all = ["environment", "smoke_url", "registry", "wait", "no_follow", "allow", "allow_finding", "keep_failed"])]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Leave a release that cannot be proved where it is, instead of going back to the one before
    #[arg(long)]
    pub(crate) keep_failed: bool,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Say what would be done and change nothing (the service is still compiled, to know the image's tag)
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// Where the plan is written
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The image, where it is not this work tree's: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    #[arg(long, value_name = "URI")]
    pub(crate) image: Option<String>,
    /// Also write it to a file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The registry's real host, where the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry)]
    pub(crate) registry: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A file that `plan` wrote
    #[arg(value_name = "FILE")]
    pub(crate) plan: PathBuf,
    /// Base URL for the smoke test, where the stack's own does not lead; may name outputs as {OutputKey}
    #[arg(long, value_name = "URL", conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
    /// Do not prove that the endpoint runs the image
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// Wait for whoever holds the environment, instead of stopping
    #[arg(long)]
    pub(crate) wait: bool,
    /// Let this finding of the image's scan pass, as CVE-2026-1; may be repeated
    #[arg(long, value_name = "CVE")]
    pub(crate) allow_finding: Vec<String>,
}

/// Check what an image brings along.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An image, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG, or the environment that runs it
    #[arg(value_name = "IMAGE|ENV", default_value = "dev")]
    pub(crate) target: String,
    /// The repository that it must come from [default: the pipeline's, git's remote origin, or Cargo.toml's]
    #[arg(long, value_name = "URL")]
    pub(crate) repository: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG; none for a template that runs none
    #[arg(long, value_name = "URI")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Leave a release that cannot be proved where it is, instead of going back to the one before
    #[arg(long)]
    pub(crate) keep_failed: bool,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The release's number, as `status` shows it [default: the one before the release that runs]
    #[arg(value_name = "RELEASE")]
    pub(crate) release: Option<i64>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Go on until the operation that is under way comes to its end
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Most events to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Go on until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How far back to begin: a number and s, m, h or d
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub(crate) since: Duration,
    /// Most lines to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// An environment of deploy.toml, or a base URL
    #[arg(value_name = "ENV|URL", default_value = "dev")]
    pub(crate) target: String,
    /// The digest that must answer [default for ENV: the one its stack names]
    #[arg(long, value_name = "sha256:…")]
    pub(crate) digest: Option<String>,
    /// Base URL, where the stack's own does not lead; may name outputs as {OutputKey}
    #[arg(long, value_name = "URL", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
}

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
