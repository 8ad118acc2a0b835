//! Whether there is room where the engine and the compiler write.

use std::path::Path;

use super::{Finding, Found};
use crate::context::Context;
use image::docker::{MAKE_ROOM, megabytes};
use model::parameters::Platform;

const GIGABYTE: u64 = 1_000_000_000;
/// What an engine needs that compiles: the base image with a compiler has 1.5 GB, and as much again is written while the
/// service's dependencies are compiled; twice that, because what is left over makes BuildKit drop its cache.
const ENGINE_COMPILES: u64 = 5 * GIGABYTE;
/// What an engine needs that copies a binary into an image: a few megabytes, and room for what else it does meanwhile.
const ENGINE_COPIES: u64 = GIGABYTE;
/// What a first compilation writes: the dependencies, optimized, and what cargo keeps beside them.
const FIRST: u64 = 2 * GIGABYTE;
/// What a compilation writes that finds most of it.
const AGAIN: u64 = GIGABYTE;

/// Room for the engine in its folder; `None` where that is not on this machine.
pub(super) fn for_engine(folder: &Path, compiles: bool) -> Option<Finding> {
    if !folder.is_dir() {
        return None;
    }
    let needed = if compiles { ENGINE_COMPILES } else { ENGINE_COPIES };
    Some(("disk", room(folder, needed, "the engine", MAKE_ROOM)?))
}

/// Room for cargo in its target folder.
pub(super) fn for_compiling(context: &Context, platform: Platform) -> Option<Finding> {
    let set = context.vars.get("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    let folder = context.root.join(set.map_or("target", String::as_str));
    let first = !folder.join(platform.triple()).join("release").is_dir();
    let needed = if first { FIRST } else { AGAIN };
    Some(("disk", room(&folder, needed, "the compiler", "make room, for example: cargo clean")?))
}

fn room(folder: &Path, needed: u64, whom: &str, hint: &str) -> Option<Found> {
    let free = free(folder)?;
    let place = format!("{} free for {whom} in {}", megabytes(free), folder.display());
    Some(if free < needed {
        Found::lacking(place, format!("it may need {}", megabytes(needed)), hint)
    } else {
        Found::Fine(place)
    })
}

/// Bytes that whoever runs this may still write where the folder is, or will be.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let about = rustix::fs::statvfs(existing).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_what_makes_some() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("not/yet");
        assert!(matches!(room(&later, 1, "the compiler", "cargo clean"), Some(Found::Fine(_))));
        let Some(Found::Lacking(failure)) = room(&later, u64::MAX, "the compiler", "cargo clean") else {
            panic!("no disk has that much");
        };
        assert!(failure.message.contains("MB free for the compiler in "), "{}", failure.message);
        assert_eq!(failure.hint.as_deref(), Some("cargo clean"));
    }

    #[test]
    fn a_folder_that_is_on_another_machine_is_not_looked_at() {
        assert!(for_engine(Path::new("/nonexistent/docker"), true).is_none());
    }
}
