//! The image repository in Amazon ECR: the repository with its lifecycle policy, its images, and the registry login.

pub mod scan;

use std::time::SystemTime;

use anyhow::{Context, Result};
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{
    ImageDetail, ImageFailure, ImageFailureCode, ImageIdentifier, ImageScanningConfiguration, ImageTagMutability,
    Repository as Described, Tag,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::error::{failure, is_denied, is_missing};
use model::attestation;
use model::credentials::Credentials;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::{Digest, ImageReference};

/// Expires untagged images.
///
/// Every image of a release has tags, and immutable tags cannot be moved; so this never deletes an image that is deployed
/// or could be rolled back to, only the remains of interrupted pushes and images that were pushed without a tag by other
/// means.
const LIFECYCLE: &str = r#"{"rules":[{"rulePriority":1,"description":"remains of interrupted pushes","selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}"#;

/// Manifest types that are accepted; otherwise ECR may convert a manifest, with another digest
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html>).
const MANIFESTS: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// A repository that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Registry host, from the repository's URI.
    host: String,
    pub name: String,
    /// Whether tags are immutable; false if that is unknown.
    pub immutable: bool,
}

/// An image in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    pub digest: Digest,
    manifest: String,
    media_type: Option<String>,
}

impl StoredImage {
    /// The manifest as ECR stores it; `None` if ECR did not return it.
    pub fn manifest(&self) -> Option<&str> {
        Some(self.manifest.as_str()).filter(|manifest| !manifest.is_empty())
    }
}

impl Repository {
    /// A repository at a known host.
    pub fn at(host: &str, name: &str) -> Self {
        Self { host: host.to_owned(), name: name.to_owned(), immutable: false }
    }

    /// Whether it is at this host.
    pub fn is_at(&self, host: &str) -> bool {
        self.host == host
    }

    /// The image with `tag`, at `registry` if the host in the repository's URI is not reachable.
    pub fn image(&self, tag: &str, registry: Option<&str>) -> ImageReference {
        ImageReference::tagged(registry.unwrap_or(&self.host), &self.name, tag)
    }
}

/// The repository; `None` if it does not exist.
pub async fn find_repository(client: &Client, name: &str) -> Result<Option<Repository>> {
    let answer = client.describe_repositories().repository_names(name).send().await;
    match answer.map_err(|error| failure("ecr:DescribeRepositories", &format!("repository {name}"), &error)) {
        Ok(found) => found.repositories().first().map(repository).transpose(),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Creates the repository: immutable tags, scan on push, no expiry of tagged images.
pub async fn create_repository(client: &Client, name: &str) -> Result<Repository> {
    let resource = format!("repository {name}");
    let created = client
        .create_repository()
        .repository_name(name)
        .image_tag_mutability(ImageTagMutability::Immutable)
        .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(true).build())
        .tags(Tag::builder().key("managed-by").value("xtask").build().context("a tag is complete")?)
        .send()
        .await;
    let repository = match created {
        Ok(created) => repository(created.repository().context("ECR created a repository and did not return it")?)?,
        // Another release was faster, and has created the same.
        Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => {
            return find_repository(client, name)
                .await?
                .with_context(|| format!("{resource} exists and cannot be found"));
        }
        Err(error) => return Err(failure("ecr:CreateRepository", &resource, &error).into()),
    };
    if let Err(error) = put_policy(client, name).await {
        // It is still empty. If this fails, too, the next release adds the policy.
        drop(client.delete_repository().repository_name(name).send().await);
        return Err(error.into());
    }
    Ok(repository)
}

/// Adds the lifecycle policy to a repository without one: the command that created it may have been interrupted. Another
/// policy stays. Returns why there may be none; images can be pushed nevertheless.
pub async fn ensure_policy(client: &Client, name: &str) -> Option<Failure> {
    match client.get_lifecycle_policy().repository_name(name).send().await {
        Ok(_) => None,
        Err(error) if error.code() == Some("LifecyclePolicyNotFoundException") => put_policy(client, name).await.err(),
        // An older role lacks this permission; it creates no repositories either.
        Err(error) => Some(failure("ecr:GetLifecyclePolicy", &format!("repository {name}"), &error))
            .filter(|failure| !is_denied(failure)),
    }
}

async fn put_policy(client: &Client, name: &str) -> Result<(), Failure> {
    let call = client.put_lifecycle_policy().repository_name(name).lifecycle_policy_text(LIFECYCLE);
    match call.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(failure("ecr:PutLifecyclePolicy", &format!("repository {name}"), &error)),
    }
}

fn repository(described: &Described) -> Result<Repository> {
    let uri = described.repository_uri().unwrap_or_default();
    let name = described.repository_name().unwrap_or_default();
    let host = uri.strip_suffix(name).and_then(|host| host.strip_suffix('/'));
    let host =
        host.filter(|host| !host.is_empty()).with_context(|| format!("ECR returned the repository URI {uri:?}"))?;
    let immutable = described.image_tag_mutability() == Some(&ImageTagMutability::Immutable);
    Ok(Repository { host: host.to_owned(), name: name.to_owned(), immutable })
}

/// The image with `tag`; `None` if the tag or the repository does not exist.
pub async fn find_image(client: &Client, name: &str, tag: &str) -> Result<Option<StoredImage>> {
    get_image(client, name, ImageIdentifier::builder().image_tag(tag).build()).await
}

/// Reads a single image, for which ECR reports a missing one without an error. With several the response does not always
/// tell which tag belongs to which.
async fn get_image(client: &Client, name: &str, id: ImageIdentifier) -> Result<Option<StoredImage>> {
    let resource = format!("repository {name}");
    let call = client.batch_get_image().repository_name(name).image_ids(id);
    let answer = call.set_accepted_media_types(Some(MANIFESTS.map(str::to_owned).into())).send().await;
    let answer = match answer.map_err(|error| failure("ecr:BatchGetImage", &resource, &error)) {
        Ok(answer) => answer,
        Err(failure) if is_missing(&failure) => return Ok(None),
        Err(failure) => return Err(failure.into()),
    };
    let other = |failure: &&ImageFailure| failure.failure_code() != Some(&ImageFailureCode::ImageNotFound);
    if let Some(refused) = answer.failures().iter().find(other) {
        let code = refused.failure_code().map_or("unknown", |code| code.as_str());
        return Err(Failure::new(Exit::Failed, FailureKind::Image, "ECR cannot return the image")
            .resource(resource)
            .reason(format!("{code}: {}", refused.failure_reason().unwrap_or_default()))
            .into());
    }
    let Some(image) = answer.images().first() else { return Ok(None) };
    let digest = image.image_id().and_then(|id| id.image_digest()).unwrap_or_default();
    let digest = digest.parse::<Digest>().map_err(anyhow::Error::msg);
    Ok(Some(StoredImage {
        digest: digest.with_context(|| format!("ECR's digest of an image in {name}"))?,
        manifest: image.image_manifest().unwrap_or_default().to_owned(),
        media_type: image.image_manifest_media_type().map(str::to_owned),
    }))
}

/// Adds a tag to an image; a tag that exists stays where it is.
pub async fn add_tag(client: &Client, name: &str, stored: &StoredImage, tag: &str) -> Result<()> {
    if stored.manifest.is_empty() {
        return Ok(());
    }
    let call = client.put_image().repository_name(name).image_tag(tag).image_manifest(&stored.manifest);
    match call.set_image_manifest_media_type(stored.media_type.clone()).send().await {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.code(), Some("ImageAlreadyExistsException" | "ImageTagAlreadyExistsException")) =>
        {
            Ok(())
        }
        Err(error) => Err(failure("ecr:PutImage", &format!("tag {tag} in repository {name}"), &error).into()),
    }
}

/// The registry login, valid for 12 hours
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>). It stays in memory.
///
/// # Errors
/// Also a token that is not in the documented format.
pub async fn credentials(client: &Client) -> Result<Credentials> {
    let action = "ecr:GetAuthorizationToken";
    let answer = client.get_authorization_token().send().await.map_err(|e| failure(action, "the registry", &e))?;
    let token = answer.authorization_data().first().and_then(|data| data.authorization_token()).unwrap_or_default();
    decode(token).with_context(|| format!("{action} returned a token that cannot be read"))
}

/// Decodes `base64(user:password)`. Errors do not contain the text.
fn decode(token: &str) -> Result<Credentials> {
    let bytes = STANDARD.decode(token).ok().context("it is not base64")?;
    let text = String::from_utf8(bytes).ok().context("it is not text")?;
    let (user, password) = text.split_once(':').context("it has no user")?;
    Ok(Credentials { user: user.to_owned(), password: SecretString::from(password) })
}

/// Deletes the repository with all its images, if it exists.
pub async fn delete_repository(client: &Client, name: &str) -> Result<()> {
    let answer = client.delete_repository().repository_name(name).force(true).send().await;
    match answer.map_err(|error| failure("ecr:DeleteRepository", &format!("repository {name}"), &error)) {
        Err(failure) if !is_missing(&failure) => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Whether the registry has an image by digest; `None` if the image is in another registry.
pub async fn has_image(client: &Client, image: &ImageReference) -> Result<Option<bool>> {
    let Some(digest) = &image.digest else { return Ok(None) };
    let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
    if get_image(client, &image.repository, id).await?.is_some() {
        return Ok(Some(true));
    }
    Ok(find_repository(client, &image.repository)
        .await?
        .filter(|repository| repository.host == image.host)
        .map(|_| false))
}

/// The image in the registry, by its digest or else by its tag.
///
/// # Errors
/// An image that the repository does not contain.
pub async fn resolve_image(client: &Client, image: &ImageReference) -> Result<StoredImage> {
    let missing = |what: String| {
        Failure::new(Exit::Failed, FailureKind::Image, "the registry does not have the image")
            .resource(image.to_string())
            .reason(format!("repository {} has no {what}", image.repository))
            .hint(format!("aws ecr list-images --repository-name {}", image.repository))
    };
    let (id, what) = match (&image.digest, &image.tag) {
        (Some(digest), _) => (ImageIdentifier::builder().image_digest(digest.as_str()), digest.to_string()),
        (None, tag) => {
            let tag = tag.as_deref().unwrap_or_default();
            (ImageIdentifier::builder().image_tag(tag), format!("tag {tag}"))
        }
    };
    let found = get_image(client, &image.repository, id.build()).await?;
    found.ok_or_else(|| missing(what).into())
}

/// An image in the list of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    pub digest: String,
    pub pushed: Option<SystemTime>,
    /// Bytes in the registry.
    pub size: u64,
    /// Digest of the image that it is attached to, according to ECR or its tag.
    pub subject: Option<String>,
}

/// Lists the images of a repository; none if it does not exist.
pub async fn list_images(client: &Client, name: &str) -> Result<Vec<ListedImage>> {
    let (mut images, mut next) = (Vec::new(), None);
    loop {
        let page = client.describe_images().repository_name(name).set_next_token(next).send().await;
        let page = match page.map_err(|error| failure("ecr:DescribeImages", &format!("repository {name}"), &error)) {
            Ok(page) => page,
            Err(failure) if is_missing(&failure) => return Ok(images),
            Err(failure) => return Err(failure.into()),
        };
        images.extend(page.image_details().iter().map(|image| ListedImage {
            digest: image.image_digest().unwrap_or_default().to_owned(),
            pushed: image.image_pushed_at().and_then(|date| SystemTime::try_from(*date).ok()),
            size: image.image_size_in_bytes().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            subject: subject(image),
        }));
        next = page.next_token;
        if next.is_none() {
            return Ok(images);
        }
    }
}

/// The image that a document is attached to. An index of attached documents has no such field, but a tag with the digest.
fn subject(image: &ImageDetail) -> Option<String> {
    let tags = || image.image_tags().iter().find_map(|tag| attestation::subject(tag)).map(|digest| digest.to_string());
    image.subject_manifest_digest().map(str::to_owned).or_else(tags)
}

/// Deletes images by digest.
///
/// # Errors
/// A refusal of the call or of a single image.
pub async fn delete_images(client: &Client, name: &str, digests: &[String]) -> Result<()> {
    let resource = format!("repository {name}");
    // ECR accepts a hundred per call.
    for some in digests.chunks(100) {
        let ids = some.iter().map(|digest| ImageIdentifier::builder().image_digest(digest).build()).collect();
        let call = client.batch_delete_image().repository_name(name).set_image_ids(Some(ids));
        let answer = call.send().await.map_err(|error| failure("ecr:BatchDeleteImage", &resource, &error))?;
        // It is part of an index that stays, or is deleted already.
        let ignored = [ImageFailureCode::ImageNotFound, ImageFailureCode::ImageReferencedByManifestList];
        let is_error = |refused: &&ImageFailure| !refused.failure_code().is_some_and(|code| ignored.contains(code));
        if let Some(refused) = answer.failures().iter().find(is_error) {
            return Err(Failure::new(Exit::Failed, FailureKind::Image, "ECR did not delete an image")
                .resource(resource)
                .reason(refused.failure_reason().unwrap_or_default())
                .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
