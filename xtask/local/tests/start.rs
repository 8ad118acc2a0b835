//! The program `local` as it is started: what it does itself, and how it starts the whole tool.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One at a time: a process that another test starts would hold the files of this one open, and nobody may run a program
/// that is open for writing.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder of programs in which there is `local`, and maybe a script in the place of `xtask`.
struct Folder(tempfile::TempDir, #[expect(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Folder {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_local"), folder.path().join("local")).unwrap();
        Self(folder, alone)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs `local`; cargo is the script `cargo` in this folder.
    fn run(&self, arguments: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut command = Command::new(self.path("local"));
        command.args(arguments).current_dir(root).env("CARGO", self.path("cargo")).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_and_mistakes_start_nothing() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("release"), "{help:?}");
    let mistake = folder.run(&["relaese"]);
    assert_eq!(mistake.status.code(), Some(2));
    assert!(text(&mistake.stderr).contains("release"), "{mistake:?}");
    let completions = folder.run(&["completions", "bash"]);
    assert!(completions.status.success() && !completions.stdout.is_empty(), "{completions:?}");
}

#[test]
fn a_command_that_needs_aws_compiles_the_whole_tool_once() {
    let folder = Folder::new();
    let tool = folder.path("xtask");
    // As cargo does: progress on standard error, the program, and what it is made of.
    folder.script(
        "cargo",
        &format!(
            "printf '   Compiling a v1.0.0\\n    Building [==> ] 1/2: a\\r' >&2\n\
             printf '#!/bin/sh\\necho \"$@\"; exit 4\\n' >{tool}\nchmod +x {tool}\n\
             echo '{tool}: /dev/null' >{tool}.d\necho \"$@\" >>{log}",
            tool = tool.display(),
            log = folder.path("log").display()
        ),
    );
    let first = folder.run(&["status", "dev", "--json"]);
    assert_eq!((first.status.code(), text(&first.stdout)), (Some(4), "status dev --json\n"));
    assert!(text(&first.stderr).starts_with("compiling the release tool's part for AWS, once: "), "{first:?}");
    assert!(fs::read_to_string(folder.path("log")).unwrap().starts_with("build --package xtask "));
    let second = folder.run(&["release", "dev"]);
    assert_eq!((text(&second.stdout), text(&second.stderr)), ("release dev\n", ""));
    assert_eq!(fs::read_to_string(folder.path("log")).unwrap().lines().count(), 1, "it was fresh");
}

#[test]
fn a_tool_that_does_not_compile_is_an_error_with_the_compiler_s_words() {
    let folder = Folder::new();
    folder.script("cargo", "printf '   Compiling a v1.0.0\\nerror[E0425]: cannot find value\\n' >&2\nexit 101");
    let failed = folder.run(&["status"]);
    assert_eq!(failed.status.code(), Some(101));
    assert!(text(&failed.stderr).ends_with("error[E0425]: cannot find value\n"), "{failed:?}");
    let quiet = folder.run(&["status", "--quiet"]);
    assert_eq!(text(&quiet.stderr), "error[E0425]: cannot find value\n");
}

#[test]
fn an_engine_behind_tls_or_ssh_is_for_the_whole_tool() {
    let folder = Folder::new();
    folder.script("cargo", "exit 77");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for (host, code) in [("ssh://somewhere", 77), ("tcp://127.0.0.1:1", 3)] {
        let mut command = Command::new(folder.path("local"));
        let command = command.args(["release", "--local"]).current_dir(root).env("CARGO", folder.path("cargo"));
        let ended = command.env("DOCKER_HOST", host).env_remove("DOCKER_TLS_VERIFY").output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{host}: {ended:?}");
    }
}
