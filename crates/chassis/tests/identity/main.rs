//! Who asks: tokens of an issuer of the tests' own, good ones and forged ones, and of an emulator's user pool.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod emulator;
mod issuer;
mod key;
mod outages;
mod service;
mod tokens;

use std::convert::Infallible;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use requirements::{MINISTACK, Suite};

/// A test, and its name.
pub(crate) type NamedTrial = (&'static str, fn());

fn main() -> ExitCode {
    let suite = Suite::new();
    let own = [tokens::TRIALS, outages::TRIALS].concat().into_iter().map(|(name, run)| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    });
    let speed = Trial::test("speed", || {
        tokens::speed();
        Ok(())
    });
    let emulator = suite.test("tokens_of_an_emulated_user_pool", &[MINISTACK], |programs| {
        emulator::tokens_of_a_user_pool(programs);
        Ok::<(), Infallible>(())
    });
    let trials = own.chain([speed.with_ignored_flag(true), emulator]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
