//! The service's program, compiled in one job and made an image of in another, which compiles nothing.
//!
//! Beside the program stands what it was compiled from, so that a program of other sources is never taken for these.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::cargo::SERVICE;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;

/// The file that says what the program is.
const ORIGIN: &str = "service.json";

/// What a program was compiled from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Origin {
    /// As OCI names it: `linux/amd64`.
    pub(crate) platform: String,
    /// The tag of its sources.
    pub(crate) source: String,
    /// Whether that tag stands for everything that it was compiled from.
    pub(crate) covered: bool,
}

/// A program that an earlier job compiled from the sources of this work tree.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    pub(crate) file: PathBuf,
    pub(crate) is_covered: bool,
}

/// Puts a program into a folder, with what it was compiled from. Returns the files' names.
///
/// # Errors
/// A folder that cannot be written.
pub(crate) fn write(folder: &Path, binary: &Path, origin: &Origin) -> Result<[&'static str; 2]> {
    let in_folder = |what: &str| format!("cannot write {what} into {}", folder.display());
    fs::create_dir_all(folder).with_context(|| in_folder("anything"))?;
    fs::copy(binary, folder.join(SERVICE)).with_context(|| in_folder(SERVICE))?;
    let text = serde_json::to_string(origin).context("an origin is text")?;
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
