//! What a repository has, and what is removed from it.

use std::time::SystemTime;

use anyhow::Result;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageDetail, ImageFailure, ImageFailureCode, ImageIdentifier};

use crate::error::{failure, is_missing};
use model::attestation;
use model::outcome::{Exit, Failure, FailureKind};

/// An image as the repository lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub digest: String,
    pub pushed: Option<SystemTime>,
    /// Bytes in the registry.
    pub size: u64,
    /// Digest of the image that it is attached to, as ECR or its tag says it.
    pub subject: Option<String>,
}

/// Lists the images of a repository; none where there is no repository.
///
/// # Errors
/// What AWS says.
pub async fn list(client: &Client, name: &str) -> Result<Vec<Listed>> {
    let (mut images, mut next) = (Vec::new(), None);
    loop {
        let page = client.describe_images().repository_name(name).set_next_token(next).send().await;
        let page = match page.map_err(|error| failure("ecr:DescribeImages", &format!("repository {name}"), &error)) {
            Ok(page) => page,
            Err(failure) if is_missing(&failure) => return Ok(images),
            Err(failure) => return Err(failure.into()),
        };
        images.extend(page.image_details().iter().map(|image| Listed {
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

/// What a document is attached to. The list of what is attached to an image has no such field, but a tag that says it.
fn subject(image: &ImageDetail) -> Option<String> {
    let tags = || image.image_tags().iter().find_map(|tag| attestation::subject(tag)).map(|digest| digest.to_string());
    image.subject_manifest_digest().map(str::to_owned).or_else(tags)
}

/// Removes images by digest.
///
/// # Errors
/// What AWS says, also of a single image.
pub async fn remove(client: &Client, name: &str, digests: &[String]) -> Result<()> {
    let resource = format!("repository {name}");
    // A hundred a call is what ECR takes.
    for some in digests.chunks(100) {
        let ids = some.iter().map(|digest| ImageIdentifier::builder().image_digest(digest).build()).collect();
        let call = client.batch_delete_image().repository_name(name).set_image_ids(Some(ids));
        let answer = call.send().await.map_err(|error| failure("ecr:BatchDeleteImage", &resource, &error))?;
        // Part of an index that stays, or gone already.
        let fine = [ImageFailureCode::ImageNotFound, ImageFailureCode::ImageReferencedByManifestList];
        let gone = |refused: &&ImageFailure| !refused.failure_code().is_some_and(|code| fine.contains(code));
        if let Some(refused) = answer.failures().iter().find(gone) {
            return Err(Failure::new(Exit::Failed, FailureKind::Image, "ECR did not remove an image")
                .resource(resource)
                .reason(refused.failure_reason().unwrap_or_default())
                .into());
        }
    }
    Ok(())
}
