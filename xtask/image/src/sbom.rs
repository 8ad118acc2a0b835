//! The SBOM of an image: CycloneDX 1.6 of the packages that are linked into its program.
//!
//! It is the same for the same sources: nothing in it depends on when, where or by whom it is written.

mod document;
mod tree;

use std::time::Duration;

use anyhow::Result;
use tokio::process::Command;

use crate::cargo::{self, Workspace};
pub use document::{Summary, summary};
use machine::child;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::provenance::LOCK;
use model::reference::ImageReference;

/// The registry of packages that name no other, as `Cargo.lock` writes it.
const DEFAULT_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// How long cargo may take: it may wait for another one, or fetch packages.
const LIMIT: Duration = Duration::from_secs(300);

/// Writes the SBOM of `image`, which is named by digest.
///
/// # Errors
/// No Cargo.lock, or a `cargo tree` that fails.
pub async fn write(workspace: Workspace<'_>, platform: Platform, image: &ImageReference) -> Result<Vec<u8>> {
    let lock = lock(workspace)?;
    let mut command = Command::new("cargo");
    command.args(["tree", "--locked", "--package", cargo::SERVICE, "--target", platform.triple()]);
    // Build scripts and macros are not in the program.
    command.args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", tree::FORMAT]);
    command.args(cargo::features(workspace)).current_dir(workspace.root);
    let fail = |reason: String| {
        Failure::new(Exit::Failed, FailureKind::Sbom, "cargo cannot list the packages of the image")
            .resource(format!("package {}, target {}", cargo::SERVICE, platform.triple()))
            .reason(reason)
            .hint(format!("cargo tree --locked --package {} --edges normal,no-proc-macro", cargo::SERVICE))
    };
    let tree = child::run(&mut command, LIMIT).await.map_err(|refusal| fail(refusal.to_string()))?;
    let tree = tree::parse(&tree, &lock).map_err(fail)?;
    let document = document::compose(&workspace.service.name, image, &tree);
    Ok(document.to_string().into_bytes())
}

/// The text of Cargo.lock.
///
/// # Errors
/// A file that cannot be read.
pub fn lock(workspace: Workspace<'_>) -> Result<String, Failure> {
    std::fs::read_to_string(workspace.root.join(LOCK)).map_err(|error| {
        Failure::new(Exit::Failed, FailureKind::Sbom, "the packages of the image cannot be listed")
            .resource(LOCK)
            .reason(error.to_string())
            .hint("cargo generate-lockfile, and commit it")
    })
}

#[cfg(test)]
mod tests;
