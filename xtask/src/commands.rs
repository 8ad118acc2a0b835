//! One file a command. Each checks first, says what it will do, does it, and notes the result.

mod build;
mod deploy;
mod destroy;
mod doctor;
mod release;
mod smoke;
mod status;

use anyhow::Result;

use crate::cli::Command;
use crate::context::Context;
use crate::ui::Ui;

/// Carries out the command.
///
/// # Errors
/// Whatever the command failed with; an interruption is one of these.
pub(crate) async fn run(command: Command, context: &Context, ui: &Ui) -> Result<()> {
    let interrupt = &context.interrupt;
    match command {
        Command::Doctor { environment } => interrupt.or(doctor::run(&environment.environment, context, ui)).await,
        Command::Build(arguments) => interrupt.or(build::run(&arguments, context, ui)).await,
        // These must not be left at any point: between two containers, or with a change set half-made.
        Command::Release(arguments) if arguments.local => release::local(&arguments, context, ui).await,
        Command::Release(arguments) => release::run(&arguments, context, ui).await,
        Command::Deploy(arguments) => deploy::run(&arguments, context, ui).await,
        Command::Smoke(arguments) => interrupt.or(smoke::run(&arguments, context, ui)).await,
        Command::Status { environment } => interrupt.or(status::run(&environment.environment, context, ui)).await,
        Command::Destroy(arguments) => interrupt.or(destroy::run(&arguments, context, ui)).await,
    }
}
