//! The command line of the release tool. It does what needs neither AWS nor TLS, and starts the whole tool for the rest.

use std::env;
use std::process::ExitCode;

use image::docker;
use local::cli::Cli;
use local::commands::Here;
use local::run::Process;
use local::ui::Ui;

#[tokio::main]
async fn main() -> ExitCode {
    let process = Process::of(env::vars_os(), env::args_os().skip(1), env::current_dir());
    let exit = match Cli::read() {
        Ok(cli) => {
            let shown = process.shown(&cli);
            let waits_for = cli.command.waits_for();
            let plain = |here: &Here| !here.uses_engine() || docker::is_plain(process.vars());
            let Some(here) = Here::of(cli.command).filter(plain) else {
                return ExitCode::from(launch::start("xtask", env::args_os().skip(1), env::var_os("CARGO")));
            };
            let act = async |context: &_, ui: &Ui| {
                let _wait = ui.waiting(waits_for);
                here.run(context, ui).await
            };
            process.run(cli.global, &shown, |context| context, act, async |_, _| Vec::new()).await
        }
        Err(error) => process.usage(&error),
    };
    ExitCode::from(exit.code())
}
