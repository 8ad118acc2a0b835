//! Copies of this repository that tests may change, and the finished release tool run inside them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use requirements::{GIT, Programs};
use serde_json::Value;

use crate::conditions::ENGINE;

/// The numbers of the copies that tests hold. A copy and what is compiled in it stay where they are, so that the next test
/// compiles the changed lines only.
static HELD: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Where `deploy.toml` expects the emulator.
const REHEARSAL: &str = "127.0.0.1:4570";

/// Settings of cargo with which the service links in a tenth of the time: what it is made for takes its program as it is.
const QUICK: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// A copy, held by one test at a time.
pub(crate) struct Checkout {
    root: PathBuf,
    target: PathBuf,
    programs: Programs,
    _held: Held,
}

/// The right to use the copy of a number.
struct Held(usize);

/// How a command of the release tool ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The one JSON object on stdout.
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Checkout {
    /// Brings the first copy that nobody holds to this repository's present state, uncommitted changes included, as one commit.
    pub(crate) fn fresh(programs: &Programs) -> Result<Self> {
        // What the finished tool makes of the copy is an image.
        programs.assert_named(ENGINE);
        let held = Held::first();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is a folder of the workspace")?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("checkout-{}", held.0));
        let (root, target) = (folder.join("checkout"), folder.join("target"));
        let checkout = Self { root, target, programs: programs.clone(), _held: held };
        fs::create_dir_all(&checkout.root)?;
        let wanted = checkout.files(source)?;
        for path in &wanted {
            copy(&source.join(path), &checkout.root.join(path)).with_context(|| format!("cannot copy {path}"))?;
        }
        if !checkout.root.join(".git").exists() {
            checkout.git(&checkout.root, &["init", "--quiet"])?;
        }
        for path in checkout.files(&checkout.root)?.difference(&wanted) {
            fs::remove_file(checkout.root.join(path))?;
        }
        // What a run that was cut off has left, and git ignores.
        checkout.git(&checkout.root, &["clean", "-ffdqX"])?;
        checkout.commit("As it is")?;
        Ok(checkout)
    }

    /// Replaces text that must stand in a file.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) -> Result<()> {
        let file = self.root.join(path);
        let text = self.read(path)?;
        ensure!(text.contains(from), "{path} has no {from:?} to replace");
        fs::write(file, text.replace(from, to)).with_context(|| format!("cannot write {path}"))
    }

    /// What the test that holds it may use.
    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Where cargo keeps what it compiles for it.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Settings of cargo: where it keeps what it compiles, and how it compiles the service.
    pub(crate) fn cargo(&self) -> Vec<(&'static str, OsString)> {
        let target = ("CARGO_TARGET_DIR", self.target.clone().into());
        QUICK.into_iter().map(|(name, value)| (name, value.into())).chain([target]).collect()
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> Result<()> {
        fs::write(self.root.join(path), text).with_context(|| format!("cannot write {path}"))
    }

    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// Moves the environment `rehearsal` to an emulator at `authority`.
    pub(crate) fn rehearse_at(&self, authority: &str) -> Result<()> {
        self.edit("deploy.toml", REHEARSAL, authority)?;
        self.commit("Move the rehearsal")
    }

    pub(crate) fn commit(&self, message: &str) -> Result<()> {
        self.git(&self.root, &["add", "--all"])?;
        let author = ["-c", "user.name=suite", "-c", "user.email=suite@localhost", "-c", "commit.gpgsign=false"];
        self.git(&self.root, &[&author[..], &["commit", "--quiet", "--allow-empty", "--message", message]].concat())?;
        Ok(())
    }

    /// Runs the release tool with `--json` in the copy.
    pub(crate) fn xtask(&self, arguments: &[&str]) -> Result<Ended> {
        self.xtask_with(arguments, "")
    }

    /// As [`Self::xtask`], with this text on standard input.
    pub(crate) fn xtask_with(&self, arguments: &[&str], input: &str) -> Result<Ended> {
        // Whoever is measured meanwhile is not to wait for what a release computes; elsewhere that is another machine.
        let mut command = Command::new("nice");
        // What follows -- is not the tool's.
        command.args(["-n", "10", env!("CARGO_BIN_EXE_xtask"), "--json"]).args(arguments).current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            // Neither this machine's account nor the settings of the cargo that runs the suite.
            let text = name.to_string_lossy();
            if ["AWS_", "CARGO_"].iter().any(|prefix| text.starts_with(prefix)) && text != "CARGO_HOME" {
                command.env_remove(&name);
            }
        }
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("NO_COLOR", "1");
        command.envs(self.cargo());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the release tool")?;
        // One that reads nothing may be gone already.
        drop(child.stdin.take().context("a pipe")?.write_all(input.as_bytes()));
        let Output { status, stdout, stderr } = child.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let json = serde_json::from_slice(&stdout).with_context(|| {
            format!("not one JSON object ({status}):\n{}\n{stderr}", String::from_utf8_lossy(&stdout))
        })?;
        keeps_to_the_schema(&json)?;
        Ok(Ended { code: status.code(), json, stderr })
    }

    /// What git tracks, and what it would.
    fn files(&self, folder: &Path) -> Result<BTreeSet<String>> {
        let list = self.git(folder, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let paths = list.split('\0').filter(|path| folder.join(path).is_file());
        Ok(paths.map(str::to_owned).collect())
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let output =
            self.programs.command(GIT).args(arguments).current_dir(folder).output().context("cannot start git")?;
        if !output.status.success() {
            bail!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Held {
    fn first() -> Self {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (1..).find(|number| !held.contains(number)).expect("there are fewer tests than numbers");
        held.insert(number);
        Self(number)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl Ended {
    /// The command's success, or all that it said.
    pub(crate) fn well(self) -> Result<Value> {
        ensure!(
            self.code == Some(0) && self.json["ok"] == true,
            "ended with {:?}: {}\n{}",
            self.code,
            self.json,
            self.stderr
        );
        Ok(self.json)
    }
}

/// Runs the finished tool in a folder that needs no repository, on an emulator.
pub(crate) fn xtask(folder: &Path, arguments: &[&str]) -> Result<Ended> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).arg("--json").current_dir(folder).env_clear();
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let Output { status, stdout, stderr } = command.output().context("cannot start the release tool")?;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let json: Value =
        serde_json::from_slice(&stdout).with_context(|| format!("not one JSON object ({status}):\n{stderr}"))?;
    keeps_to_the_schema(&json)?;
    Ok(Ended { code: status.code(), json, stderr })
}

/// Checks what `--json` has printed.
pub(crate) fn keeps_to_the_schema(object: &Value) -> Result<()> {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/result.schema.json"))?;
    let validator = jsonschema::draft202012::new(&schema)?;
    let errors: Vec<String> = validator.iter_errors(object).map(|e| format!("{}: {e}", e.instance_path())).collect();
    ensure!(errors.is_empty(), "against docs/result.schema.json:\n{}\n{object}", errors.join("\n"));
    Ok(())
}

/// Leaves a file alone that is the same already, so that cargo sees nothing new.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::copy(from, to)?;
    Ok(())
}
