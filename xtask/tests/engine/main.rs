//! Trials that need real programs beside the test: a Docker engine, a registry, an emulator.

mod ministack;
mod rehearsal;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one engine, and most of them compile.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, rehearsal::trials()).exit_code()
}
