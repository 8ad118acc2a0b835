//! Programs in all the states in which they stand on people's machines.

use std::fs;

use tempfile::TempDir;

use super::requirement::{Kind, debian_package};
use super::*;

const ALL: [Requirement; 23] = [
    AWS,
    BASH,
    CFN_GUARD,
    CFN_LINT,
    CHECKOV,
    CHROMEDRIVER,
    CHROMIUM,
    CURL,
    CYCLONEDX,
    DOCKER,
    DOCKER_REGISTRY,
    GIT,
    HAPROXY,
    HTPASSWD,
    JQ,
    MICROBURST,
    MINISTACK,
    NGINX,
    POSTGRES,
    PYTHON,
    SHELLCHECK,
    TAR,
    UNSHARE,
];

/// A machine with a folder on PATH, and what `.ci/programs` has installed.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        Self(folder)
    }

    fn suite(&self, strict: bool) -> Suite {
        let installed = Some(self.0.path().join("ci-programs"));
        Suite::at(strict, Places { installed, path: self.0.path().join("bin").into() })
    }

    fn find(&self, requirement: Requirement) -> Result<PathBuf, String> {
        self.suite(false).find(&[requirement]).map(|programs| programs.path(requirement).to_owned())
    }
}

#[test]
fn every_requirement_has_its_package_or_version() {
    for requirement in ALL {
        let reason = Machine::new().find(requirement).unwrap_err();
        let commands = ["sudo apt-get install ", ".ci/programs python", ".ci/programs checkov", ".ci/programs guard"];
        assert!(commands.iter().any(|command| reason.contains(command)), "{reason}");
    }
    for requirement in ALL {
        if let Kind::Debian(program) = requirement.0 {
            assert!(debian_package(program).is_some(), ".ci/machine.sh does not install {program}");
        }
    }
}

const MET: Requirement = Requirement::condition("weather", || Ok(()), "wait");
const UNMET: Requirement = Requirement::condition("engine", || Err("it does not answer".to_owned()), "start one");

#[test]
fn a_test_runs_is_ignored_or_fails() {
    let machine = Machine::new();
    let outcome = |strict: bool, requirements: &[Requirement], result: Result<(), &str>| match machine
        .suite(strict)
        .attempt(requirements, |_| result)
    {
        Ok(Completion::Completed) => "completed".to_owned(),
        Ok(Completion::Ignored { reason }) => format!("ignored: {}", reason.unwrap()),
        Err(failed) => format!("failed: {}", failed.message().unwrap()),
    };
    assert_eq!(outcome(false, &[MET], Ok(())), "completed");
    assert_eq!(outcome(false, &[MET], Err("wrong")), "failed: \"wrong\"");
    assert_eq!(outcome(false, &[MET, UNMET], Ok(())), "ignored: no engine (it does not answer): start one");
    assert_eq!(outcome(true, &[MET, UNMET], Ok(())), "failed: no engine (it does not answer): start one");
}

#[test]
fn the_newest_server_that_debian_has_installed_is_found() {
    let machine = Machine::new();
    assert!(machine.find(POSTGRES).unwrap_err().ends_with("sudo apt-get install postgresql"));
    let file = |path: &str| {
        let path = machine.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    };
    let (nine, fifteen) = (file("lib/postgresql/9/bin/pg_ctl"), file("lib/postgresql/15/bin/pg_ctl"));
    // A client's folder, and one of something else.
    file("lib/postgresql/17/bin/psql");
    file("lib/postgresql/other/bin/pg_ctl");
    assert!(machine.find(POSTGRES).is_err(), "what is not on PATH is another machine's");
    file("bin/pg_ctlcluster");
    assert_eq!(machine.find(POSTGRES), Ok(fifteen.clone()));
    fs::remove_file(fifteen).unwrap();
    assert_eq!(machine.find(POSTGRES), Ok(nine));
    let own = file("bin/pg_ctl");
    assert_eq!(machine.find(POSTGRES), Ok(own));
}
