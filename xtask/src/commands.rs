//! One file per command. Each checks, asks for confirmation where needed, acts, and records its result in the report.

mod announce;
mod apply;
mod bootstrap;
mod build;
mod cancel;
mod comment;
mod completions;
mod deploy;
mod destroy;
mod diff;
mod doctor;
mod drift;
mod events;
mod iam_policy;
mod logs;
mod plan;
mod prune;
mod recover;
mod release;
mod rollback;
mod run;
mod secret;
mod smoke;
mod status;
mod template;
mod unlock;
mod verify;
mod version;

use anyhow::Result;

use crate::cli::Command;
use crate::context::Context;
use crate::ui::Ui;

/// Runs the command.
///
/// # Errors
/// The command's failure, or its interruption.
pub(crate) async fn run(command: Command, context: &Context, ui: &Ui) -> Result<()> {
    let interrupt = &context.interrupt;
    let _wait = ui.waiting(command_waits_for(&command));
    match command {
        Command::Doctor(arguments) => interrupt.or(doctor::run(&arguments, context, ui)).await,
        Command::Build(arguments) => interrupt.or(build::run(&arguments, context, ui)).await,
        Command::Bootstrap(arguments) => bootstrap::run(&arguments, context, ui).await,
        // These handle interruptions themselves: they must not stop between two containers or with an unfinished change set.
        Command::Release(arguments) if arguments.local => release::local(&arguments, context, ui).await,
        Command::Release(arguments) => release::run(&arguments, context, ui).await,
        Command::Deploy(arguments) => deploy::run(&arguments, context, ui).await,
        Command::Smoke(arguments) => interrupt.or(smoke::run(&arguments, context, ui)).await,
        Command::Verify(arguments) => interrupt.or(verify::run(&arguments, context, ui)).await,
        Command::Status { environment } => interrupt.or(status::run(&environment.environment, context, ui)).await,
        Command::Drift { environment } => interrupt.or(drift::run(&environment.environment, context, ui)).await,
        Command::Plan(arguments) => plan::run(&arguments, context, ui).await,
        Command::Diff(arguments) => interrupt.or(diff::run(&arguments, context, ui)).await,
        Command::Template { environment } => template::run(&environment.environment, context, ui).await,
        Command::Apply(arguments) => apply::run(&arguments, context, ui).await,
        Command::Rollback(arguments) => rollback::run(&arguments, context, ui).await,
        Command::Secret { action } => interrupt.or(secret::run(&action, context, ui)).await,
        // It stops what it has started.
        Command::Run(arguments) => run::run(&arguments, context, ui).await,
        Command::Events(arguments) => interrupt.or(events::run(&arguments, context, ui)).await,
        Command::Logs(arguments) => logs::run(&arguments, context, ui).await,
        Command::Cancel { environment } => interrupt.or(cancel::run(&environment.environment, context, ui)).await,
        Command::Recover(arguments) => interrupt.or(recover::run(&arguments, context, ui)).await,
        Command::Unlock { environment } => interrupt.or(unlock::run(&environment.environment, context, ui)).await,
        Command::Prune(arguments) => interrupt.or(prune::run(&arguments, context, ui)).await,
        Command::IamPolicy(arguments) => iam_policy::run(&arguments, context, ui),
        Command::Comment(arguments) => interrupt.or(comment::run(&arguments, context, ui)).await,
        Command::Version(arguments) => version::run(&arguments, context, ui),
        Command::Announce(arguments) => interrupt.or(announce::run(&arguments, context, ui)).await,
        Command::Completions { shell } => completions::run(shell, ui),
        Command::Destroy(arguments) => interrupt.or(destroy::run(&arguments, context, ui)).await,
    }
}

/// What a command waits for while none of its phases is active.
fn command_waits_for(command: &Command) -> &'static str {
    match command {
        Command::Doctor(_) => "the checks of this machine and of AWS",
        Command::Build(_) => "the Docker engine",
        Command::Release(arguments) if arguments.local => "the Docker engine",
        Command::Release(_) | Command::Deploy(_) | Command::Plan(_) | Command::Apply(_) | Command::Rollback(_) => {
            "AWS and the registry"
        }
        Command::Smoke(_) => "the endpoint's stack at AWS",
        Command::Verify(_) => "AWS and the image's registry",
        Command::Status { .. } => "the stack, its releases and its lock at AWS",
        Command::Diff(_)
        | Command::Template { .. }
        | Command::Drift { .. }
        | Command::Events(_)
        | Command::Cancel { .. }
        | Command::Recover(_)
        | Command::Bootstrap(_)
        | Command::Destroy(_) => "the stack at AWS",
        Command::Secret { .. } => "the secrets at AWS",
        Command::Logs(_) => "the service's log at AWS",
        Command::Run(_) => "the task at AWS",
        Command::Unlock { .. } => "the environment lock at AWS",
        Command::Prune(_) => "the images and releases at AWS",
        Command::Comment(_) | Command::Announce(_) => "GitHub",
        Command::IamPolicy(_) | Command::Version(_) | Command::Completions { .. } => "this machine's files",
    }
}
