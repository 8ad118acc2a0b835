//! From an artifact to an image in the registry that has a digest.

use anyhow::Result;

use crate::artifact::Artifact;
use crate::context::Context;
use crate::docker::push::{self, Credentials, Pushed};
use crate::docker::{Engine, megabytes};
use crate::ecr::{self, Repository};
use crate::image::{Digest, ImageReference};
use crate::preflight::Ready;
use crate::ui::Ui;

/// What the registry has of a release before anything is pushed.
pub(crate) struct Registry {
    repository: Option<Repository>,
    /// Of the image under the content tag.
    digest: Option<Digest>,
}

/// An image that a stack can be given.
pub(crate) struct Published {
    /// By digest.
    pub(crate) image: ImageReference,
    pub(crate) pushed: Pushed,
}

/// What is published.
pub(crate) struct Source<'a> {
    pub(crate) artifact: Artifact,
    /// The commit of a clean work tree.
    pub(crate) commit: Option<&'a str>,
}

/// The tag that names a commit.
fn commit_tag(commit: &str) -> String {
    format!("commit-{}", commit.get(..12).unwrap_or(commit))
}

impl Registry {
    pub(crate) fn has_image(&self) -> bool {
        self.digest.is_some()
    }

    pub(crate) fn has_repository(&self) -> bool {
        self.repository.is_some()
    }
}

/// Asks whether the registry has the image under `tag`.
///
/// # Errors
/// What AWS says.
pub(crate) async fn look(ready: &Ready, name: &str, tag: &str) -> Result<Registry> {
    let client = &ready.clients.ecr;
    let (repository, digest) = tokio::try_join!(ecr::find(client, name), ecr::digest(client, name, tag))?;
    Ok(Registry { repository, digest })
}

/// Brings the artifact into the registry: nothing is built or pushed that is there already.
///
/// # Errors
/// What engine, registry or AWS say.
pub(crate) async fn publish(
    context: &Context,
    ready: &Ready,
    engine: &Engine,
    source: Source<'_>,
    found: Registry,
    registry: Option<&str>,
    ui: &Ui,
) -> Result<Published> {
    let name = &context.deployment.service.name;
    let Source { artifact, commit } = source;
    let tag = artifact.tag.clone();
    if let (Some(repository), Some(digest)) = (&found.repository, &found.digest) {
        let image = repository.image(&tag, registry).pinned(digest);
        ui.phase("image").skipped(&format!("the registry has {name}:{tag}"));
        ui.phase("push").skipped(digest.as_str());
        return Ok(Published { image, pushed: Pushed::default() });
    }
    // The registry is opened while the image is built: a refusal shows before minutes are spent.
    let ((image, _), (repository, credentials)) =
        tokio::try_join!(artifact.image(engine, name, ui), open(ready, name, &found, ui))?;
    let phase = ui.phase("push");
    let target = repository.image(&tag, registry);
    let push = async |target: &ImageReference| match push::push(
        &engine.docker,
        &image.reference,
        target,
        &credentials,
        &phase,
    )
    .await
    {
        Err(error) if push::is_tag_taken(&error) => Ok(Pushed::default()),
        ended => ended,
    };
    // Where the tag is taken, someone released the same content at the same moment; it names it, whoever pushed.
    let pushed = push(&target).await?;
    let digest = push::digest(&engine.docker, &target, &credentials).await?;
    if let Some(commit) = commit {
        // A tag that is taken names the first image of this commit, and stays with it.
        push(&repository.image(&commit_tag(commit), registry)).await?;
    }
    let layers = format!("layers: {} pushed, {} already there", pushed.layers, pushed.layers_present);
    phase.done(&format!("{digest}, {}, {layers}", megabytes(pushed.bytes)));
    Ok(Published { image: target.pinned(&digest), pushed })
}

/// The repository, made if need be, and a password for it.
async fn open(ready: &Ready, name: &str, found: &Registry, ui: &Ui) -> Result<(Repository, Credentials)> {
    let client = &ready.clients.ecr;
    let repository = async {
        match &found.repository {
            Some(repository) => Ok(repository.clone()),
            None => {
                let phase = ui.phase("registry");
                let repository = ecr::create(client, name).await?;
                phase.done(&format!("repository {name} created: immutable tags, scanned on push"));
                Ok(repository)
            }
        }
    };
    tokio::try_join!(repository, ecr::credentials(client))
}
