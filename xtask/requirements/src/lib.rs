//! What tests need beside Rust. A test names its requirements; it runs where all are met, and is reported as ignored
//! elsewhere, with the commands that install what is missing.
//!
//! Only tests depend on this crate. It installs nothing and changes nothing.

mod requirement;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Completion, Failed, Trial};

pub use requirement::{
    AWS, BASH, CFN_GUARD, CFN_LINT, CHECKOV, CHROMEDRIVER, CHROMIUM, CURL, CYCLONEDX, DOCKER, DOCKER_REGISTRY, GIT,
    HAPROXY, HTPASSWD, JQ, MICROBURST, MINISTACK, NGINX, POSTGRES, PYTHON, Requirement, SHELLCHECK, TAR, UNSHARE,
};

/// With the value 1, a requirement that is not met is a failure.
const STRICT: &str = "REQUIRE_PROGRAMS";
/// The folder in cargo's target folder in which `.ci/programs` installs.
const INSTALLED: &str = "ci-programs";
/// How many ports there are for tests.
const PORTS: u32 = 750;

/// A test binary's view of the machine. Each requirement is searched for once.
#[derive(Debug, Clone)]
pub struct Suite {
    strict: bool,
    places: Arc<Places>,
    known: Arc<Mutex<BTreeMap<&'static str, Result<PathBuf, String>>>>,
}

/// Where programs are searched for.
#[derive(Debug)]
struct Places {
    installed: Option<PathBuf>,
    /// As in the variable PATH.
    path: OsString,
}

/// The requirements that a test has named, all of them met: the only way to a program.
#[derive(Debug, Clone)]
pub struct Programs(BTreeMap<&'static str, PathBuf>);

impl Suite {
    /// The suite on this machine.
    pub fn new() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        let installed = program.ancestors().map(|folder| folder.join(INSTALLED)).find(|folder| folder.is_dir());
        let strict = std::env::var_os(STRICT).is_some_and(|value| value == "1");
        Self::at(strict, Places { installed, path: std::env::var_os("PATH").unwrap_or_default() })
    }

    fn at(strict: bool, places: Places) -> Self {
        Self { strict, places: Arc::new(places), known: Arc::default() }
    }

    /// A test that runs where all requirements are met.
    pub fn test<E: Debug>(
        &self,
        name: &str,
        requirements: &[Requirement],
        run: impl FnOnce(&Programs) -> Result<(), E> + Send + 'static,
    ) -> Trial {
        let (suite, requirements) = (self.clone(), requirements.to_vec());
        Trial::ignorable_test(name, move || suite.attempt(&requirements, run))
    }

    fn attempt<E: Debug>(
        &self,
        requirements: &[Requirement],
        run: impl FnOnce(&Programs) -> Result<(), E>,
    ) -> Result<Completion, Failed> {
        match self.find(requirements) {
            Ok(programs) => match run(&programs) {
                Ok(()) => Ok(Completion::Completed),
                Err(error) => Err(Failed::from(format!("{error:?}"))),
            },
            Err(missing) if self.strict => Err(Failed::from(missing)),
            Err(missing) => Ok(Completion::ignored_with(missing)),
        }
    }

    /// All of them, or everything that is missing.
    fn find(&self, requirements: &[Requirement]) -> Result<Programs, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for requirement in requirements {
            let name = requirement.name();
            match known.entry(name).or_insert_with(|| requirement.find(&self.places)) {
                Ok(path) => {
                    found.insert(name, path.clone());
                }
                Err(reason) => missing.push(reason.clone()),
            }
        }
        if missing.is_empty() { Ok(Programs(found)) } else { Err(missing.join("; ")) }
    }
}

/// A port on loopback that is free now, which no other test of this process gets, and which the kernel gives nobody who names
/// none.
///
/// # Panics
/// If no port is free.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Below the ephemeral range. What finds its port taken tries those that follow, so they are left out.
    let mut ports = (0..PORTS).map(|_| {
        let number = (std::process::id() + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
        u16::try_from(20_000 + number * 16).expect("all of them are ports")
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port is free")
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl Programs {
    /// The command that starts a program.
    ///
    /// # Panics
    /// If the test has not named the requirement.
    pub fn command(&self, program: Requirement) -> Command {
        Command::new(self.path(program))
    }

    /// Where a program is.
    ///
    /// # Panics
    /// If the test has not named the requirement.
    pub fn path(&self, program: Requirement) -> &Path {
        let path = self.0.get(program.name());
        path.unwrap_or_else(|| panic!("the test uses {0}, and does not name it as a requirement", program.name()))
    }

    /// Asserts that the test has named a requirement: a condition, or a program that another program starts.
    ///
    /// # Panics
    /// If it has not.
    pub fn assert_named(&self, requirement: Requirement) {
        self.path(requirement);
    }
}
