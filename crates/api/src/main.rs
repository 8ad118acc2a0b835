//! The program `api`: arguments and environment in, exit code out.

use std::env;
use std::process::ExitCode;

use api::settings::{self, Settings};
use chassis::program::{Command, Program};

const PROGRAM: Program<'_> = Program {
    about: api::ABOUT,
    log_target: env!("CARGO_CRATE_NAME"),
    commands: &[
        #[cfg(feature = "postgres")]
        database::COMMAND,
    ],
    variables: settings::GROUPS,
};

fn main() -> ExitCode {
    PROGRAM.run(env::args_os().skip(1), env::vars_os(), Settings::from_vars, |command, settings| match command {
        Command::Healthcheck => PROGRAM.healthcheck(&settings.chassis),
        #[cfg(feature = "postgres")]
        Command::Own(_) => match &settings.database {
            Some(place) => database::migrate_and_report(&PROGRAM, place, api::MIGRATIONS),
            None => PROGRAM.fail(2, "migrate needs a database: set DATABASE_URL, or PGHOST and PGUSER"),
        },
        _ => PROGRAM.serve(&settings.chassis, async |listeners, signals| api::run(listeners, &settings, signals).await),
    })
}
