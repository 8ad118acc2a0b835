//! Programs in all the states in which they stand on people's machines.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::requirement::{Kind, PYTHON_LIST, debian_package, guard_version};
use super::*;

const ALL: [Requirement; 21] = [
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
    GZIP,
    HAPROXY,
    HTPASSWD,
    MICROBURST,
    MINISTACK,
    NGINX,
    PYTHON,
    SHELLCHECK,
    TAR,
    UNSHARE,
];
const LIST: &str = include_str!("../../../.ci/requirements.txt");

/// A machine with a folder on PATH, and what `.ci/programs` has installed.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        fs::create_dir_all(folder.path().join("ci-programs/python/bin")).unwrap();
        Self(folder)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
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
fn everything_that_is_missing_is_named_with_its_command() {
    let found = Machine::new().suite(false).find(&[NGINX, GIT, CFN_LINT, CFN_GUARD]);
    let reason = found.unwrap_err();
    let version = |name: &str| LIST.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let lint = format!("no cfn-lint {}: .ci/programs python", version("cfn-lint=="));
    for part in
        ["no nginx on PATH: sudo apt-get install nginx-light; ", "no git on PATH: ", &lint, ": .ci/programs guard"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
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

/// One test: the two start what they have written, and a thread that starts something else then would keep the file busy.
#[test]
fn a_program_on_the_path_counts_in_the_right_version_only() {
    another_version_is_none();
    all_packages_have_to_fit();
}

fn another_version_is_none() {
    let machine = Machine::new();
    for (script, why) in [
        ("#!/bin/sh\necho cfn-lint 1.51.0\n", "it is older"),
        ("#!/bin/sh\nexit 1\n", "it fails"),
        ("#!/bin/sh\necho cfn-lint 1.58.0\n", "a wrapper does not tell what it starts"),
        ("", "it is empty"),
        ("#!/nowhere/python3\n", "its Python is gone"),
    ] {
        let path = machine.write("bin/cfn-lint", script);
        let reason = machine.find(CFN_LINT).expect_err(why);
        assert!(reason.contains(&format!("({} does not fit)", path.display())), "{reason}");
    }
    machine.write("bin/cfn-guard", "#!/bin/sh\necho cfn-guard 2.0.0\n");
    machine.find(CFN_GUARD).unwrap_err();
}

fn all_packages_have_to_fit() {
    let machine = Machine::new();
    let version = |package: &str| PYTHON_LIST.version(package);
    let answer = |ministack: &str, docker: &str| {
        machine.write("python3", &format!("#!/bin/sh\necho {ministack} {docker} {}\n", version("cryptography")))
    };
    let python = answer(version("ministack"), version("docker"));
    let program = machine.write("bin/ministack", &format!("#!{}\n", python.display()));
    assert_eq!(machine.find(MINISTACK), Ok(program));
    answer(version("ministack"), "7.0.0");
    machine.find(MINISTACK).unwrap_err();
    answer("1.5.3", version("docker"));
    machine.find(MINISTACK).unwrap_err();
    let guard = machine.write("bin/cfn-guard", &format!("#!/bin/sh\necho cfn-guard {}\n", guard_version()));
    assert_eq!(machine.find(CFN_GUARD), Ok(guard));
}

#[test]
fn what_the_script_has_installed_from_this_list_comes_first() {
    let machine = Machine::new();
    machine.write("bin/cfn-lint", "#!/bin/sh\necho cfn-lint 1.51.0\n");
    let installed = machine.write("ci-programs/python/bin/cfn-lint", "");
    let python = machine.0.path().join("ci-programs/python/bin/python");
    symlink("/bin/sh", &python).unwrap();
    machine.find(CFN_LINT).expect_err("it is not complete");
    machine.write("ci-programs/python/requirements.txt", "cfn-lint==1.51.0\n");
    machine.find(CFN_LINT).expect_err("it is of another list");
    machine.write("ci-programs/python/requirements.txt", LIST);
    assert_eq!(machine.find(CFN_LINT), Ok(installed));
    fs::remove_file(&python).unwrap();
    symlink("/nowhere/python3", &python).unwrap();
    machine.find(CFN_LINT).expect_err("its Python is gone");
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

/// Wherever the program is there, as in CI: nobody can forget to name it.
#[test]
#[should_panic(expected = "the test uses git, and does not name it as a requirement")]
fn a_test_that_uses_what_it_has_not_named_fails() {
    let machine = Machine::new();
    machine.write("bin/nginx", "");
    machine.write("bin/git", "");
    let uses_another = |programs: &Programs| {
        programs.command(NGINX);
        programs.command(GIT);
        Ok::<(), String>(())
    };
    drop(machine.suite(false).attempt(&[NGINX], uses_another));
}
