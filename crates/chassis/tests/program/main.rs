//! A service as a process of its own, as its operators meet it: this very program, where it is called with [`SERVICE`].

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod arguments;
mod clients;
mod log;
mod operators;
mod process;
mod service;
mod shutdown;
mod spans;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Whoever sets this variable gets the service.
pub(crate) const SERVICE: &str = "CHASSIS_TEST_SERVICE";

/// A test, and its name.
pub(crate) type NamedTrial = (&'static str, fn());

fn main() -> ExitCode {
    if env::var_os(SERVICE).is_some() {
        return service::main();
    }
    let trials =
        [arguments::TRIALS, clients::TRIALS, log::TRIALS, operators::TRIALS, shutdown::TRIALS, spans::TRIALS].concat();
    let trials = trials.into_iter().map(|(name, run)| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
