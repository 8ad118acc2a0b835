//! Trials that need real programs beside the test: a Docker engine, a registry, nginx, an emulator.

mod boot;
mod checkout;
mod client;
mod fakecloud;
mod faults;
mod local;
mod ministack;
mod push;
mod registry;
mod rehearsal;
mod sign_in;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one engine, and most of them compile.
    arguments.test_threads.get_or_insert(1);
    let support = Support { required: std::env::var_os("REQUIRE_COUNTERPARTS").is_some_and(|value| value == "1") };
    let trials = [
        local::trials(&support),
        push::trials(&support),
        boot::trials(&support),
        rehearsal::trials(&support),
        sign_in::trials(&support),
        faults::trials(&support),
        fakecloud::trials(&support),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// What every module's trials share.
pub(crate) struct Support {
    required: bool,
}

impl Support {
    /// A trial that is ignored, with the reason, where `missing` finds something missing; a failure where all must run.
    pub(crate) fn trial(
        &self,
        name: &str,
        missing: impl FnOnce() -> Option<String> + Send + 'static,
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Trial {
        let required = self.required;
        Trial::ignorable_test(name, move || match missing() {
            Some(reason) if required => Err(Failed::from(reason)),
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => run().map(|()| Completion::Completed).map_err(|error| Failed::from(format!("{error:?}"))),
        })
    }
}
