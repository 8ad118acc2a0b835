//! Starts a program of this workspace, which cargo compiles first where one of its sources is younger than it.
//!
//! Cargo needs a quarter of a second to find that a tool with four hundred dependencies is up to date, which is more than
//! a release with nothing to do takes. `launch` has no dependencies, so cargo is done with it in a third of that; the
//! times of the files then say the rest. It never guesses: whatever it cannot read, cargo looks at.

mod output;
pub mod progress;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::SystemTime;

use output::Output;
use progress::Steps;

/// What changes a program without being one of its sources.
const SETTINGS: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "xtask/Cargo.toml",
    "xtask/aws/Cargo.toml",
    "xtask/image/Cargo.toml",
    "xtask/launch/Cargo.toml",
    "xtask/local/Cargo.toml",
    "xtask/machine/Cargo.toml",
    "xtask/model/Cargo.toml",
    "crates/config/Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
];

/// Puts the program of the package of this name in this process's place. It lies beside this one. `cargo` is what the
/// variable `CARGO` names.
///
/// Returns only if it cannot be compiled or started, with the code to exit with.
pub fn start(package: &str, arguments: impl Iterator<Item = OsString>, cargo: Option<OsString>) -> u8 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    let arguments: Vec<OsString> = arguments.collect();
    let is_quiet = arguments.iter().any(|argument| ["-q", "--quiet"].iter().any(|quiet| argument == quiet));
    let ended = env::current_exe().and_then(|own| {
        let program = own.with_file_name(format!("{package}{}", env::consts::EXE_SUFFIX));
        if is_fresh(&program, root) != Some(true) {
            let compiled = compile(
                &cargo.unwrap_or_else(|| "cargo".into()),
                package,
                root,
                Output::of(package, program.exists(), is_quiet),
            )?;
            if !compiled.success() {
                return Ok(compiled);
            }
        }
        replace(Command::new(program).args(arguments))
    });
    match ended {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            output::failed(&error);
            1
        }
    }
}

/// Whether the program is younger than everything that it is compiled from; `None` where that cannot be told.
fn is_fresh(program: &Path, root: &Path) -> Option<bool> {
    let time = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let made = time(program)?;
    let noted = fs::read_to_string(program.with_extension("d")).ok()?;
    let settings = SETTINGS.iter().map(|path| root.join(path)).filter(|path| path.exists());
    // Equal times tell nothing: a file may have been written while the compiler read it.
    let mut files = sources(&noted)?.into_iter().chain(settings);
    Some(files.all(|file| time(&file).is_some_and(|changed| changed < made)))
}

/// The files that cargo notes beside what it has made: `TARGET: FILE FILE …`, with `\ ` for a blank in a name.
fn sources(noted: &str) -> Option<Vec<PathBuf>> {
    let (_, files) = noted.lines().next()?.split_once(": ")?;
    let files = files.replace("\\ ", "\0");
    Some(files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect())
}

/// Has cargo compile a package, and shows how far it is.
fn compile(cargo: &OsStr, package: &str, root: &Path, mut output: Output) -> io::Result<ExitStatus> {
    let mut child = Command::new(cargo)
        .args(["build", "--package", package, "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .envs(progress::SHOWN)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let (mut steps, mut bytes) = (Steps::default(), [0; 4096]);
    loop {
        match stderr.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => steps.read(&bytes[..count], |step| output.show(step)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let status = child.wait()?;
    output.end(status.success());
    Ok(status)
}

/// Puts the program in this process's place, so that signals reach it and nothing else.
#[cfg(unix)]
fn replace(command: &mut Command) -> io::Result<ExitStatus> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> io::Result<ExitStatus> {
    command.status()
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
