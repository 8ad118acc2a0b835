//! The command line: types and help, nothing else.

mod arguments;
mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::arguments::{
    Announce, Apply, Bootstrap, Build, Comment, Conduct, Deploy, Destroy, Diff, Doctor, Events, IamPolicy, Logs,
    NextVersion, Plan, Proof, Prune, Recover, Release, Rollback, Smoke, Source, Verify,
};
use model::outcome::EXIT_CODES;

/// Release the service: image, registry, stack, proof
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print exactly one JSON object on stdout, also on failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// When to colour; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Show what the compiler, the engine and AWS say while they work
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what is missing before a release can work, all of it at once
    ///
    /// It changes nothing. What may not be looked at is told as such (??) and is no failure; what is missing comes with the
    /// command that mends it.
    Doctor(Doctor),
    /// Compile the service and build its image
    Build(Build),
    /// Compile, build, push, deploy and prove that the pushed image answers
    Release(Release),
    /// Publish the image and write down what a release would do, as one reviewable file
    Plan(Plan),
    /// Show what a release would change, by reading only
    ///
    /// It works out from the templates and the types' schemas what CloudFormation's change set would say, and publishes
    /// nothing. Where the registry has no image of these sources, the image counts as a new one.
    Diff(Diff),
    /// Do exactly what a plan file says, or refuse
    Apply(Apply),
    /// Deploy an image that is there already, and prove it; or a template without one
    Deploy(Deploy),
    /// Go back to an earlier release: image, template and parameters, without a rebuild
    Rollback(Rollback),
    /// Prove that an endpoint answers, and with which image
    ///
    /// As in every release, it signs in the way the stack's outputs say: with a user that is made for the moment, a client
    /// of the pool, the caller's own signature, an API key. A token in XTASK_SMOKE_TOKEN is sent instead of all these, and
    /// also to a URL.
    Smoke(Smoke),
    /// Check an image's bill of materials and provenance
    Verify(Verify),
    /// Show the stack's state, the running image and the releases one can go back to
    Status {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Show what is no longer as the template says, and the findings of the image
    ///
    /// CloudFormation compares; nothing changes. Drift, and a finding of severity high or critical, end it with exit code 1.
    /// What AWS moves by itself, weights that ECS shifts and counts that scaling sets, is told and does not count.
    Drift {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Show the stack's events; follow an operation that is under way
    Events(Events),
    /// Show what the service has logged
    Logs(Logs),
    /// Cancel the update that is under way, or remove the stack that is being created
    Cancel {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Bring a stack that is stuck half-way back to where it was
    Recover(Recover),
    /// Take the environment's lock away from whoever holds it
    Unlock {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Remove images and records that no environment runs and no release goes back to
    Prune(Prune),
    /// Remove the stack, or what `release --local` started
    Destroy(Destroy),
    /// Make what a first release needs: repository, roles, and GitHub's way in
    ///
    /// An administrator runs it, once for each environment and whenever something of it is to change; it is a stack of
    /// its own, ENV's with `-bootstrap` after the name. What the account has already, it leaves alone. At the end it
    /// prints what belongs into deploy.toml and what the pipeline has to be told.
    Bootstrap(Bootstrap),
    /// Print the IAM policy that this tool needs for an environment, and no more
    ///
    /// It covers the calls that the tool makes itself. What CloudFormation needs to create the template's resources is
    /// another matter: the caller's own permissions, or those of an execution role, have to cover them.
    IamPolicy(IamPolicy),
    /// Say something on a pull request, in one comment that is updated and not repeated
    ///
    /// It needs what GitHub sets in every job, and GITHUB_TOKEN with the permission `pull-requests: write`.
    Comment(Comment),
    /// Tell which version comes next, by what the changelog has under Unreleased
    ///
    /// What was removed or is marked **Breaking** makes a major version (before 1.0.0 a minor one), what was added or
    /// changed a minor one, everything else a patch.
    Version(NextVersion),
    /// Publish a release of this repository on GitHub, with the changelog's notes
    ///
    /// It needs what GitHub sets in every job, and GITHUB_TOKEN with the permission `contents: write`.
    Announce(Announce),
    /// Print a completion script
    ///
    /// It completes the word `xtask`; with bash or zsh, for example: alias xtask='cargo xtask'
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EnvironmentArg {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", default_value = "dev")]
    pub(crate) environment: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
