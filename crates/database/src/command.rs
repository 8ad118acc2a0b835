//! The command that migrates, for a service's program.

use std::process::ExitCode;

use actix_web::rt::System;
use chassis::program::{Program, print};
use chassis::telemetry::with_causes;

use crate::{Migration, Settings, Step, migrate};

/// To be run before a rollout, by a role that may change the schema; for [`Program::commands`].
pub const COMMAND: (&str, &str) = ("migrate", "apply what the schema of the database lacks, and end");

/// Applies what is missing and prints what that was, or that there is nothing to do; waiting and failing go to stderr.
pub fn migrate_and_report(program: &Program<'_>, settings: &Settings, migrations: &[Migration]) -> ExitCode {
    let mut applied = 0;
    let report = |step: Step| match step {
        Step::Waiting { .. } => program.note(step),
        Step::Applied(_) => {
            applied += 1;
            print(&step.to_string());
        }
    };
    match System::new().block_on(migrate(settings, migrations, report)) {
        Ok(()) if applied == 0 => print("nothing to do"),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => program.fail(1, with_causes(&error)),
    }
}
