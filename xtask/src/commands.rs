//! One file per command. Each checks, asks for confirmation where needed, acts, and records its result in the report.

mod announce;
mod apply;
mod bootstrap;
mod cancel;
mod comment;
mod compile;
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
mod sweep;
mod template;
mod unlock;
mod verify;
mod version;

use anyhow::Result;

use crate::context::Context;
use local::cli::Command;
use local::commands::Here;
use local::ui::Ui;

/// Runs the command.
///
/// # Errors
/// The command's failure, or its interruption.
pub(crate) async fn run(command: Command, context: &Context, ui: &Ui) -> Result<()> {
    let interrupt = &context.interrupt;
    let _wait = ui.waiting(command.waits_for());
    match command {
        Command::Doctor(arguments) => interrupt.or(doctor::run(&arguments, context, ui)).await,
        Command::Build(arguments) => Here::Build(arguments).run(context, ui).await,
        Command::Bootstrap(arguments) => bootstrap::run(&arguments, context, ui).await,
        // These handle interruptions themselves: they must not stop between two containers or with an unfinished change set.
        Command::Release(arguments) if arguments.local => Here::Release(arguments).run(context, ui).await,
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
        Command::Sweep(arguments) => interrupt.or(sweep::run(&arguments, context, ui)).await,
        Command::Prune(arguments) => interrupt.or(prune::run(&arguments, context, ui)).await,
        Command::IamPolicy(arguments) => iam_policy::run(&arguments, context, ui),
        Command::Compile(arguments) => interrupt.or(compile::run(&arguments, context, ui)).await,
        Command::Comment(arguments) => interrupt.or(comment::run(&arguments, context, ui)).await,
        Command::Version(arguments) => version::run(&arguments, context, ui),
        Command::Announce(arguments) => interrupt.or(announce::run(&arguments, context, ui)).await,
        Command::Completions { shell } => Here::Completions(shell).run(context, ui).await,
        Command::Destroy(arguments) => match &arguments.environment {
            Some(environment) => interrupt.or(destroy::run(environment, &arguments, context, ui)).await,
            None => Here::Destroy(arguments).run(context, ui).await,
        },
    }
}
