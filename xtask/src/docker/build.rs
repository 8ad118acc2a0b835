//! Builds an image with BuildKit and shows its steps while they run.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, BuilderVersion, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use bollard::{Docker, body_try_stream};
use futures_util::StreamExt;

use super::context::BuildContext;
use super::explain;
use crate::outcome::{Exit, Failure};
use crate::plan::Platform;
use crate::ui::Phase;

/// Where the Dockerfile stands, in the repository and in the context.
pub(crate) const DOCKERFILE: &str = "docker/Dockerfile";
/// Marks what this tool made on an engine; the value is the service's name.
pub(crate) const LABEL: &str = "xtask.service";
/// Lines of a failed build that are shown.
const TAIL: usize = 40;

/// An image that the engine has.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// `NAME:TAG`, known to the engine.
    pub(crate) reference: String,
    /// The engine's identity of it: a digest, of its configuration or its manifest as the engine's store has it.
    pub(crate) id: String,
    pub(crate) platform: String,
    /// In bytes, as the engine counts.
    pub(crate) size: u64,
}

/// Looks up an image; `None` when the engine does not have it.
///
/// # Errors
/// What the engine says.
pub(crate) async fn inspect(docker: &Docker, reference: &str) -> Result<Option<Image>> {
    let inspected = match docker.inspect_image(reference).await {
        Ok(inspected) => inspected,
        Err(error) if super::is_missing(&error) => return Ok(None),
        Err(error) => {
            return Err(anyhow::Error::msg(explain(&error)).context(format!("cannot look up image {reference}")));
        }
    };
    let part = |part: Option<String>| part.unwrap_or_default();
    Ok(Some(Image {
        reference: reference.to_owned(),
        id: part(inspected.id),
        platform: format!("{}/{}", part(inspected.os), part(inspected.architecture)),
        size: inspected.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
    }))
}

/// Every tag of the images that were built for `service`.
///
/// # Errors
/// What the engine says.
pub(crate) async fn list(docker: &Docker, service: &str) -> Result<Vec<String>> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={service}")])]);
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    let images = docker.list_images(Some(options)).await.map_err(|error| anyhow::Error::msg(explain(&error)));
    let images = images.context("cannot list images")?;
    Ok(images
        .into_iter()
        .flat_map(|image| if image.repo_tags.is_empty() { vec![image.id] } else { image.repo_tags })
        .collect())
}

/// Removes an image's name, and the image with its last one; a name that is gone already is fine.
///
/// # Errors
/// What the engine says.
pub(crate) async fn remove(docker: &Docker, image: &str) -> Result<()> {
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    match docker.remove_image(image, Some(options), None).await {
        Ok(_) => Ok(()),
        Err(error) if super::is_missing(&error) => Ok(()),
        Err(error) => Err(anyhow::Error::msg(explain(&error)).context(format!("cannot remove image {image}"))),
    }
}

impl Image {
    /// Makes sure that it runs where it is sent.
    ///
    /// # Errors
    /// An image for another platform, with both named.
    pub(crate) fn must_be_for(&self, platform: &str, reference: &str) -> Result<(), Failure> {
        if Platform::from_oci(&self.platform).map(Platform::oci) == Some(platform) {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "platform", "the image is for another platform than its environment")
            .resource(reference)
            .reason(format!("the image is {}, the environment runs {platform}", self.platform))
            .hint("check the base image of docker/Dockerfile and the Architecture parameter in deploy.toml"))
    }
}

/// Builds `context` as `reference`.
///
/// # Errors
/// The failed step with its last output, or an image that turned out for another platform than was asked for.
pub(crate) async fn build(
    docker: &Docker,
    context: BuildContext,
    reference: &str,
    service: &str,
    phase: &Phase<'_>,
) -> Result<Image> {
    let platform = context.platform;
    let arguments: HashMap<String, String> = context.arguments.iter().cloned().collect();
    // The engine attaches the session by its name, which no other build at the same engine may have.
    let session = format!("xtask-{}-{}", std::process::id(), reference.replace([':', '/'], "-"));
    let options = BuildImageOptionsBuilder::default()
        .dockerfile(DOCKERFILE)
        .t(reference)
        .platform(platform)
        .buildargs(&arguments)
        .labels(&HashMap::from([(LABEL, service)]))
        .version(BuilderVersion::BuilderBuildKit)
        .session(&session)
        .build();
    let mut steps = docker.build_image(options, None, Some(body_try_stream(context.tar())));
    let mut output = Output::default();
    while let Some(step) = steps.next().await {
        match step {
            Ok(step) => output.take(step, phase),
            Err(error) => return Err(output.failure(reference, explain(&error)).into()),
        }
    }
    let image = inspect(docker, reference)
        .await?
        .with_context(|| format!("the engine ended the build of {reference} without an error and without an image"))?;
    image.must_be_for(platform, reference)?;
    Ok(image)
}

/// What BuildKit said so far.
#[derive(Default)]
struct Output {
    lines: Vec<String>,
    seen: Vec<String>,
}

impl Output {
    fn take(&mut self, step: BuildInfo, phase: &Phase<'_>) {
        let Some(BuildInfoAux::BuildKit(status)) = step.aux else { return };
        for vertex in status.vertexes {
            if vertex.started.is_some() && !self.seen.contains(&vertex.digest) {
                phase.doing(&vertex.name);
                self.lines.push(vertex.name);
                self.seen.push(vertex.digest);
            }
            if !vertex.error.is_empty() {
                self.lines.push(vertex.error);
            }
        }
        for log in status.logs {
            for line in String::from_utf8_lossy(&log.msg).lines() {
                phase.doing(line.trim());
                self.lines.push(line.to_owned());
            }
        }
    }

    fn failure(self, reference: &str, error: String) -> Failure {
        let skip = self.lines.len().saturating_sub(TAIL);
        let mut reason = self.lines[skip..].to_vec();
        if reason.last() != Some(&error) {
            reason.push(error);
        }
        let text = reason.join("\n");
        let hint = if text.contains("failed to do request") || text.contains("failed to resolve source metadata") {
            "the base image cannot be pulled (the build takes no registry login): pull it, or name another with --builder-image"
        } else {
            "repeat with --verbose to see every step"
        };
        Failure::new(Exit::Failed, "build", "the image cannot be built").resource(reference).reason(text).hint(hint)
    }
}
