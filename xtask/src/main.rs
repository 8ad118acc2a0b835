//! The release tool with everything that it does at AWS. `local` starts it where a command needs that.

mod attest;
mod bootstrap;
mod commands;
mod container;
mod container_secrets;
mod context;
mod diagnose;
mod doctor;
mod engine;
mod github;
mod needs;
mod one_off;
mod preflight;
mod publish;
mod retention;
mod session;
mod sign_in;
mod without_image;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use crate::context::Context;
use local::cli::Cli;
use local::run::Process;
use local::ui::Ui;

/// How long a user who interrupts twice waits for a lock to be given back.
const MOMENT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let process = Process::of(env::vars_os(), env::args_os().skip(1), env::current_dir());
    let exit = match Cli::read() {
        Ok(cli) => {
            let shown = process.shown(&cli);
            let act = async |context: &_, ui: &_| commands::run(cli.command, context, ui).await;
            process.run(cli.global, &shown, Context::of, act, tidy).await
        }
        Err(error) => process.usage(&error),
    };
    ExitCode::from(exit.code())
}

/// Removes what a command that was left in the middle has made at AWS for the moment; returns what it could not remove,
/// after a warning of each. A user who insists on an end waits for no more than a moment.
async fn tidy(context: &Context, ui: &Ui) -> Vec<String> {
    let _wait = ui.waiting("AWS, which removes what this command has made for the moment");
    let temporary_users = async {
        tokio::select! {
            biased;
            () = context.interrupt.insisted() => {}
            warnings = context.temporary_users.remove_all() => warnings.iter().for_each(|warning| ui.warn(warning)),
        }
    };
    let locks = async {
        let enough = async {
            context.interrupt.insisted().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            biased;
            () = context.locks.give_all_back() => {}
            () = enough => {}
        }
    };
    tokio::join!(temporary_users, locks);
    let left = context.locks.left();
    left.iter().for_each(|warning| ui.warn(warning));
    left
}
