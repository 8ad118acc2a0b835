//! Trials against real programs: a Docker engine, a registry, nginx.

mod boot;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> std::process::ExitCode {
    let support = Support { required: std::env::var("REQUIRE_COUNTERPARTS").is_ok_and(|value| value == "1") };
    libtest_mimic::run(&Arguments::from_args(), boot::trials(&support)).exit_code()
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
            None => run().map(|()| Completion::Completed).map_err(|error| Failed::from(format!("{error:#}"))),
        })
    }
}
