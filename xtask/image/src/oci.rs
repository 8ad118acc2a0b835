//! An image registry over HTTP (OCI distribution specification 1.1), for what the engine does not do: attaching
//! documents to an image and finding them again.
//!
//! The published crates have an HTTP client of their own, and do not support registries without `referrers`.

mod authorization;
mod transport;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use model::outcome::{Exit, Failure, FailureKind};
use model::reference::{Digest, hex};
use transport::LONGEST;
pub use transport::Registry;

/// Media types of manifests and indexes
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md>).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// All media types of an image.
const ANY: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                   application/vnd.docker.distribution.manifest.v2+json, \
                   application/vnd.docker.distribution.manifest.list.v2+json";
/// The configuration of a manifest that has none
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidance-for-an-empty-descriptor>).
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// Most pages of referrers that are read.
const PAGES: usize = 20;

/// Identifies a blob or a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    /// Bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// A manifest as the registry has it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

/// The result of putting a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Stored; `listed` if the registry confirms that it lists the manifest as a referrer.
    Done { listed: bool },
    /// The tag names another manifest and is immutable.
    Taken,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: String,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

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

/// The digest of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

impl Registry {
    /// The manifest of a tag or digest, if there is one.
    ///
    /// # Errors
    /// A registry that fails, or a manifest with another digest.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Stored>, Failure> {
        let url = self.url(&format!("manifests/{reference}"));
        let answer = self.ask(Method::GET, &url, &[("accept", ANY)], None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.must_be(200, "did not return the manifest", &url)?;
        let digest = digest(&answer.body);
        if reference.contains(':') && reference != digest {
            return Err(self.failure("returned another manifest than the requested one", &url, &digest));
        }
        let descriptor = Descriptor {
            media_type: answer.header("content-type").unwrap_or(MANIFEST).to_owned(),
            digest,
            size: answer.body.len() as u64,
            artifact_type: None,
        };
        Ok(Some(Stored { descriptor, bytes: answer.body }))
    }

    /// A blob of at most [`LONGEST`] bytes.
    ///
    /// # Errors
    /// A registry that fails, or a blob that is too long or has another digest.
    pub async fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Failure> {
        let url = self.url(&format!("blobs/{}", blob.digest));
        if blob.size > LONGEST as u64 {
            return Err(self.failure("has a blob that is too long to be read", &url, &format!("{} bytes", blob.size)));
        }
        let answer = self.ask(Method::GET, &url, &[], None).await?.must_be(200, "did not return the blob", &url)?;
        let found = digest(&answer.body);
        if found != blob.digest {
            return Err(self.failure("returned another blob than the requested one", &url, &found));
        }
        Ok(answer.body)
    }

    /// Uploads a blob, unless the registry has it.
    ///
    /// # Errors
    /// A registry that fails.
    pub async fn push_blob(&self, media_type: &str, bytes: Vec<u8>) -> Result<Descriptor, Failure> {
        let digest = digest(&bytes);
        let size = bytes.len() as u64;
        let blob = Descriptor { media_type: media_type.to_owned(), digest, size, artifact_type: None };
        let existing = self.url(&format!("blobs/{}", blob.digest));
        if self.ask(Method::HEAD, &existing, &[], None).await?.status == 200 {
            return Ok(blob);
        }
        let url = self.url("blobs/uploads/");
        let begun = self.ask(Method::POST, &url, &[], Some(Vec::new())).await?;
        let begun = begun.must_be(202, "did not start the upload", &url)?;
        let end = begun.location().and_then(|location| self.join(location, &blob.digest));
        let end = end.ok_or_else(|| self.failure("named no upload location", &url, "no usable Location"))?;
        let headers = [("content-type", "application/octet-stream")];
        let ended = self.ask(Method::PUT, &end, &headers, Some(bytes)).await?;
        // A retry after a lost response: the upload is complete, and its URL gone.
        if ended.status == 404 && self.ask(Method::HEAD, &existing, &[], None).await?.status == 200 {
            return Ok(blob);
        }
        ended.must_be(201, "did not accept the blob", &url)?;
        Ok(blob)
    }

    /// Puts a manifest under a tag.
    ///
    /// # Errors
    /// A registry that fails.
    pub async fn put_manifest(&self, tag: &str, media_type: &str, bytes: Vec<u8>) -> Result<Put, Failure> {
        let url = self.url(&format!("manifests/{tag}"));
        let answer = self.ask(Method::PUT, &url, &[("content-type", media_type)], Some(bytes)).await?;
        if answer.is_tag_taken() {
            return Ok(Put::Taken);
        }
        let answer = answer.must_be(201, "did not accept the manifest", &url)?;
        Ok(Put::Done { listed: answer.header("oci-subject").is_some() })
    }

    /// The referrers of an image, as the registry lists them; or, if it has no such list, as those who pushed them do.
    ///
    /// # Errors
    /// A registry that fails.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let mut next = Some(self.url(&format!("referrers/{subject}")));
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next.take() else { break };
            let answer = self.ask(Method::GET, &url, &[("accept", INDEX)], None).await?;
            match answer.status {
                200 => {
                    found.extend(self.index(&answer.body, &url)?.manifests);
                    next = answer.next().and_then(|next| self.page(next));
                }
                // A registry without the list, or one that denies it to the caller.
                400..500 => return self.tagged_referrers(subject).await,
                _ => return answer.must_be(200, "did not list the referrers of the image", &url).map(|_| Vec::new()),
            }
        }
        if found.is_empty() { self.tagged_referrers(subject).await } else { Ok(found) }
    }

    /// The list under the referrers tag.
    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let tag = subject.referrers_tag();
        match self.manifest(&tag).await? {
            Some(list) => Ok(self.index(&list.bytes, &self.url(&format!("manifests/{tag}")))?.manifests),
            None => Ok(Vec::new()),
        }
    }

    /// Adds to the list under the referrers tag, for a registry that keeps none itself.
    ///
    /// # Errors
    /// A registry that fails. A list that is immutable is left as it is: attached manifests have tags of their own.
    pub async fn add_referrers(&self, subject: &Digest, attached: &[Descriptor]) -> Result<(), Failure> {
        let mut manifests = self.tagged_referrers(subject).await?;
        let known = manifests.len();
        for one in attached {
            if manifests.iter().all(|other| other.digest != one.digest) {
                manifests.push(one.clone());
            }
        }
        if manifests.len() == known {
            return Ok(());
        }
        let index = Index { schema_version: 2, media_type: INDEX.to_owned(), manifests };
        let bytes = serde_json::to_vec(&index).expect("an index can be written");
        self.put_manifest(&subject.referrers_tag(), INDEX, bytes).await.map(drop)
    }

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
            let stored = self.manifest(&tag).await?;
            let stored =
                stored.ok_or_else(|| self.not_found("lost the manifest that it has just stored", &self.url(&tag)))?;
            attached.push(self.about(subject, kind, &tag, &stored.bytes, stored.descriptor)?);
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

    fn index(&self, bytes: &[u8], url: &str) -> Result<Index, Failure> {
        serde_json::from_slice(bytes).map_err(|error| self.failure("returned an invalid list", url, &error.to_string()))
    }
}

#[cfg(test)]
mod tests;
