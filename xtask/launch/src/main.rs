//! What `cargo xtask` starts: the release tool, compiled first where one of its sources is younger than it.
//!
//! Cargo needs a quarter of a second to find that a tool with four hundred dependencies is up to date, which is more than
//! a release with nothing to do takes. This program has no dependencies, so cargo is done with it in a third of that; the
//! times of the files then say the rest. It never guesses: whatever it cannot read, cargo looks at.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::SystemTime;

/// What changes the tool without being one of its sources.
const SETTINGS: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "xtask/Cargo.toml",
    "xtask/aws/Cargo.toml",
    "xtask/image/Cargo.toml",
    "xtask/machine/Cargo.toml",
    "xtask/model/Cargo.toml",
    "crates/config/Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    let tool = env::current_exe().map(|own| own.with_file_name(format!("xtask{}", env::consts::EXE_SUFFIX)));
    let Ok(tool) = tool else { return code(by_cargo("run", root)) };
    if is_fresh(&tool, root) != Some(true) {
        let built = by_cargo("build", root);
        if !built.as_ref().is_ok_and(ExitStatus::success) {
            return code(built);
        }
    }
    code(start(Command::new(tool).args(env::args_os().skip(1))))
}

/// Whether the tool is younger than everything that it is compiled from; `None` where that cannot be told.
fn is_fresh(tool: &Path, root: &Path) -> Option<bool> {
    let time = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let made = time(tool)?;
    let told = fs::read_to_string(tool.with_extension("d")).ok()?;
    let settings = SETTINGS.iter().map(|path| root.join(path)).filter(|path| path.exists());
    // Equal times tell nothing: a file may have been written while the compiler read it.
    let mut files = sources(&told)?.into_iter().chain(settings);
    Some(files.all(|file| time(&file).is_some_and(|changed| changed < made)))
}

/// The files that cargo notes beside what it has made: `TARGET: FILE FILE …`, with `\ ` for a blank in a name.
fn sources(told: &str) -> Option<Vec<PathBuf>> {
    let (_, files) = told.lines().next()?.split_once(": ")?;
    let files = files.replace("\\ ", "\0");
    Some(files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect())
}

/// Has cargo compile the tool, or compile and run it.
fn by_cargo(verb: &str, root: &Path) -> std::io::Result<ExitStatus> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([verb, "--quiet", "--manifest-path"]).arg(root.join("Cargo.toml")).args(["--package", "xtask"]);
    if verb == "run" {
        command.arg("--").args(env::args_os().skip(1));
    }
    command.status()
}

/// Puts the tool in this process's place, so that signals reach it and nothing else.
#[cfg(unix)]
fn start(command: &mut Command) -> std::io::Result<ExitStatus> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn start(command: &mut Command) -> std::io::Result<ExitStatus> {
    command.status()
}

#[expect(clippy::print_stderr, reason = "nothing else of the tool runs yet")]
fn code(ended: std::io::Result<ExitStatus>) -> ExitCode {
    match ended {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: the release tool cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_blanks_in_their_names_are_files_too() {
        let told = "/t/xtask: /a/main.rs /a\\ b/main.rs\n";
        assert_eq!(sources(told).unwrap(), [PathBuf::from("/a/main.rs"), PathBuf::from("/a b/main.rs")]);
        assert_eq!(sources("nonsense"), None);
    }

    #[test]
    fn a_tool_is_fresh_while_nothing_is_younger() {
        let folder = env::temp_dir().join(format!("launch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (tool, source) = (folder.join("xtask"), folder.join("main.rs"));
        let set = |path: &Path, seconds: u64| {
            fs::write(path, "").unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        };
        assert_eq!(is_fresh(&tool, &folder), None, "there is none");
        set(&tool, 20);
        assert_eq!(is_fresh(&tool, &folder), None, "nobody knows what it is made of");
        fs::write(folder.join("xtask.d"), format!("{}: {}\n", tool.display(), source.display())).unwrap();
        assert_eq!(is_fresh(&tool, &folder), Some(false), "its source is gone");
        for (age, fresh) in [(10, true), (20, false), (30, false)] {
            set(&source, age);
            assert_eq!(is_fresh(&tool, &folder), Some(fresh), "{age}");
        }
        set(&source, 10);
        set(&folder.join("Cargo.lock"), 30);
        assert_eq!(is_fresh(&tool, &folder), Some(false), "the lock file is younger");
        fs::remove_dir_all(&folder).unwrap();
    }
}
