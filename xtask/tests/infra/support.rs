//! Trials that need a program beside the test, and may be without.

use libtest_mimic::{Completion, Failed, Trial};

/// What every module's trials share.
pub(crate) struct Support {
    pub(crate) required: bool,
}

impl Support {
    pub(crate) fn new() -> Self {
        Self { required: std::env::var_os("REQUIRE_COUNTERPARTS").is_some_and(|value| value == "1") }
    }

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

/// The first of `programs` that is not installed, as a reason to ignore a trial.
pub(crate) fn absent(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = |program: &&&str| folders.iter().any(|folder| folder.join(program).is_file());
    programs.iter().find(|program| !found(program)).map(|program| format!("no {program} on PATH"))
}
