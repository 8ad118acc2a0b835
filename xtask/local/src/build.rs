//! The phases of a build: connecting to the engine, compiling, building the image.

use std::collections::BTreeMap;

use anyhow::Result;
use image::artifact::{self, Artifact};
use image::docker::build::Image;
use image::docker::{self, Engine, Owner, megabytes};
use image::git;
use model::outcome::Failure;
use model::parameters::Platform;

use crate::cli::Source;
use crate::context::Context;
use crate::ui::Ui;

/// Connects to the engine.
///
/// # Errors
/// The engine does not answer.
pub async fn engine(vars: &BTreeMap<String, String>, ui: &Ui) -> Result<Engine, Failure> {
    let phase = ui.phase("engine");
    let engine = docker::connect(vars).await?;
    engine.warnings.iter().for_each(|warning| ui.warn(warning));
    phase.done(&format!("version {} at {}", engine.version, engine.host));
    Ok(engine)
}

/// As [`artifact::prepare`].
///
/// # Errors
/// Code that does not compile, or files that cannot be read.
pub async fn compile(context: &Context, platform: Platform, source: &Source, ui: &Ui) -> Result<Artifact> {
    let phase = ui.phase("compile");
    let compiler = source.compiler();
    let artifact = artifact::prepare(context.workspace(), platform, &compiler, &|step| phase.report(step)).await?;
    let tag = &artifact.tag;
    if artifact.is_compiled() {
        phase.done(&format!("{}, {tag}", platform.triple()));
    } else {
        phase.skipped(&format!("the engine compiles for {}; {tag}", platform.oci()));
    }
    Ok(artifact)
}

/// As [`Artifact::image`].
///
/// # Errors
/// The Docker engine fails.
pub async fn build_image(artifact: Artifact, engine: &Engine, owner: &Owner, ui: &Ui) -> Result<(Image, bool)> {
    let phase = ui.phase("image");
    let reference = artifact.reference(&owner.service);
    let (image, built) = artifact.image(engine, owner, &|step| phase.report(step)).await?;
    if built {
        phase.done(&format!("{reference}, {}, {}", image.platform, megabytes(image.size)));
    } else {
        phase.skipped(&format!("{reference} exists, {}", megabytes(image.size)));
    }
    Ok((image, built))
}

/// The commit of a clean work tree, for the record only: a failure of git is a warning.
pub async fn commit_for_record(context: &Context, ui: &Ui) -> Option<String> {
    git::clean_commit(&context.root).await.unwrap_or_else(|failure| {
        let Failure { reason, hint, .. } = &failure;
        let [reason, hint] = [reason, hint].map(|part| part.as_deref().unwrap_or_default());
        ui.warn(&format!("no commit is recorded: {failure}: {reason}\nnext: {hint}"));
        None
    })
}
