//! The arguments of each command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::EnvironmentArg;
use super::values::{age, branch, registry_host, smoke_url, word};
use config::deployment::variable_problem;
use image::artifact::Compiler;
use model::policy::Level;
use model::trust::Repository;

#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    /// Compile in the Docker engine (stage `builder`) instead of with this machine's cargo
    ///
    /// Always on if this machine does not run Linux on the image's architecture.
    #[arg(long)]
    pub(crate) from_source: bool,
    /// Base image of the stage `builder` [default: docker/Dockerfile's]
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
    /// Compare this token's claims with the deploy role's trust policy; - reads stdin [default: the GitHub job's own token]
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

/// Whether and where the deployment is verified.
#[derive(Debug, Clone, Args)]
pub(crate) struct Proof {
    /// Base URL for the smoke test, if the stack's own is not reachable; may contain outputs as {OutputKey}
    #[arg(long, value_name = "URL", conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
    /// Skip the smoke test that verifies which image the endpoint runs
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// The registry's actual host, if the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry_host)]
    pub(crate) registry: Option<String>,
}

/// How a change deals with operations in progress, and what it is allowed to do.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Conduct {
    /// Wait for the environment lock instead of failing
    #[arg(long)]
    pub(crate) wait: bool,
    /// Fail if an operation of the stack is in progress, instead of waiting for it to end
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Allow this resource, which holds data or an identity, to be replaced or removed; may be repeated
    #[arg(long, value_name = "LOGICAL_ID")]
    pub(crate) allow: Vec<String>,
    /// Accept this finding of the image scan, for example CVE-2026-1; may be repeated
    #[arg(long, value_name = "CVE")]
    pub(crate) allow_finding: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Release to this machine's Docker engine; needs no account, and nothing leaves the machine
    #[arg(long, conflicts_with_all = ["environment", "smoke_url", "registry", "wait", "no_follow", "allow", "allow_finding", "keep_failed"])]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Keep a release that fails verification, instead of returning to the previous one
    #[arg(long)]
    pub(crate) keep_failed: bool,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Show what would be done and change nothing (the service is still compiled, to determine the image's tag)
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// The plan file to write
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
    /// The image to compare, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG [default: this work tree's]
    #[arg(long, value_name = "URI")]
    pub(crate) image: Option<String>,
    /// Also write the result to a file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The registry's actual host, if the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry_host)]
    pub(crate) registry: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A file that `plan` wrote
    #[arg(value_name = "FILE")]
    pub(crate) plan: PathBuf,
    /// Base URL for the smoke test, if the stack's own is not reachable; may contain outputs as {OutputKey}
    #[arg(long, value_name = "URL", conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
    /// Skip the smoke test that verifies which image the endpoint runs
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// Wait for the environment lock instead of failing
    #[arg(long)]
    pub(crate) wait: bool,
    /// Accept this finding of the image scan, for example CVE-2026-1; may be repeated
    #[arg(long, value_name = "CVE")]
    pub(crate) allow_finding: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An image, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG, or the environment that runs it
    #[arg(value_name = "IMAGE|ENV", default_value = "dev")]
    pub(crate) target: String,
    /// The source repository that it must come from [default: the pipeline's, git's remote origin, or Cargo.toml's]
    #[arg(long, value_name = "URL")]
    pub(crate) repository: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG; leave it out for a template that runs none
    #[arg(long, value_name = "URI")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Keep a release that fails verification, instead of returning to the previous one
    #[arg(long)]
    pub(crate) keep_failed: bool,
    /// Show what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The release's number, as `status` shows it [default: the one before the running release]
    #[arg(value_name = "RELEASE")]
    pub(crate) release: Option<i64>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
    /// Show what would be done and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Follow the operation in progress until it ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Maximum number of events to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Show new lines until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How far back to start: a number followed by s, m, h or d
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub(crate) since: Duration,
    /// Maximum number of lines to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// Run this image instead of the released one: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    #[arg(long, value_name = "URI")]
    pub(crate) image: Option<String>,
    /// Do not wait for the task: print its ARN, and how to follow it
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) detach: bool,
    /// How long the command may take before its task is stopped: a number followed by s, m, h or d
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub(crate) timeout: Duration,
    /// The command with its arguments, after --
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// An environment of deploy.toml, or a base URL
    #[arg(value_name = "ENV|URL", default_value = "dev")]
    pub(crate) target: String,
    /// The image digest that must answer [default for ENV: its stack's image]
    #[arg(long, value_name = "sha256:…")]
    pub(crate) digest: Option<String>,
    /// Base URL, if the stack's own is not reachable; may contain outputs as {OutputKey}
    #[arg(long, value_name = "URL", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Skip this resource, which cannot be rolled back; may be repeated
    #[arg(long, value_name = "LOGICAL_ID")]
    pub(crate) skip: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Number of successful releases of the environment to keep for rollbacks
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=50))]
    pub(crate) keep: u16,
    /// Show what would be removed and remove nothing
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
    /// Also remove the images: the whole repository, or with --local those of this checkout
    #[arg(long)]
    pub(crate) images: bool,
    /// Wait for the environment lock instead of failing
    #[arg(long, conflicts_with = "local")]
    pub(crate) wait: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IamPolicy {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Permissions to read only, to publish and plan as well, or to release as well
    #[arg(long = "for", value_name = "LEVEL", default_value = "release")]
    pub(crate) level: Level,
}

#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// The GitHub repository whose pipeline may release, as GitHub spells it [default: unchanged, at first none]
    #[arg(long, value_name = "OWNER/REPO")]
    pub(crate) github: Option<Repository>,
    /// GitHub's id of the repository: gh api repos/OWNER/REPO --jq .id
    #[arg(long, value_name = "ID", requires = "github")]
    pub(crate) github_id: Option<u64>,
    /// GitHub's id of the owner: gh api repos/OWNER/REPO --jq .owner.id
    #[arg(long, value_name = "ID", requires = "github_id")]
    pub(crate) owner_id: Option<u64>,
    /// The GitHub environment in which the deploying job must run [default: ENV]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub(crate) github_environment: Option<String>,
    /// The GitHub environment of the jobs that publish and plan [default: that of --github-environment with -plan]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub(crate) plan_environment: Option<String>,
    /// The branch whose jobs may read without a GitHub environment, as pull requests may
    #[arg(long, value_name = "NAME", requires = "github", default_value = "main", value_parser = branch)]
    pub(crate) default_branch: String,
    /// The only workflow that may plan and release, OWNER/REPO/.github/workflows/FILE@REF [default: any]
    #[arg(long, value_name = "FILE@REF", requires = "github")]
    pub(crate) github_workflow: Option<String>,
    /// Set up API Gateway's role for logs in this account and region if there is none
    #[arg(long)]
    pub(crate) api_gateway_logs: bool,
    /// An AWS action that the service itself may be allowed, such as s3:GetObject; may be repeated
    #[arg(long, value_name = "ACTION")]
    pub(crate) service_action: Vec<String>,
    /// Only compare a token's claims with the trust policy, that of --github or else the stack's; - reads stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) check_token: Option<PathBuf>,
    /// Show what would be created and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Comment {
    /// Markdown files, which make up the comment in this order
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Name of the comment: there is one comment for each name
    #[arg(long, value_name = "NAME", default_value = "plan", value_parser = word)]
    pub(crate) name: String,
    /// The pull request [default: the one that the job runs for]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pull_request: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct NextVersion {
    /// Write the version to the changelog, with today's date, the manifest and the lock files
    #[arg(long)]
    pub(crate) write: bool,
    /// Use this version instead of the one that the changelog determines
    #[arg(long, value_name = "X.Y.Z")]
    pub(crate) set: Option<semver::Version>,
}

#[derive(Debug, Args)]
pub(crate) struct Announce {
    /// The tag: v followed by the version in Cargo.toml
    #[arg(value_name = "TAG")]
    pub(crate) tag: String,
    /// Only check that tag, manifest and changelog agree, and print the notes
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Store a value as the secret's next version, and print its line for deploy.toml
    ///
    /// The value is asked for, without showing it, or read from standard input, where one line break at its end does not
    /// count. It has at most 4,096 bytes. The container gets it with the next release.
    Set(SetSecret),
    /// List the secrets with their versions, and whether the running service has the newest
    List {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Delete a secret that neither deploy.toml nor the deployed stack names
    Remove {
        /// An environment of deploy.toml; a secret is for all of its instances
        #[arg(value_name = "ENV")]
        environment: String,
        /// The variable that the container would get it in
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetSecret {
    /// An environment of deploy.toml; a secret is for all of its instances
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// The variable that the container gets it in
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Only to be refused, without being shown.
    #[arg(hide = true)]
    pub(crate) value: Vec<OsString>,
}

impl SetSecret {
    /// Why these arguments cannot be used. None of them is repeated: it may be the value.
    pub(crate) fn problem(&self) -> Option<String> {
        if !self.value.is_empty() || self.name.contains('=') {
            return Some(
                "a value is not taken from the command line, where other users and the shell's history see it\n\n  tip: \
                 leave it out to be asked for it, or pass it as standard input"
                    .to_owned(),
            );
        }
        variable_problem(&self.name).map(|allowed| format!("NAME is not the name of a variable; allowed: {allowed}"))
    }
}
