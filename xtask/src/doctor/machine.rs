//! This machine: the Docker engine, the compiler for the image's platform, and free disk space for both.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use super::{CheckResult, NamedResult};
use crate::context::Context;
use image::docker::{self, About, Engine, MAKE_ROOM, megabytes};
use machine::child::{self, ChildError};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;

const GIGABYTE: u64 = 1_000_000_000;
/// For an engine that compiles: the base image with the compiler has 1.5 GB, and compiling the dependencies writes as much
/// again; twice that, because BuildKit drops its cache when space runs low.
const ENGINE_COMPILES: u64 = 5 * GIGABYTE;
/// For an engine that only copies a binary into an image: a few megabytes, and a reserve.
const ENGINE_COPIES: u64 = GIGABYTE;
/// For a first compilation with all dependencies.
const FIRST_BUILD: u64 = 2 * GIGABYTE;
/// For a later compilation.
const NEXT_BUILD: u64 = GIGABYTE;

/// Checks the Docker engine; with `compiles_here` it only has to copy a finished binary.
pub(super) async fn docker_engine(context: &Context, compiles_here: Option<bool>) -> Vec<NamedResult> {
    let engine = match docker::connect(&context.vars).await {
        Ok(engine) => engine,
        Err(failure) => return vec![("docker", CheckResult::Problem(failure))],
    };
    let about = docker::about(&engine).await;
    let mut findings = vec![("docker", check_engine(&engine, &about))];
    findings.extend(engine.warnings.iter().map(|warning| ("docker", CheckResult::Note(warning.clone(), None))));
    let folder = about.folder.filter(|_| engine.host.is_socket());
    findings.extend(folder.and_then(|folder| engine_space(&folder, compiles_here == Some(false))));
    findings
}

fn check_engine(engine: &Engine, about: &About) -> CheckResult {
    let mut detail = format!("version {} at {}", engine.version, engine.host);
    if let Some(reason) = no_buildkit(about) {
        let hint =
            "use Docker Engine 23 or newer (https://docs.docker.com/engine/install/), or point DOCKER_HOST at one";
        return CheckResult::problem(format!("this engine cannot build the image: {detail}"), reason, hint);
    }
    if about.rootless {
        detail.push_str(", rootless");
    }
    if !engine.host.is_local() {
        detail.push_str(", on another machine");
    }
    CheckResult::Passed(detail)
}

/// Why the engine has no BuildKit, if it has none.
fn no_buildkit(about: &About) -> Option<&'static str> {
    if about.is_podman {
        Some("Podman has no BuildKit")
    } else if about.windows {
        Some("it runs Windows containers")
    } else {
        // BuildKit came with API 1.39; an engine that does not report its version is taken for new.
        about.api.filter(|api| *api < (1, 39)).map(|_| "it is too old for BuildKit")
    }
}

/// Checks compiler, tools and disk space; `None` is a template that runs no image.
pub(super) async fn compiler(context: &Context, platform: Option<Platform>) -> Vec<NamedResult> {
    let Some(platform) = platform else { return Vec::new() };
    let mut findings = vec![("target", compile_target(platform, context).await.into())];
    if platform.is_host() {
        findings.push(("tools", tools(platform, &context.vars)));
        findings.extend(compiler_space(context, platform));
    }
    findings
}

/// Whether the compiler has the platform's standard library, or the Docker engine compiles.
async fn compile_target(platform: Platform, context: &Context) -> Result<String, Failure> {
    if !platform.is_host() {
        return Ok("the Docker engine compiles, in the stage `builder` of docker/Dockerfile".to_owned());
    }
    let fail = |reason: String, hint: String| {
        Failure::new(Exit::Preflight, FailureKind::Target, "this machine cannot compile the service")
            .resource(platform.triple())
            .reason(reason)
            .hint(hint)
    };
    let mut rustc = Command::new("rustc");
    let rustc = rustc.args(["--print", "target-libdir", "--target", platform.triple()]).current_dir(&context.root);
    let folder = child::run(rustc, super::CHECK_TIMEOUT).await.map_err(|refusal| {
        let hint = if refusal == ChildError::NotFound { "install Rust: https://rustup.rs" } else { "rustc --version" };
        fail(format!("rustc: {refusal}"), hint.to_owned())
    })?;
    if Path::new(folder.trim()).is_dir() {
        Ok(format!("{} is installed", platform.triple()))
    } else {
        Err(fail(
            "its standard library is not installed".to_owned(),
            format!("rustup target add {}", platform.triple()),
        ))
    }
}

/// Checks for cargo and the linker: the one in cargo's variable, else the compiler's default for Linux.
fn tools(platform: Platform, vars: &BTreeMap<String, String>) -> CheckResult {
    let variable = format!("CARGO_TARGET_{}_LINKER", platform.triple().to_uppercase().replace('-', "_"));
    let linker = vars.get(&variable).filter(|value| !value.is_empty()).map_or("cc", String::as_str);
    let folders = vars.get("PATH").map(String::as_str).unwrap_or_default();
    for (program, hint) in [
        ("cargo", "install Rust: https://rustup.rs"),
        (linker, "install a linker: sudo apt-get install gcc, or your system's package of a C compiler"),
    ] {
        // An absolute path stays as it is when it is joined.
        let found = std::env::split_paths(folders).any(|folder| folder.join(program).is_file());
        if !found {
            let message = format!("{program} is not in PATH");
            return CheckResult::problem(message, "this machine needs it to compile the service", hint);
        }
    }
    CheckResult::Passed(format!("cargo and {linker} are installed"))
}

/// Disk space for the engine in its folder; `None` if that is not on this machine.
fn engine_space(folder: &Path, compiles: bool) -> Option<NamedResult> {
    if !folder.is_dir() {
        return None;
    }
    let needed = if compiles { ENGINE_COMPILES } else { ENGINE_COPIES };
    Some(("disk", disk_space(folder, needed, "the engine", MAKE_ROOM)?))
}

/// Disk space for cargo in its target folder.
fn compiler_space(context: &Context, platform: Platform) -> Option<NamedResult> {
    let set = context.vars.get("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    let folder = context.root.join(set.map_or("target", String::as_str));
    let first = !folder.join(platform.triple()).join("release").is_dir();
    let needed = if first { FIRST_BUILD } else { NEXT_BUILD };
    Some(("disk", disk_space(&folder, needed, "the compiler", "make room, for example: cargo clean")?))
}

fn disk_space(folder: &Path, needed: u64, purpose: &str, hint: &str) -> Option<CheckResult> {
    let free = free_bytes(folder)?;
    let place = format!("{} free for {purpose} in {}", megabytes(free), folder.display());
    Some(if free < needed {
        CheckResult::problem(place, format!("it may need {}", megabytes(needed)), hint)
    } else {
        CheckResult::Passed(place)
    })
}

/// Bytes available to the user where the folder is, or will be.
#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let about = rustix::fs::statvfs(existing).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_buildkit_is_reported() {
        let fine = About { api: Some((1, 52)), ..About::default() };
        assert_eq!(no_buildkit(&fine), None);
        assert_eq!(no_buildkit(&About::default()), None);
        assert_eq!(no_buildkit(&About { api: Some((1, 38)), ..About::default() }), Some("it is too old for BuildKit"));
        assert_eq!(no_buildkit(&About { is_podman: true, ..fine.clone() }), Some("Podman has no BuildKit"));
        assert_eq!(no_buildkit(&About { windows: true, ..fine }), Some("it runs Windows containers"));
    }

    #[test]
    fn a_missing_linker_is_reported_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let mut vars = BTreeMap::from([("PATH".to_owned(), format!("/nonexistent:{path}"))]);
        let missed = |vars: &BTreeMap<String, String>| match tools(Platform::Arm64, vars) {
            CheckResult::Problem(failure) => failure.message,
            found => format!("{found:?}"),
        };
        assert_eq!(missed(&vars), "cargo is not in PATH");
        std::fs::write(folder.path().join("cargo"), "").unwrap();
        assert_eq!(missed(&vars), "cc is not in PATH");
        std::fs::write(folder.path().join("cc"), "").unwrap();
        assert_eq!(missed(&vars), "Passed(\"cargo and cc are installed\")");
        vars.insert("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER".to_owned(), "/nonexistent/ld".to_owned());
        assert_eq!(missed(&vars), "/nonexistent/ld is not in PATH");
    }

    #[cfg(unix)]
    #[test]
    fn too_little_disk_space_is_reported_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("not/yet");
        assert!(matches!(disk_space(&later, 1, "the compiler", "cargo clean"), Some(CheckResult::Passed(_))));
        let Some(CheckResult::Problem(failure)) = disk_space(&later, u64::MAX, "the compiler", "cargo clean") else {
            panic!("no disk has that much");
        };
        assert!(failure.message.contains("MB free for the compiler in "), "{}", failure.message);
        assert_eq!(failure.hint.as_deref(), Some("cargo clean"));
    }

    #[test]
    fn a_folder_on_another_machine_is_not_checked() {
        assert!(engine_space(Path::new("/nonexistent/docker"), true).is_none());
    }
}
