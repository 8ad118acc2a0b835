//! Ids that several processes share, over an emulator's table: finished programs at full speed, and a network that fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod door;
mod emulator;
mod failures;
mod instance;
mod sharing;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use emulator::{Emulator, missing};

/// A trial on an emulator, and its name.
pub(crate) type NamedTrial = (&'static str, fn(&Emulator));

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var_os("REQUIRE_COUNTERPARTS").is_some_and(|value| value == "1");
    let absent = missing();
    // One for all, and none for `--list`; it ends with the last trial that holds it.
    let emulator = (absent.is_none() && !arguments.list).then(|| Arc::new(Emulator::start()));
    let trial = |(name, run): &NamedTrial| {
        let (absent, emulator, run) = (absent.clone(), emulator.clone(), *run);
        Trial::ignorable_test(*name, move || match (absent, emulator) {
            (Some(reason), _) if required => Err(Failed::from(reason)),
            (Some(reason), _) => Ok(Completion::ignored_with(reason)),
            (None, emulator) => {
                let emulator = emulator.expect("it runs where nothing is missing");
                // The panic hook has printed it already.
                let outcome = catch_unwind(AssertUnwindSafe(|| run(&emulator)));
                outcome.map(|()| Completion::Completed).map_err(|_| Failed::from("see the panic above"))
            }
        })
    };
    let trials = sharing::TRIALS.iter().chain(failures::TRIALS).map(trial).collect();
    drop(emulator);
    libtest_mimic::run(&arguments, trials).exit_code()
}
