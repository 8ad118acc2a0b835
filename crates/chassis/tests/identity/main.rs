//! Who asks: tokens of an issuer of the tests' own, good ones and forged ones, and of an emulator's user pool.
//!
//! With `-- --bench` it measures what the verification of a token takes, by the time of a request with and without.

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

use key::{Generate, Key};

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
    let keys: [(&str, Option<Generate>); 4] =
        [("none", None), ("rs256", Some(Key::rsa)), ("es256", Some(Key::ec)), ("eddsa", Some(Key::ed))];
    let speed =
        keys.map(|(name, key)| Trial::bench(format!("token_{name}"), move |is_test| Ok(tokens::measure(key, is_test))));
    let emulator = suite.test("tokens_of_an_emulated_user_pool", &[MINISTACK], |programs| {
        emulator::tokens_of_a_user_pool(programs);
        Ok::<(), Infallible>(())
    });
    let trials = own.chain(speed).chain([emulator]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
