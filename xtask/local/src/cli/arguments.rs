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

/// The heading of options that say how a stack is changed and verified.
const DEPLOYMENT: &str = "Deployment options";

#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Compile in the Docker engine instead of with cargo
    ///
    /// That is the stage `builder` of docker/Dockerfile. Always on if this machine does not run Linux on the image's architecture.
    #[arg(long)]
    pub from_source: bool,
    /// Base image of the stage `builder` [default: docker/Dockerfile's]
    #[arg(long, value_name = "IMAGE", requires = "from_source", hide_short_help = true)]
    pub builder_image: Option<String>,
    /// Take the service from this folder of `compile --service`, if it is of these sources, instead of compiling
    #[arg(long, value_name = "FOLDER", conflicts_with = "from_source", hide_short_help = true)]
    pub compiled: Option<PathBuf>,
}

impl Source {
    pub fn compiler(&self) -> Compiler {
        Compiler {
            is_engine: self.from_source,
            builder_image: self.builder_image.clone(),
            compiled: self.compiled.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", default_value = "dev")]
    pub environment: String,
    /// Compare this token's claims with the deploy role's trust policy; - reads stdin [default: the GitHub job's own token]
    #[arg(long, value_name = "FILE|-")]
    pub token: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Build {
    /// Platform of the image: linux/amd64 or linux/arm64 [default: this machine's architecture]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    #[command(flatten)]
    pub source: Source,
}

/// Whether and where the deployment is verified.
#[derive(Debug, Clone, Args)]
pub struct Proof {
    /// Base URL for the smoke test, instead of the stack's
    ///
    /// It may contain outputs of the stack as {OutputKey}.
    #[arg(long, value_name = "URL", help_heading = DEPLOYMENT, conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub smoke_url: Option<String>,
    /// Skip the test of which image the endpoint runs
    #[arg(long, help_heading = DEPLOYMENT)]
    pub no_smoke: bool,
    /// The registry's actual host, if the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", help_heading = DEPLOYMENT, hide_short_help = true)]
    #[arg(value_parser = registry_host)]
    pub registry: Option<String>,
}

/// How a change deals with operations in progress, and what it is allowed to do.
#[derive(Debug, Clone, Default, Args)]
pub struct Conduct {
    /// Wait for the environment lock instead of failing
    #[arg(long, help_heading = DEPLOYMENT)]
    pub wait: bool,
    /// Fail if an operation of the stack is in progress
    ///
    /// Without it, the command waits for its end.
    #[arg(long, help_heading = DEPLOYMENT)]
    pub no_follow: bool,
    /// Allow this resource to be replaced or removed
    ///
    /// Needed for a resource that holds data or an identity. May be repeated.
    #[arg(long, value_name = "LOGICAL_ID", help_heading = DEPLOYMENT)]
    pub allow: Vec<String>,
    /// Accept this finding of the image scan
    ///
    /// For example CVE-2026-1. May be repeated.
    #[arg(long, value_name = "CVE", help_heading = DEPLOYMENT)]
    pub allow_finding: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Release to this machine's Docker engine
    ///
    /// It needs no account, and nothing leaves the machine.
    #[arg(long, conflicts_with_all = ["environment", "smoke_url", "registry", "wait", "no_follow", "allow", "allow_finding", "keep_failed"])]
    pub local: bool,
    #[command(flatten)]
    pub proof: Proof,
    #[command(flatten)]
    pub conduct: Conduct,
    /// Keep a release that fails verification
    ///
    /// Without it, the stack returns to the previous release.
    #[arg(long, help_heading = DEPLOYMENT)]
    pub keep_failed: bool,
    #[command(flatten)]
    pub source: Source,
    /// Show what would be done and change nothing
    ///
    /// The service is still compiled, to determine the image's tag.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub environment: String,
    /// The plan file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub proof: Proof,
    #[command(flatten)]
    pub conduct: Conduct,
    #[command(flatten)]
    pub source: Source,
}

#[derive(Debug, Args)]
pub struct Diff {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// The image to compare, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG [default: this work tree's]
    #[arg(long, value_name = "URI")]
    pub image: Option<String>,
    /// Also write the result to a file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The registry's actual host, if the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry_host)]
    pub registry: Option<String>,
    #[command(flatten)]
    pub source: Source,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// A file that `plan` wrote
    #[arg(value_name = "FILE")]
    pub plan: PathBuf,
    /// Base URL for the smoke test, instead of the stack's
    ///
    /// It may contain outputs of the stack as {OutputKey}.
    #[arg(long, value_name = "URL", help_heading = DEPLOYMENT, conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub smoke_url: Option<String>,
    /// Skip the test of which image the endpoint runs
    #[arg(long, help_heading = DEPLOYMENT)]
    pub no_smoke: bool,
    /// Wait for the environment lock instead of failing
    #[arg(long, help_heading = DEPLOYMENT)]
    pub wait: bool,
    /// Accept this finding of the image scan
    ///
    /// For example CVE-2026-1. May be repeated.
    #[arg(long, value_name = "CVE", help_heading = DEPLOYMENT)]
    pub allow_finding: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// An image, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG, or the environment that runs it
    #[arg(value_name = "IMAGE|ENV", default_value = "dev")]
    pub target: String,
    /// The source repository that it must come from [default: the pipeline's, git's remote origin, or Cargo.toml's]
    #[arg(long, value_name = "URL")]
    pub repository: Option<String>,
}

#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG; leave it out for a template that runs none
    #[arg(long, value_name = "URI")]
    pub image: Option<String>,
    #[command(flatten)]
    pub proof: Proof,
    #[command(flatten)]
    pub conduct: Conduct,
    /// Keep a release that fails verification
    ///
    /// Without it, the stack returns to the previous release.
    #[arg(long, help_heading = DEPLOYMENT)]
    pub keep_failed: bool,
    /// Show what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// The release's number, as `status` shows it [default: the one before the running release]
    #[arg(value_name = "RELEASE")]
    pub release: Option<i64>,
    #[command(flatten)]
    pub proof: Proof,
    #[command(flatten)]
    pub conduct: Conduct,
    /// Show what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Events {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Follow the operation in progress until it ends
    #[arg(short, long)]
    pub follow: bool,
    /// Maximum number of events to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Show new lines until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// How far back to start: a number followed by s, m, h or d
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub since: Duration,
    /// Maximum number of lines to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Show each line as the log group has it, with its stream
    #[arg(long)]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub environment: String,
    /// Run this image instead of the released one: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    #[arg(long, value_name = "URI")]
    pub image: Option<String>,
    /// Do not wait for the task: print its ARN, and how to follow it
    #[arg(long, conflicts_with = "timeout")]
    pub detach: bool,
    /// How long the command may take before its task is stopped: a number followed by s, m, h or d
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub timeout: Duration,
    /// The command with its arguments, after --
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Smoke {
    /// An environment of deploy.toml, or a base URL
    #[arg(value_name = "ENV|URL", default_value = "dev")]
    pub target: String,
    /// The image digest that must answer [default for ENV: its stack's image]
    #[arg(long, value_name = "sha256:…")]
    pub digest: Option<String>,
    /// Base URL, if the stack's own is not reachable; may contain outputs as {OutputKey}
    #[arg(long, value_name = "URL", value_parser = smoke_url)]
    pub smoke_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Recover {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Skip this resource, which cannot be rolled back; may be repeated
    #[arg(long, value_name = "LOGICAL_ID")]
    pub skip: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Prune {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Number of successful releases of the environment to keep for rollbacks
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=50))]
    pub keep: u16,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Destroy {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", required_unless_present = "local")]
    pub environment: Option<String>,
    /// Remove what `release --local` started from this checkout
    #[arg(long, conflicts_with = "environment")]
    pub local: bool,
    /// Also remove the images: the whole repository, or with --local those of this checkout
    #[arg(long)]
    pub images: bool,
    /// Wait for the environment lock instead of failing
    #[arg(long, conflicts_with = "local")]
    pub wait: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Sweep {
    /// An environment of deploy.toml with `instances`
    #[arg(value_name = "ENV")]
    pub environment: String,
    /// The label of the pull requests whose instances are kept
    #[arg(long, value_name = "NAME", default_value = "preview", value_parser = word)]
    pub label: String,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct IamPolicy {
    #[command(flatten)]
    pub environment: EnvironmentArg,
    /// Permissions to read only, to publish and plan as well, or to release as well
    #[arg(long = "for", value_name = "LEVEL", default_value = "release")]
    pub level: Level,
}

#[derive(Debug, Args)]
pub struct Bootstrap {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV")]
    pub environment: String,
    /// The GitHub repository whose pipeline may release, as GitHub spells it [default: unchanged, at first none]
    #[arg(long, value_name = "OWNER/REPO")]
    pub github: Option<Repository>,
    /// GitHub's id of the repository: gh api repos/OWNER/REPO --jq .id
    #[arg(long, value_name = "ID", requires = "github")]
    pub github_id: Option<u64>,
    /// GitHub's id of the owner: gh api repos/OWNER/REPO --jq .owner.id
    #[arg(long, value_name = "ID", requires = "github_id")]
    pub owner_id: Option<u64>,
    /// The GitHub environment in which the deploying job must run [default: ENV]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub github_environment: Option<String>,
    /// The GitHub environment of the jobs that publish and plan [default: that of --github-environment with -plan]
    #[arg(long, value_name = "NAME", requires = "github", value_parser = word)]
    pub plan_environment: Option<String>,
    /// The branch whose jobs may read without a GitHub environment, as pull requests may
    #[arg(long, value_name = "NAME", requires = "github", default_value = "main", value_parser = branch)]
    pub default_branch: String,
    /// The only workflow that may plan and release, OWNER/REPO/.github/workflows/FILE@REF [default: any]
    #[arg(long, value_name = "FILE@REF", requires = "github")]
    pub github_workflow: Option<String>,
    /// Set up API Gateway's role for logs in this account and region if there is none
    #[arg(long)]
    pub api_gateway_logs: bool,
    /// An AWS action that the service itself may be allowed, such as s3:GetObject; may be repeated
    #[arg(long, value_name = "ACTION")]
    pub service_action: Vec<String>,
    /// Only compare a token's claims with the trust policy, that of --github or else the stack's; - reads stdin
    #[arg(long, value_name = "FILE|-")]
    pub check_token: Option<PathBuf>,
    /// Show what would be created and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Compile {
    /// The folder to write to
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Compile the service as well, for `--compiled` of the commands that make its image
    #[arg(long)]
    pub service: bool,
}

#[derive(Debug, Args)]
pub struct Comment {
    /// Markdown files, which make up the comment in this order
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Name of the comment: there is one comment for each name
    #[arg(long, value_name = "NAME", default_value = "plan", value_parser = word)]
    pub name: String,
    /// The pull request [default: the one that the job runs for]
    #[arg(long, value_name = "NUMBER")]
    pub pull_request: Option<u64>,
}

#[derive(Debug, Args)]
pub struct NextVersion {
    /// Write the version to the changelog, with today's date, the manifest and the lock files
    #[arg(long)]
    pub write: bool,
    /// Use this version instead of the one that the changelog determines
    #[arg(long, value_name = "X.Y.Z")]
    pub set: Option<semver::Version>,
}

#[derive(Debug, Args)]
pub struct Announce {
    /// The tag: v followed by the version in Cargo.toml
    #[arg(value_name = "TAG")]
    pub tag: String,
    /// Only check that tag, manifest and changelog agree, and print the notes
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum Secret {
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
pub struct SetSecret {
    /// An environment of deploy.toml; a secret is for all of its instances
    #[arg(value_name = "ENV")]
    pub environment: String,
    /// The variable that the container gets it in
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only to be refused, without being shown.
    #[arg(hide = true)]
    pub value: Vec<OsString>,
}

impl SetSecret {
    /// Why these arguments cannot be used. None of them is repeated: it may be the value.
    pub fn problem(&self) -> Option<String> {
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
