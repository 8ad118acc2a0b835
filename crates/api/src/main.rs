//! The program `api`: arguments and environment in, exit code out.

use std::env;
use std::process::ExitCode;

use api::settings::{self, Settings};
use chassis::program::{Command, Program};

const PROGRAM: Program<'_> = Program {
    about: api::ABOUT,
    log_target: env!("CARGO_CRATE_NAME"),
    commands: &[],
    variables: &[config::service::VARIABLES, settings::VARIABLES],
};

fn main() -> ExitCode {
    run().unwrap_or_else(|code| code)
}

fn run() -> Result<ExitCode, ExitCode> {
    let command = PROGRAM.command(env::args_os().skip(1))?;
    let settings = PROGRAM.settings(command, env::vars_os(), Settings::from_vars)?;
    Ok(match command {
        Command::Healthcheck => PROGRAM.healthcheck(&settings.chassis),
        Command::Serve | Command::Own(_) => {
            if let Err(missing) = api::ids::supported(&settings.ids) {
                return Err(PROGRAM.fail(2, format!("cannot start with these settings: {missing}")));
            }
            PROGRAM.serve(&settings.chassis, async |listeners, signals| api::run(listeners, &settings, signals).await)
        }
    })
}
