//! Compiles the service with this machine's cargo into one static binary.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use config::deployment::Service;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use launch::progress::{self, Step, Steps};
use machine::child;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::progress::{Progress, Reporter};

/// Package and binary of the service.
pub const SERVICE: &str = "api";
/// Makes the binary static.
const FLAG: &str = "-Ctarget-feature=+crt-static";
/// Lines of the compiler's output that a failure shows.
const TAIL: usize = 60;

/// The Cargo workspace of the service, and the settings that it is compiled with.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// The folder of `Cargo.toml` and `deploy.toml`.
    pub root: &'a Path,
    pub service: &'a Service,
    /// The process environment.
    pub vars: &'a BTreeMap<String, String>,
}

/// The part of cargo's messages that names a binary
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>).
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Compiles for `platform` and returns the binary's path.
///
/// # Errors
/// No cargo, or code that does not compile: with the compiler's last lines.
pub async fn compile(workspace: Workspace<'_>, platform: Platform, report: Reporter<'_>) -> Result<PathBuf> {
    let mut child = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", SERVICE, "--bin", SERVICE])
        .args(features(workspace))
        .args(["--target", platform.triple(), "--message-format=json-render-diagnostics"])
        .env_remove("RUSTFLAGS")
        .envs(progress::SHOWN)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace).join("\u{1f}"))
        .current_dir(workspace.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "install Rust: https://rustup.rs",
                _ => "cargo --version",
            };
            Failure::new(Exit::Preflight, FailureKind::Cargo, "cargo cannot be started")
                .reason(error.to_string())
                .hint(hint)
        })?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut messages = String::new();
    let (read, tail) = tokio::join!(stdout.read_to_string(&mut messages), follow(stderr, report));
    read.context("cannot read cargo's messages")?;
    let status = child.wait().await.context("cannot wait for cargo")?;
    if !status.success() {
        return Err(Failure::new(Exit::Failed, FailureKind::Compile, format!("{SERVICE} does not compile ({status})"))
            .resource(format!("package {SERVICE}, target {}", platform.triple()))
            .reason(tail.join("\n"))
            .hint(compile_hint(&tail, platform))
            .into());
    }
    executable(&messages).with_context(|| format!("cargo built no binary {SERVICE}"))
}

/// Cargo's arguments for the features of the service.
pub fn features(workspace: Workspace<'_>) -> Vec<String> {
    let features = workspace.service.features.join(",");
    if features.is_empty() { Vec::new() } else { vec!["--features".to_owned(), features] }
}

/// The compiler's version, flags, features and settings; `None` if the compiler cannot be run.
pub async fn compiler(workspace: Workspace<'_>) -> Option<String> {
    let mut command = Command::new("rustc");
    // Why it cannot be run, cargo will report.
    let version = child::run(command.arg("-vV").current_dir(workspace.root), child::LIMIT).await.ok()?;
    let settings = cargo_home(workspace).and_then(|home| std::fs::read_to_string(home.join("config.toml")).ok());
    // Without the flags that remove this machine's paths.
    let arguments = [vec![FLAG.to_owned()], features(workspace)].concat().join(" ");
    Some(format!("{version}{arguments}\n{}", settings.unwrap_or_default()))
}

/// The flags that make the binary static and the same in every folder.
///
/// A static binary runs `FROM scratch`. The paths of this machine are mapped away because they would end up in panic
/// messages, and so in the image's content tag.
fn flags(workspace: Workspace<'_>) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![FLAG.to_owned(), remap(workspace.root, "/source")];
    flags.extend(cargo_home(workspace).map(|path| remap(&path, "/cargo")));
    flags
}

fn cargo_home(workspace: Workspace<'_>) -> Option<PathBuf> {
    let vars = workspace.vars;
    let home = || vars.get("HOME").map(|home| Path::new(home).join(".cargo"));
    vars.get("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// Reports the compiler's progress and keeps its last lines.
async fn follow(mut stderr: impl tokio::io::AsyncRead + Unpin, report: Reporter<'_>) -> Vec<String> {
    let (mut steps, mut bytes) = (Steps::default(), [0; 4096]);
    let mut tail = VecDeque::with_capacity(TAIL);
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        steps.read(&bytes[..count], |step| {
            let line = match step {
                Step::Counted { done, all, now } => {
                    return report(Progress::Doing(&format!("{done} of {all} crates: {now}")));
                }
                Step::Doing(line) | Step::Line(line) => line,
            };
            report(Progress::Doing(line.trim()));
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        });
    }
    tail.into()
}

fn executable(messages: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    artifacts
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == SERVICE))
        .find_map(|message| message.executable)
}

fn compile_hint(tail: &[String], platform: Platform) -> String {
    let text = tail.join("\n");
    if text.contains("target may not be installed") {
        format!("rustup target add {}", platform.triple())
    } else if text.contains("linker") && text.contains("not found") {
        "install a C toolchain (Debian: apt-get install gcc libc6-dev), or use --from-source".to_owned()
    } else if text.contains("--locked") {
        "cargo update --workspace, and commit Cargo.lock".to_owned()
    } else {
        format!("cargo check --package {SERVICE}")
    }
}

#[cfg(test)]
mod tests {
    use config::deployment::Deployment;

    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"config"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"api"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"api"},"executable":"/t/release/api"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/api")));
        assert_eq!(executable(""), None);
    }

    fn with(features: &[&str]) -> Service {
        let text = format!(
            "[service]\nname = \"api\"\nfeatures = {features:?}\n\
             [environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n"
        );
        Deployment::parse("deploy.toml", &text).unwrap().service
    }

    #[tokio::test]
    async fn features_are_passed_to_cargo_and_change_the_compiler_s_identity() {
        let services = [with(&[]), with(&["a"]), with(&["a", "b"])];
        let vars = BTreeMap::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let [without, one, two] = services.each_ref().map(|service| Workspace { root, service, vars: &vars });
        assert_eq!(features(without), [""; 0]);
        assert_eq!(features(two), ["--features", "a,b"]);
        let [without, one, two] = [without, one, two].map(compiler);
        let (without, one, two) = tokio::join!(without, one, two);
        assert!(without.is_some() && without != one && one != two, "{without:?} {one:?} {two:?}");
    }

    #[test]
    fn a_failure_gets_the_command_that_fixes_it() {
        let hint_for = |line: &str| compile_hint(&[line.to_owned()], Platform::Arm64);
        assert_eq!(
            hint_for("= note: the `x` target may not be installed"),
            "rustup target add aarch64-unknown-linux-gnu"
        );
        assert!(hint_for("error: linker `cc` not found").contains("gcc"));
        assert!(hint_for("error: the lock file needs to be updated but --locked was passed").contains("cargo update"));
        assert_eq!(hint_for("error[E0308]"), "cargo check --package api");
    }
}
