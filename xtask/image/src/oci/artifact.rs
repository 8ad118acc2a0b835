//! Documents attached to an image: each has a manifest, whose `subject` is the image.

use serde::{Deserialize, Serialize};

use super::{Descriptor, MANIFEST, Put, Registry};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::Digest;

/// The configuration of a manifest that has none
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidance-for-an-empty-descriptor>).
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");

/// A document to attach.
#[derive(Debug, Clone)]
pub struct Document {
    /// Media type of the document, and artifact type of its manifest.
    pub kind: &'static str,
    /// The manifest's tag: without one, lifecycle rules would remove it.
    pub tag: String,
    pub bytes: Vec<u8>,
}

/// A document that is attached to an image.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Digest of its manifest.
    pub digest: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    #[serde(default)]
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
}

impl Manifest {
    /// Its artifact type, or as in older manifests that of its configuration.
    fn kind(&self) -> &str {
        self.artifact_type.as_deref().unwrap_or(&self.config.media_type)
    }

    fn is_about(&self, subject: &Digest) -> bool {
        self.subject.as_ref().is_some_and(|one| one.digest == subject.as_str())
    }
}

impl Registry {
    /// Attaches documents to an image, unless they are attached already. Returns how many were missing.
    ///
    /// # Errors
    /// An image that the registry does not have, a tag that names something else, or a registry that fails.
    pub async fn attach(&self, subject: &Digest, documents: Vec<Document>) -> Result<usize, Failure> {
        let image = self
            .manifest(subject.as_str())
            .await?
            .ok_or_else(|| self.not_found("does not have the image", &self.url(&format!("manifests/{subject}"))))?;
        let (mut new, mut attached, mut listed) = (0, Vec::new(), true);
        for Document { kind, tag, bytes } in documents {
            if let Some(stored) = self.manifest(&tag).await? {
                attached.push(self.about(subject, kind, &tag, &stored.bytes, stored.descriptor)?);
                continue;
            }
            let config = self.push_blob(EMPTY.0, EMPTY.1.to_vec()).await?;
            let layer = self.push_blob(kind, bytes).await?;
            let manifest = Manifest {
                schema_version: 2,
                media_type: MANIFEST.to_owned(),
                artifact_type: Some(kind.to_owned()),
                config,
                layers: vec![layer],
                subject: Some(image.descriptor.clone()),
            };
            let bytes = serde_json::to_vec(&manifest).expect("a manifest can be written");
            match self.put_manifest(&tag, MANIFEST, bytes).await? {
                Put::Done { listed: by_registry } => {
                    new += 1;
                    listed &= by_registry;
                }
                // Attached by another caller at the same moment.
                Put::Taken => {}
            }
            let there = self.manifest(&tag).await?;
            let there = there.ok_or_else(|| self.not_found("lost what it has just taken", &self.url(&tag)))?;
            attached.push(self.about(subject, kind, &tag, &there.bytes, there.descriptor)?);
        }
        if new > 0 && !listed {
            self.add_referrers(subject, &attached).await?;
        }
        Ok(new)
    }

    /// Whether there is a document with this tag.
    ///
    /// # Errors
    /// A registry that fails.
    pub async fn has(&self, tag: &str) -> Result<bool, Failure> {
        Ok(self.manifest(tag).await?.is_some())
    }

    /// The documents of a media type that are attached to an image: the referrers, and the one under `tag`.
    ///
    /// # Errors
    /// A registry that fails.
    pub async fn attached(&self, subject: &Digest, kind: &str, tag: &str) -> Result<Vec<Attached>, Failure> {
        let listed = self.referrers(subject).await?.into_iter();
        let mut names: Vec<String> =
            listed.filter(|one| one.artifact_type.as_deref() == Some(kind)).map(|one| one.digest).collect();
        names.push(tag.to_owned());
        let mut found = Vec::<Attached>::new();
        for name in names {
            let Some(stored) = self.manifest(&name).await? else { continue };
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&stored.bytes) else { continue };
            let digest = stored.descriptor.digest;
            if manifest.kind() != kind || !manifest.is_about(subject) || found.iter().any(|one| one.digest == digest) {
                continue;
            }
            if let Some(layer) = manifest.layers.first() {
                found.push(Attached { digest, bytes: self.blob(layer).await? });
            }
        }
        Ok(found)
    }

    /// The descriptor for the referrers' list of a manifest, which must be of this kind and about this image.
    fn about(
        &self,
        subject: &Digest,
        kind: &str,
        tag: &str,
        bytes: &[u8],
        descriptor: Descriptor,
    ) -> Result<Descriptor, Failure> {
        let manifest = serde_json::from_slice::<Manifest>(bytes).ok();
        if manifest.is_some_and(|manifest| manifest.kind() == kind && manifest.is_about(subject)) {
            return Ok(Descriptor { artifact_type: Some(kind.to_owned()), ..descriptor });
        }
        Err(Failure::new(
            Exit::Failed,
            FailureKind::Attestation,
            "the tag of the image's attachment names something else",
        )
        .resource(self.url(&format!("manifests/{tag}")))
        .reason(format!("it is no {kind} about {subject}"))
        .hint("find out who pushed it, and remove it"))
    }
}
