//! The requirements: how each is found, in which version, and which command installs it.
//!
//! Versions and packages stand in `.ci` alone, and are read from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Places;

pub const AWS: Requirement = debian("aws");
pub const BASH: Requirement = debian("bash");
pub const CHROMEDRIVER: Requirement = debian("chromedriver");
pub const CHROMIUM: Requirement = debian("chromium");
pub const CURL: Requirement = debian("curl");
pub const DOCKER: Requirement = debian("docker");
pub const DOCKER_REGISTRY: Requirement = debian("docker-registry");
pub const GIT: Requirement = debian("git");
pub const HAPROXY: Requirement = debian("haproxy");
pub const HTPASSWD: Requirement = debian("htpasswd");
pub const JQ: Requirement = debian("jq");
pub const NGINX: Requirement = debian("nginx");
pub const PYTHON: Requirement = debian("python3");
pub const SHELLCHECK: Requirement = debian("shellcheck");
pub const TAR: Requirement = debian("tar");
pub const UNSHARE: Requirement = debian("unshare");

pub const CFN_LINT: Requirement = python("cfn-lint", &PYTHON_LIST, &["cfn-lint"]);
pub const CHECKOV: Requirement = python("checkov", &CHECKOV_LIST, &["checkov"]);
/// A Python that has the validator of CycloneDX.
pub const CYCLONEDX: Requirement = python("python3", &PYTHON_LIST, &["cyclonedx-python-lib"]);
pub const MICROBURST: Requirement = python("microburst", &PYTHON_LIST, &["microburst"]);
/// With the packages by which it runs tasks as containers, and checks tokens.
pub const MINISTACK: Requirement = python("ministack", &PYTHON_LIST, &["ministack", "docker", "cryptography"]);

pub const CFN_GUARD: Requirement = Requirement(Kind::Guard);
/// The server's `pg_ctl`, in whatever version; the other programs of the server are beside it.
pub const POSTGRES: Requirement = Requirement(Kind::Postgres);

/// Something that a test needs of the machine. Two with the same name are the same.
#[derive(Debug, Clone, Copy)]
pub struct Requirement(pub(crate) Kind);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A program of one of Debian's packages, in whatever version.
    Debian(&'static str),
    /// A program of a list of Python packages, with the packages whose versions count.
    Python {
        program: &'static str,
        list: &'static List,
        packages: &'static [&'static str],
    },
    Guard,
    Postgres,
    /// What is no program.
    Condition {
        name: &'static str,
        holds: fn() -> Result<(), String>,
        remedy: &'static str,
    },
}

/// Python packages that are installed together.
#[derive(Debug)]
pub(crate) struct List {
    /// What `.ci/programs` calls it, and its folder.
    name: &'static str,
    text: &'static str,
}

pub(crate) const PYTHON_LIST: List = List { name: "python", text: include_str!("../../../.ci/requirements.txt") };
const CHECKOV_LIST: List = List { name: "checkov", text: include_str!("../../../.ci/checkov.txt") };
const GUARD: &str = "cfn-guard";
/// Controls every server that Debian has installed.
const POSTGRES_COMMON: &str = "pg_ctlcluster";
/// Has the version of cfn-guard and the names of Debian's packages.
const MACHINE: &str = include_str!("../../../.ci/machine.sh");
/// Prints the versions of the packages that it is given.
const VERSIONS: &str = "import sys\nfrom importlib.metadata import version\nprint(*map(version, sys.argv[1:]))";

const fn debian(program: &'static str) -> Requirement {
    Requirement(Kind::Debian(program))
}

const fn python(program: &'static str, list: &'static List, packages: &'static [&'static str]) -> Requirement {
    Requirement(Kind::Python { program, list, packages })
}

impl Requirement {
    /// What holds or not, and is no program; `remedy` is the command or deed that makes it hold.
    pub const fn condition(name: &'static str, holds: fn() -> Result<(), String>, remedy: &'static str) -> Self {
        Self(Kind::Condition { name, holds, remedy })
    }

    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Kind::Debian(program) => program,
            Kind::Python { packages, .. } => packages[0],
            Kind::Guard => GUARD,
            Kind::Postgres => "postgresql",
            Kind::Condition { name, .. } => name,
        }
    }

    /// Where it is, nowhere for a condition; or what is missing, with the command that installs it.
    pub(crate) fn find(self, places: &Places) -> Result<PathBuf, String> {
        match self.0 {
            Kind::Debian(program) => places.on_path(program).next().ok_or_else(|| {
                format!("no {program} on PATH: sudo apt-get install {}", debian_package(program).unwrap_or(program))
            }),
            Kind::Python { program, list, packages } => list.find(places, program, packages),
            Kind::Guard => guard(places),
            Kind::Postgres => postgres(places),
            Kind::Condition { name, holds, remedy } => match holds() {
                Ok(()) => Ok(PathBuf::new()),
                Err(reason) => Err(format!("no {name} ({}): {remedy}", reason.trim().replace('\n', " "))),
            },
        }
    }
}

impl Places {
    /// The programs of a name on PATH, in its order.
    fn on_path<'a>(&'a self, program: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        std::env::split_paths(&self.path).map(move |folder| folder.join(program)).filter(|path| path.is_file())
    }
}

impl List {
    /// What `.ci/programs` has installed from this very list, or a program on PATH with the same versions.
    fn find(&self, places: &Places, program: &str, packages: &[&str]) -> Result<PathBuf, String> {
        if let Some(folder) = places.installed.as_ref().map(|folder| folder.join(self.name)) {
            let path = folder.join("bin").join(program);
            // The list is put there last; the machine's Python may have gone since.
            let complete = fs::read_to_string(folder.join("requirements.txt")).is_ok_and(|text| text == self.text);
            if complete && folder.join("bin/python").is_file() && path.is_file() {
                return Ok(path);
            }
        }
        let versions: Vec<&str> = packages.iter().map(|package| self.version(package)).collect();
        let fits = |path: &PathBuf| {
            let output =
                interpreter(path).map(|python| Command::new(python).args(["-c", VERSIONS]).args(packages).output());
            output.and_then(Result::ok).is_some_and(|output| words(&output.stdout).eq(versions.iter().copied()))
        };
        places.on_path(program).find(fits).ok_or_else(|| {
            let wanted = packages.iter().zip(&versions).map(|(package, version)| format!("{package} {version}"));
            let wanted = wanted.collect::<Vec<_>>().join(" and ").replacen(" and ", " with ", 1);
            lacking(&wanted, places.on_path(program).next().as_deref(), self.name)
        })
    }

    pub(crate) fn version(&self, package: &str) -> &'static str {
        let lines = self.text.lines().filter_map(|line| line.trim().split_once("=="));
        let version = lines.filter(|(name, _)| *name == package).map(|(_, version)| version).next();
        version.unwrap_or_else(|| panic!("the list for {} has no version of {package}", self.name))
    }
}

/// The Python that runs a program: itself, or what its first line names.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let is_python = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    if is_python(program) {
        return Some(program.to_owned());
    }
    let text = fs::read(program).ok()?;
    let line = String::from_utf8_lossy(text.split(|byte| *byte == b'\n').next()?).into_owned();
    // A wrapper of another kind does not show what it starts.
    Some(PathBuf::from(line.strip_prefix("#!")?.trim())).filter(|path| is_python(path))
}

fn guard(places: &Places) -> Result<PathBuf, String> {
    let version = guard_version();
    let fits = |path: &PathBuf| {
        let output = Command::new(path).arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| words(&output.stdout).eq([GUARD, version]))
    };
    let own = places.installed.as_ref().map(|folder| folder.join("guard/bin/cfn-guard"));
    let own = own.into_iter().filter(|path| path.is_file());
    let found = own.chain(places.on_path(GUARD)).find(fits);
    found.ok_or_else(|| lacking(&format!("{GUARD} {version}"), places.on_path(GUARD).next().as_deref(), "guard"))
}

/// Debian installs servers side by side, off PATH, and has a program for all of them on it.
fn postgres(places: &Places) -> Result<PathBuf, String> {
    let servers = |common: PathBuf| {
        let folder = common.parent().and_then(Path::parent).map(|prefix| prefix.join("lib/postgresql"));
        let versions = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().map_while(Result::ok);
        let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let mut versions: Vec<_> = versions.map(|entry| entry.path()).filter(|path| version(path).is_some()).collect();
        versions.sort_by_key(version);
        versions.into_iter().rev().map(|folder| folder.join("bin/pg_ctl"))
    };
    let mut found = places.on_path("pg_ctl").chain(places.on_path(POSTGRES_COMMON).flat_map(servers));
    found.find(|path| path.is_file()).ok_or_else(|| {
        let package = debian_package(POSTGRES_COMMON).unwrap_or("postgresql");
        format!("no pg_ctl on PATH or in lib/postgresql: sudo apt-get install {package}")
    })
}

pub(crate) fn guard_version() -> &'static str {
    let version = MACHINE.lines().find_map(|line| line.strip_prefix("readonly GUARD="));
    version.expect(".ci/machine.sh has the version of cfn-guard")
}

/// The package that `.ci/machine.sh` installs for a program.
pub(crate) fn debian_package(program: &str) -> Option<&'static str> {
    let pairs = MACHINE.lines().filter_map(|line| line.trim().strip_prefix("need ")?.split_once(' '));
    pairs.filter(|(name, _)| *name == program).map(|(_, package)| package).next()
}

fn lacking(wanted: &str, other: Option<&Path>, installed_as: &str) -> String {
    let instead = other.map(|path| format!(" ({} does not fit)", path.display())).unwrap_or_default();
    format!("no {wanted}{instead}: .ci/programs {installed_as}")
}

fn words(output: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(output).unwrap_or_default().split_whitespace()
}
