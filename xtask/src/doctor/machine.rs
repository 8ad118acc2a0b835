//! Whether this machine can compile for the image's platform.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use super::{Finding, Found, space};
use crate::context::Context;
use machine::child;
use machine::child::ChildError;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;

/// Looks at compiler, tools and space; `None` where there is no image to make.
pub(super) async fn look(context: &Context, platform: Option<Platform>) -> Vec<Finding> {
    let Some(platform) = platform else { return Vec::new() };
    let mut findings = vec![("target", target(platform, context).await.into())];
    if platform.is_host() {
        findings.push(("tools", tools(platform, &context.vars)));
        findings.extend(space::for_compiling(context, platform));
    }
    findings
}

/// Whether the compiler has the platform's standard library, or compiling is left to the engine.
async fn target(platform: Platform, context: &Context) -> Result<String, Failure> {
    if !platform.is_host() {
        return Ok("the engine compiles, in the stage `builder` of docker/Dockerfile".to_owned());
    }
    let fail = |reason: String, hint: String| {
        Failure::new(Exit::Preflight, FailureKind::Target, "this machine cannot compile the service")
            .resource(platform.triple())
            .reason(reason)
            .hint(hint)
    };
    let mut rustc = Command::new("rustc");
    let rustc = rustc.args(["--print", "target-libdir", "--target", platform.triple()]).current_dir(&context.root);
    let folder = child::run(rustc, super::LOOK).await.map_err(|refusal| {
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

/// Cargo, and the linker that it will call: the variable's, else the compiler's own choice for Linux.
fn tools(platform: Platform, vars: &BTreeMap<String, String>) -> Found {
    let variable = format!("CARGO_TARGET_{}_LINKER", platform.triple().to_uppercase().replace('-', "_"));
    let linker = vars.get(&variable).filter(|value| !value.is_empty()).map_or("cc", String::as_str);
    let folders = vars.get("PATH").map(String::as_str).unwrap_or_default();
    for (program, hint) in [
        ("cargo", "install Rust: https://rustup.rs"),
        (linker, "install a linker: sudo apt-get install gcc, or your system's package of a C compiler"),
    ] {
        // A path is taken as it is, a name is looked for.
        let is_there = std::env::split_paths(folders).any(|folder| folder.join(program).is_file());
        if !is_there {
            let message = format!("{program} is not in PATH");
            return Found::lacking(message, "the service is compiled with it on this machine", hint);
        }
    }
    Found::Fine(format!("cargo and {linker} are there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_that_is_not_there_is_missed_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let mut vars = BTreeMap::from([("PATH".to_owned(), format!("/nonexistent:{path}"))]);
        let missed = |vars: &BTreeMap<String, String>| match tools(Platform::Arm64, vars) {
            Found::Lacking(failure) => failure.message,
            found => format!("{found:?}"),
        };
        assert_eq!(missed(&vars), "cargo is not in PATH");
        std::fs::write(folder.path().join("cargo"), "").unwrap();
        assert_eq!(missed(&vars), "cc is not in PATH");
        std::fs::write(folder.path().join("cc"), "").unwrap();
        assert_eq!(missed(&vars), "Fine(\"cargo and cc are there\")");
        vars.insert("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER".to_owned(), "/nonexistent/ld".to_owned());
        assert_eq!(missed(&vars), "/nonexistent/ld is not in PATH");
    }
}
