//! The program `api`: arguments and environment in, exit code out.

use std::env;
use std::process::ExitCode;

use actix_web::rt::System;
use api::CannotMigrate;
use api::settings::{self, Settings};
use chassis::program::{Command, Program, print};
#[cfg(feature = "postgres")]
use chassis::telemetry::with_causes;

/// To be run before a rollout, by a role that may change the schema.
const MIGRATE: &str = "migrate";

const PROGRAM: Program<'_> = Program {
    about: api::ABOUT,
    log_target: env!("CARGO_CRATE_NAME"),
    commands: &[(MIGRATE, "apply what the schema of the database lacks, and end")],
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
        Command::Own(_) => migrate(&settings),
        Command::Serve => {
            if let Err(missing) = api::supported(&settings) {
                return Err(PROGRAM.fail(2, format!("cannot start with these settings: {missing}")));
            }
            PROGRAM.serve(&settings.chassis, async |listeners, signals| api::run(listeners, &settings, signals).await)
        }
    })
}

fn migrate(settings: &Settings) -> ExitCode {
    let mut applied = 0;
    let done = |step: &str| {
        applied += 1;
        print(step);
    };
    match System::new().block_on(api::migrate(settings, done, |step| PROGRAM.note(step))) {
        Ok(()) if applied == 0 => print("nothing to do"),
        Ok(()) => ExitCode::SUCCESS,
        Err(CannotMigrate::Unusable(missing)) => PROGRAM.fail(2, missing),
        #[cfg(feature = "postgres")]
        Err(CannotMigrate::Failed(error)) => PROGRAM.fail(1, with_causes(&error)),
    }
}
