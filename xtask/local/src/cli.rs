//! The command line: arguments and their help.

mod arguments;
mod examples;
mod overview;
mod values;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub use self::arguments::{
    Announce, Apply, Bootstrap, Build, Comment, Compile, Conduct, Deploy, Destroy, Diff, Doctor, Events, IamPolicy,
    Logs, NextVersion, Plan, Proof, Prune, Recover, Release, Rollback, Run, Secret, Smoke, Source, Sweep, Verify,
};

/// What the tool does, in one line.
const ABOUT: &str = "Build the service's image, push it, deploy its stack and verify the result";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about = ABOUT, max_term_width = 100)]
#[command(override_help = overview::text())]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the process's arguments.
    ///
    /// # Errors
    /// What clap says of them; a secret's value among them.
    pub fn read() -> Result<Self, clap::Error> {
        let mut command = examples::added(Self::command());
        let matches = command.clone().try_get_matches()?;
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let Command::Secret { action: Secret::Set(set) } = &cli.command else { return Ok(cli) };
        set.problem().map_or(Ok(()), |problem| Err(refused(&["secret", "set"], problem)))?;
        Ok(cli)
    }

    /// The command line to show of a run: these words, unless there may be a secret among them.
    pub fn shown(&self, words: &[String]) -> String {
        match self.command {
            Command::Secret { action: Secret::Set(_) } => "cargo xtask secret set".to_owned(),
            _ => format!("cargo xtask {}", words.join(" ")),
        }
    }
}

/// An error of a command's own, as clap prints its errors.
fn refused(path: &[&str], problem: String) -> clap::Error {
    let mut command = Cli::command();
    command.build();
    let of = path.iter().fold(&mut command, |of, name| of.find_subcommand_mut(name).expect("the command exists"));
    of.error(ErrorKind::ValueValidation, problem)
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print exactly one JSON object on stdout, also on failure
    #[arg(long, global = true, hide_short_help = true)]
    pub json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true, hide_short_help = true)]
    pub quiet: bool,
    /// Answer yes to every question
    #[arg(short, long, global = true, hide_short_help = true)]
    pub yes: bool,
    /// When to use colors; NO_COLOR is respected
    #[arg(long, global = true, hide_short_help = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Show the output of the compiler, the Docker engine and AWS as it arrives
    #[arg(short, long, global = true, hide_short_help = true)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check everything that a release needs, and report all problems at once
    ///
    /// Changes nothing. Every problem comes with the command that fixes it. A check that cannot be made, for example for
    /// lack of permission, is reported as unknown (??) and does not count as a failure.
    Doctor(Doctor),
    /// Compile the service and build its image
    Build(Build),
    /// Compile, build, push, deploy, and verify that the endpoint runs the pushed image
    ///
    /// The environments that deploy.toml names in `needs` are brought up to date first, each with its own plan and question.
    Release(Release),
    /// Publish the image and write what a release would do to a plan file for review
    ///
    /// The plan is for one environment. If one of its `needs` is not up to date, that is reported, and neither `plan` nor
    /// `apply` changes it.
    Plan(Plan),
    /// Show what a release would change, without changing anything
    ///
    /// Computes the changes from the templates and the resource types' schemas instead of creating a change set, and
    /// publishes nothing. If the registry has no image of these sources, the image counts as new.
    Diff(Diff),
    /// Print the template as it would be deployed
    ///
    /// That is the file that deploy.toml names, with the variables, secrets and permissions of the environment added to its
    /// container. Secrets are references; no value is in it.
    Template {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Apply a plan file exactly, or refuse if the environment has changed
    Apply(Apply),
    /// Deploy an existing image and verify it, or deploy a template that runs no image
    ///
    /// The environments that deploy.toml names in `needs` are brought up to date first, each with its own plan and question.
    Deploy(Deploy),
    /// Return to an earlier release: its image, template and parameters, without rebuilding
    Rollback(Rollback),
    /// Verify that an endpoint answers correctly, and which image answers
    ///
    /// It authenticates as the stack's outputs require: with a temporary user, an app client of the user pool, the caller's
    /// AWS signature or an API key. A token in XTASK_SMOKE_TOKEN takes precedence, and is also sent to a URL.
    Smoke(Smoke),
    /// Check an image's SBOM and provenance
    Verify(Verify),
    /// Show the stack's state, the running image and the releases that can be rolled back to
    Status {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Show drift from the template, and vulnerabilities of the running image
    ///
    /// CloudFormation detects the drift; nothing is changed. Drift, or a vulnerability of severity high or critical, ends
    /// the command with exit code 1. Values that AWS changes by design, such as traffic weights during a deployment and
    /// task counts under auto scaling, are reported and do not count.
    Drift {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Store, list and remove the container's secrets
    Secret {
        #[command(subcommand)]
        action: Secret,
    },
    /// Show the stack's events, or follow an operation in progress
    Events(Events),
    /// Show the service's log
    Logs(Logs),
    /// Run a command once, in a task of its own with the released image
    ///
    /// The task has the variables, secrets, network and roles of the service, in an environment that runs it on ECS. Its log
    /// is printed as it is written, and its exit code, which may be any number, becomes that of this command. A failure
    /// before the task starts has the codes below. Ctrl-C stops the task. No lock is taken: a release may go on meanwhile.
    /// The words after -- are the whole command of an image without an entry point, as docker/Dockerfile makes one; an
    /// image with an entry point gets them as its arguments.
    Run(Run),
    /// Cancel the update in progress, or delete the stack that is being created
    Cancel {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Roll back a stack whose update or rollback is stuck
    Recover(Recover),
    /// Remove the environment lock
    Unlock {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Remove images and release records that are neither in use nor needed for a rollback
    Prune(Prune),
    /// Delete the stack, or what `release --local` started
    ///
    /// A stack is not deleted while another one builds on it: an environment that needs it, or a stack that imports from it.
    Destroy(Destroy),
    /// Delete the instances of an environment whose pull requests are closed or have lost their label
    ///
    /// These are instances with names such as `pr-12`. Needs the variables that GitHub sets in every job, and a GITHUB_TOKEN
    /// with the permission `pull-requests: read`. One that cannot be deleted does not keep the others.
    Sweep(Sweep),
    /// Create what a first release needs: repository, roles, and access for GitHub Actions
    ///
    /// An administrator runs it once for each environment, and again to change it. It creates a stack of its own, named
    /// after the environment's with the suffix `-bootstrap`, and with --github a second one with the suffix `-pipeline`.
    /// It leaves resources alone that the account already has. At the end it prints the settings for deploy.toml and for
    /// the pipeline.
    Bootstrap(Bootstrap),
    /// Print the least-privilege IAM policy that this tool needs for an environment
    ///
    /// It covers the calls that the tool itself makes. The permissions with which CloudFormation creates the template's
    /// resources are separate: they come from the caller or from an execution role.
    IamPolicy(IamPolicy),
    /// Put this tool, and the service if wanted, into a folder for jobs that compile nothing
    ///
    /// The list of the files, SHA256SUMS, has a digest, which is printed. `.ci/tool DIGEST` runs the tool of the folder
    /// target/tool if its files and their list are those.
    Compile(Compile),
    /// Post a comment on a pull request, or update the existing one
    ///
    /// Needs the variables that GitHub sets in every job, and a GITHUB_TOKEN with the permission `pull-requests: write`.
    Comment(Comment),
    /// Print the next version, as the changelog's Unreleased section determines it
    ///
    /// Removals and entries marked **Breaking** make a major version (before 1.0.0 a minor one), additions and changes a
    /// minor one, everything else a patch.
    Version(NextVersion),
    /// Publish a GitHub release of this repository, with notes from the changelog
    ///
    /// Needs the variables that GitHub sets in every job, and a GITHUB_TOKEN with the permission `contents: write`.
    Announce(Announce),
    /// Print a completion script
    ///
    /// For bash, zsh and fish it completes `cargo xtask`, with the environments of deploy.toml, and leaves what else cargo
    /// can do to cargo's own completions. In every shell it completes an alias `xtask`, too.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct EnvironmentArg {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", default_value = "dev")]
    pub environment: String,
}

/// Whether an argument is the name of an environment, or may be.
pub fn names_environment(argument: &clap::Arg) -> bool {
    argument.is_positional()
        && argument
            .get_value_names()
            .is_some_and(|names| names.iter().any(|name| name.split('|').any(|name| name == "ENV")))
}

impl Command {
    /// What a command waits for while none of its phases is active.
    pub fn waits_for(&self) -> &'static str {
        match self {
            Self::Doctor(_) => "the checks of this machine and of AWS",
            Self::Build(_) => "the Docker engine",
            Self::Compile(_) => "the compiler",
            Self::Release(arguments) if arguments.local => "the Docker engine",
            Self::Destroy(arguments) if arguments.local => "the Docker engine",
            Self::Release(_) | Self::Deploy(_) | Self::Plan(_) | Self::Apply(_) | Self::Rollback(_) => {
                "AWS and the registry"
            }
            Self::Smoke(_) => "the endpoint's stack at AWS",
            Self::Verify(_) => "AWS and the image's registry",
            Self::Status { .. } => "the stack, its releases and its lock at AWS",
            Self::Diff(_)
            | Self::Template { .. }
            | Self::Drift { .. }
            | Self::Events(_)
            | Self::Cancel { .. }
            | Self::Recover(_)
            | Self::Bootstrap(_)
            | Self::Destroy(_) => "the stack at AWS",
            Self::Secret { .. } => "the secrets at AWS",
            Self::Logs(_) => "the service's log at AWS",
            Self::Run(_) => "the task at AWS",
            Self::Unlock { .. } => "the environment lock at AWS",
            Self::Sweep(_) => "the stacks at AWS and their pull requests",
            Self::Prune(_) => "the images and releases at AWS",
            Self::Comment(_) | Self::Announce(_) => "GitHub",
            Self::IamPolicy(_) | Self::Version(_) | Self::Completions { .. } => "this machine's files",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
