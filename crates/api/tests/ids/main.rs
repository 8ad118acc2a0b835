//! Ids that several processes share, over an emulator's table: finished programs at full speed, and a network that fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod door;
mod emulator;
mod failures;
mod instance;
mod sharing;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::Arguments;
use requirements::{MINISTACK, Suite};

use emulator::Emulator;

/// A trial on an emulator, and its name.
pub(crate) type NamedTrial = (&'static str, fn(&Emulator));

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = Suite::new();
    // One for all, started by the first that needs it; it ends with the last trial that holds it.
    let shared = Arc::new(OnceLock::new());
    let trial = |(name, run): &NamedTrial| {
        let (shared, run) = (Arc::clone(&shared), *run);
        suite.test(name, &[MINISTACK], move |programs| {
            run(shared.get_or_init(|| Emulator::start(programs)));
            Ok::<(), Infallible>(())
        })
    };
    let trials = sharing::TRIALS.iter().chain(failures::TRIALS).map(trial).collect();
    drop(shared);
    libtest_mimic::run(&arguments, trials).exit_code()
}
