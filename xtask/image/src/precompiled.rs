//! The service's program, compiled in one job and made an image of in another, which compiles nothing.
//!
//! Beside the program stands what it was compiled from, so that a program of other sources is never taken for these.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::artifact::{self, Compiler};
use crate::cargo::{self, SERVICE, Workspace};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::progress::Reporter;

/// The file that says what the program is.
const ORIGIN: &str = "service.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    /// As OCI names it: `linux/amd64`.
    platform: String,
    /// The tag of its sources.
    source: String,
    /// Whether that tag stands for everything that it was compiled from.
    covered: bool,
}

/// A program that an earlier job compiled from the sources of this work tree.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    pub(crate) file: PathBuf,
    pub(crate) is_covered: bool,
}

/// Compiles the service for this machine's platform, and puts it into a folder. Returns the files' names.
///
/// # Errors
/// Code that does not compile, sources that change meanwhile, or a folder that cannot be written.
pub async fn write(workspace: Workspace<'_>, folder: &Path, report: Reporter<'_>) -> Result<[&'static str; 2]> {
    let platform = Platform::host().filter(|platform| platform.is_host()).ok_or_else(|| {
        Failure::new(Exit::Usage, FailureKind::Platform, "the service cannot be compiled for later jobs here")
            .reason(format!("the image needs a program for Linux on {}", std::env::consts::ARCH))
            .hint("run this on Linux, or let the Docker engine compile: --from-source")
    })?;
    let compiler = Compiler::default();
    let before = artifact::source_tag(workspace, platform, &compiler).await;
    let binary = cargo::compile(workspace, platform, report).await?;
    let after = artifact::source_tag(workspace, platform, &compiler).await;
    let source = before.filter(|before| after.as_ref() == Some(before)).ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Compile, "it is not known what the service was compiled from")
            .resource(workspace.root.display().to_string())
            .reason("its sources or their compiler changed meanwhile, or cannot be read")
            .hint("git status, then the same command again")
    })?;
    let covered = artifact::is_covered(workspace, &binary).await;
    let origin = Origin { platform: platform.oci().to_owned(), source, covered };
    let in_folder = |what: &str| format!("cannot write {what} into {}", folder.display());
    fs::create_dir_all(folder).with_context(|| in_folder("anything"))?;
    fs::copy(&binary, folder.join(SERVICE)).with_context(|| in_folder(SERVICE))?;
    let text = serde_json::to_string(&origin).context("an origin is text")?;
    fs::write(folder.join(ORIGIN), text + "\n").with_context(|| in_folder(ORIGIN))?;
    Ok([SERVICE, ORIGIN])
}

/// The program in a folder, if it is for this platform and of the sources with this tag.
///
/// # Errors
/// It is not, or cannot be read.
pub(crate) fn read(folder: &Path, platform: Platform, source: Option<String>) -> Result<Handed, Failure> {
    let file = folder.join(SERVICE);
    let fail = |reason: String| {
        Failure::new(Exit::Preflight, FailureKind::Compile, "the compiled service cannot be used")
            .resource(file.display().to_string())
            .reason(reason)
            .hint(format!("compile it anew: cargo xtask compile --service --out {}", folder.display()))
    };
    let path = folder.join(ORIGIN);
    let text = fs::read_to_string(&path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    let origin: Origin = serde_json::from_str(&text).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    if origin.platform != platform.oci() {
        return Err(fail(format!("it is for {}, and the image is for {}", origin.platform, platform.oci())));
    }
    match source {
        Some(source) if source == origin.source => {}
        Some(source) => {
            return Err(fail(format!("it was compiled from {}, and this work tree is {source}", origin.source)));
        }
        None => return Err(fail("the sources of this work tree, or their compiler, cannot be read".to_owned())),
    }
    if !file.is_file() {
        return Err(fail("there is no such file".to_owned()));
    }
    Ok(Handed { file, is_covered: origin.covered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_of_these_sources_and_this_platform_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let read = |platform, source: Option<&str>| {
            let read = read(folder.path(), platform, source.map(str::to_owned));
            read.map(|handed| handed.is_covered).map_err(|failure| failure.reason.unwrap_or_default())
        };
        assert!(read(Platform::Amd64, Some("source-1")).unwrap_err().contains("service.json: No such file"));
        fs::write(folder.path().join(ORIGIN), "{}").unwrap();
        assert!(read(Platform::Amd64, Some("source-1")).unwrap_err().contains("missing field"));
        let origin = r#"{"platform":"linux/amd64","source":"source-1","covered":true}"#;
        fs::write(folder.path().join(ORIGIN), origin).unwrap();
        assert_eq!(read(Platform::Amd64, Some("source-1")).unwrap_err(), "there is no such file");
        fs::write(folder.path().join(SERVICE), "").unwrap();
        assert_eq!(read(Platform::Amd64, Some("source-1")), Ok(true));
        assert!(read(Platform::Arm64, Some("source-1")).unwrap_err().contains("for linux/amd64"));
        assert!(read(Platform::Amd64, Some("source-2")).unwrap_err().contains("work tree is source-2"));
        assert!(read(Platform::Amd64, None).unwrap_err().contains("cannot be read"));
    }
}
