//! Builds an image with BuildKit and shows its steps while they run.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, BuilderVersion, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{Docker, body_try_stream};

use super::call::{self, CHANGE, CallError, LOOKUP, within};
use super::context::BuildContext;
use super::owner::{self, Owner};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::progress::{Progress, Reporter};

/// The Dockerfile's path, in the repository and in the context.
pub const DOCKERFILE: &str = "docker/Dockerfile";
/// Lines of a failed build that are shown.
const TAIL: usize = 40;

/// An image that the engine has.
#[derive(Debug, Clone)]
pub struct Image {
    /// `NAME:TAG`, known to the engine.
    pub reference: String,
    /// The engine's id: the digest of its configuration or its manifest, depending on the engine's store.
    pub id: String,
    pub platform: String,
    /// In bytes, as the engine counts.
    pub size: u64,
    /// All of its names.
    tags: Vec<String>,
}

/// A service's images: which of them a checkout may remove.
#[derive(Debug, Default)]
pub struct Images {
    /// Names of its own images, in the order in which they can be removed.
    pub own: Vec<String>,
    /// Others, with the reason why they are kept.
    pub kept: Vec<String>,
}

/// Looks up an image; `None` when the engine does not have it.
///
/// # Errors
/// An engine that fails.
pub async fn inspect(docker: &Docker, reference: &str) -> Result<Option<Image>> {
    let found = call::optional(docker.inspect_image(reference)).await;
    let found = found.map_err(|error| error.failure(format!("cannot look up image {reference}")))?;
    let part = |part: Option<String>| part.unwrap_or_default();
    Ok(found.map(|inspected| Image {
        reference: reference.to_owned(),
        id: part(inspected.id),
        platform: format!("{}/{}", part(inspected.os), part(inspected.architecture)),
        size: inspected.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        tags: inspected.repo_tags.unwrap_or_default(),
    }))
}

/// Marks the image as used by this checkout, by a tag: a label would make a different image in every checkout.
///
/// # Errors
/// An engine that fails.
pub async fn claim(docker: &Docker, image: &Image, owner: &Owner) -> Result<()> {
    let tag = image.reference.rsplit_once(':').map_or("", |(_, tag)| tag);
    let claim = owner.claim(tag);
    if image.tags.contains(&format!("{}:{claim}", owner.service)) {
        return Ok(());
    }
    let options = TagImageOptionsBuilder::default().repo(&owner.service).tag(&claim).build();
    let tagged = within(CHANGE, docker.tag_image(&image.reference, Some(options))).await;
    Ok(tagged.map_err(|error| error.failure(format!("cannot tag image {}", image.reference)))?)
}

/// The images that were built for the service, by their names.
///
/// # Errors
/// An engine that fails.
pub async fn list_images(docker: &Docker, owner: &Owner) -> Result<Images> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={}", owner::IMAGE, owner.service)])]);
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    let found = within(LOOKUP, docker.list_images(Some(options))).await;
    let mut images = Images::default();
    for image in found.map_err(|error| error.failure("cannot list images"))? {
        let tags: Vec<String> = image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect();
        let name = tags.first().cloned().unwrap_or_else(|| image.id.clone());
        let Some((own, shared)) = sort(&tags, owner) else {
            images.kept.push(format!("image {name}: this checkout does not use it"));
            continue;
        };
        // An image that another checkout uses too stays in any case.
        let user = if shared { None } else { user_of(docker, &image.id, owner).await? };
        match user {
            Some(container) => images.kept.push(format!("image {name}: container {container} runs it")),
            None => images.own.extend(own),
        }
    }
    Ok(images)
}

/// The names of an image that a checkout may remove, and whether another checkout uses it too; `None` if this one does
/// not use it. The user's own names and names that checkouts share are not among them.
fn sort(tags: &[String], owner: &Owner) -> Option<(Vec<String>, bool)> {
    let service = format!("{}:", owner.service);
    let (claims, others): (Vec<&String>, Vec<&String>) =
        tags.iter().partition(|name| name.strip_prefix(&service).is_some_and(|tag| tag.starts_with("checkout-")));
    let own = |name: &&String| name[service.len()..].starts_with(&owner.claims());
    let (mine, foreign): (Vec<&String>, Vec<&String>) = claims.into_iter().partition(own);
    if mine.is_empty() {
        return None;
    }
    let made = |name: &&String| {
        let tag = name.rsplit_once(&service).filter(|(host, _)| host.is_empty() || host.ends_with('/'));
        tag.is_some_and(|(_, tag)| ["content-", "source-", "commit-"].iter().any(|kind| tag.starts_with(kind)))
    };
    let shared = !foreign.is_empty();
    // The claim is the last: a removal that is interrupted before is found again.
    Some((others.into_iter().filter(|name| !shared && made(name)).chain(mine).cloned().collect(), shared))
}

/// The name of a container of the image that this checkout did not start.
async fn user_of(docker: &Docker, image: &str, owner: &Owner) -> Result<Option<String>> {
    let filters = HashMap::from([("ancestor".to_owned(), vec![image.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = within(LOOKUP, docker.list_containers(Some(options))).await;
    let found = found.map_err(|error| error.failure(format!("cannot list the containers of image {image}")))?;
    let other = found.into_iter().find(|container| !container.labels.as_ref().is_some_and(|labels| owner.owns(labels)));
    Ok(other.map(|container| super::container::name(container.names)))
}

/// Removes a name of an image, and the image with its last one; a name that is gone already is fine.
///
/// # Errors
/// An engine that fails.
pub async fn remove_image(docker: &Docker, image: &str) -> Result<()> {
    let options = RemoveImageOptionsBuilder::default().build();
    match within(CHANGE, docker.remove_image(image, Some(options), None)).await {
        Err(error) if !error.is_missing() => Err(error.failure(format!("cannot remove image {image}")).into()),
        _ => Ok(()),
    }
}

impl Image {
    /// Checks the platform.
    ///
    /// # Errors
    /// An image for another platform, with both named.
    pub fn must_be_for(&self, platform: &str, reference: &str) -> Result<(), Failure> {
        if Platform::from_oci(&self.platform).map(Platform::oci) == Some(platform) {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, FailureKind::Platform, "the image is for another platform than its environment")
            .resource(reference)
            .reason(format!("the image is {}, the environment runs {platform}", self.platform))
            .hint("check the base image of docker/Dockerfile and the Architecture parameter in deploy.toml"))
    }
}

/// Builds `context` as `reference`.
///
/// # Errors
/// The failed step with its last output, or an image for another platform than requested.
pub async fn build(
    docker: &Docker,
    context: BuildContext,
    reference: &str,
    service: &str,
    report: Reporter<'_>,
) -> Result<Image> {
    let platform = context.platform;
    let arguments: HashMap<String, String> = context.arguments.iter().cloned().collect();
    // The engine finds the session by its name, which must be unique among its builds.
    let session = format!("xtask-{}-{}", std::process::id(), reference.replace([':', '/'], "-"));
    let options = BuildImageOptionsBuilder::default()
        .dockerfile(DOCKERFILE)
        .t(reference)
        .platform(platform)
        .buildargs(&arguments)
        .labels(&HashMap::from([(owner::IMAGE, service)]))
        .version(BuilderVersion::BuilderBuildKit)
        .session(&session)
        .build();
    let mut steps = Box::pin(docker.build_image(options, None, Some(body_try_stream(context.tar()))));
    let mut output = Output::default();
    report(Progress::Doing("sending the files to the engine"));
    while let Some(step) =
        call::next(&mut steps, output.lines.last().map_or("first step", String::as_str), report).await
    {
        match step {
            Ok(step) => output.take(step, report),
            Err(error) => return Err(output.failure(reference, error).into()),
        }
    }
    let image = inspect(docker, reference)
        .await?
        .with_context(|| format!("the engine ended the build of {reference} without an error and without an image"))?;
    image.must_be_for(platform, reference)?;
    Ok(image)
}

/// BuildKit's output so far.
#[derive(Default)]
struct Output {
    lines: Vec<String>,
    seen: Vec<String>,
}

impl Output {
    fn take(&mut self, step: BuildInfo, report: Reporter<'_>) {
        let Some(BuildInfoAux::BuildKit(status)) = step.aux else { return };
        for vertex in status.vertexes {
            if vertex.started.is_some() && !self.seen.contains(&vertex.digest) {
                report(Progress::Doing(&vertex.name));
                self.lines.push(vertex.name);
                self.seen.push(vertex.digest);
            }
            if !vertex.error.is_empty() {
                self.lines.push(vertex.error);
            }
        }
        for log in status.logs {
            for line in String::from_utf8_lossy(&log.msg).lines() {
                report(Progress::Doing(line.trim()));
                self.lines.push(line.to_owned());
            }
        }
    }

    fn failure(self, reference: &str, error: CallError) -> Failure {
        let skip = self.lines.len().saturating_sub(TAIL);
        let mut reason = self.lines[skip..].to_vec();
        if reason.last() != Some(&error.reason) {
            reason.push(error.reason.clone());
        }
        let text = reason.join("\n");
        let hint = if let Some(hint) = (CallError { reason: text.clone(), ..error }).hint() {
            hint
        } else if text.contains("failed to do request") || text.contains("failed to resolve source metadata") {
            "the base image cannot be pulled (the build takes no registry login): pull it, or name another with --builder-image"
        } else {
            "repeat with --verbose to see every step"
        };
        Failure::new(Exit::Failed, FailureKind::Build, "the image cannot be built")
            .resource(reference)
            .reason(text)
            .hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_removes_its_own_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::new(folder.path(), "team/api");
        let (mine, theirs) =
            (format!("team/api:{}", owner.claim("content-1")), "team/api:checkout-0123-content-1".to_owned());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let content = "team/api:content-1";
        let pushed = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/api:commit-1";
        let of_user = ["mine:keep", "team/api:keep", "other-team/api:content-1"];
        let all = [&[mine.as_str(), content, pushed][..], &of_user].concat();
        assert_eq!(sort(&names(&all), &owner), Some((names(&[content, pushed, &mine]), false)));
        let shared = names(&[content, &mine, &theirs]);
        assert_eq!(sort(&shared, &owner), Some((names(&[&mine]), true)), "another one holds it, too");
        assert_eq!(sort(&names(&[content, &theirs]), &owner), None);
        assert_eq!(sort(&names(&[content]), &owner), None, "its owner is unknown");
        assert_eq!(sort(&[], &owner), None);
    }
}
