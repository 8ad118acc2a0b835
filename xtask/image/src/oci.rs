//! An image registry over HTTP, as the OCI distribution specification 1.1 has it: what the engine does not do, which is to
//! attach documents to an image and to find them again.
//!
//! The crates for it bring a second way to do what reqwest does here, and leave out what registries without the
//! specification's `referrers` need.

pub mod artifact;
mod authorization;
mod transport;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use model::outcome::Failure;
use model::reference::{Digest, hex};
use transport::LONGEST;
pub use transport::Registry;

/// Media types of manifests and indexes
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md>).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Every kind that an image may have.
const ANY: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                   application/vnd.docker.distribution.manifest.v2+json, \
                   application/vnd.docker.distribution.manifest.list.v2+json";
/// Pages of referrers that are read.
const PAGES: usize = 20;

/// What names a blob or a manifest.
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

/// What became of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there; `listed` where the registry says that it lists it with its subject.
    Done { listed: bool },
    /// The tag names another one, and cannot be moved.
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

/// The digest of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

impl Registry {
    /// The manifest under a tag or digest; `None` where there is none.
    ///
    /// # Errors
    /// What the registry says, or a manifest that is not the one that was asked for.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Stored>, Failure> {
        let url = self.url(&format!("manifests/{reference}"));
        let answer = self.ask(Method::GET, &url, &[("accept", ANY)], None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.must_be(200, "did not give a manifest", &url)?;
        let digest = digest(&answer.body);
        if reference.contains(':') && reference != digest {
            return Err(self.failure("gave another manifest than the one that was asked for", &url, &digest));
        }
        let descriptor = Descriptor {
            media_type: answer.header("content-type").unwrap_or(MANIFEST).to_owned(),
            digest,
            size: answer.body.len() as u64,
            artifact_type: None,
        };
        Ok(Some(Stored { descriptor, bytes: answer.body }))
    }

    /// A blob that is not longer than this tool reads.
    ///
    /// # Errors
    /// What the registry says, a blob that is too long or not the one that was asked for.
    pub async fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Failure> {
        let url = self.url(&format!("blobs/{}", blob.digest));
        if blob.size > LONGEST as u64 {
            return Err(self.failure("has a blob that is too long to be read", &url, &format!("{} bytes", blob.size)));
        }
        let answer = self.ask(Method::GET, &url, &[], None).await?.must_be(200, "did not give a blob", &url)?;
        let found = digest(&answer.body);
        if found != blob.digest {
            return Err(self.failure("gave another blob than the one that was asked for", &url, &found));
        }
        Ok(answer.body)
    }

    /// Brings a blob into the registry, unless it is there.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn push_blob(&self, media_type: &str, bytes: Vec<u8>) -> Result<Descriptor, Failure> {
        let digest = digest(&bytes);
        let size = bytes.len() as u64;
        let blob = Descriptor { media_type: media_type.to_owned(), digest, size, artifact_type: None };
        let there = self.url(&format!("blobs/{}", blob.digest));
        if self.ask(Method::HEAD, &there, &[], None).await?.status == 200 {
            return Ok(blob);
        }
        let url = self.url("blobs/uploads/");
        let begun = self.ask(Method::POST, &url, &[], Some(Vec::new())).await?;
        let begun = begun.must_be(202, "did not begin an upload", &url)?;
        let end = begun.location().and_then(|location| self.join(location, &blob.digest));
        let end = end.ok_or_else(|| self.failure("did not say where to upload to", &url, "no usable Location"))?;
        let headers = [("content-type", "application/octet-stream")];
        let ended = self.ask(Method::PUT, &end, &headers, Some(bytes)).await?;
        // Asked again, because the first answer was lost, the upload is gone and the blob there.
        if ended.status == 404 && self.ask(Method::HEAD, &there, &[], None).await?.status == 200 {
            return Ok(blob);
        }
        ended.must_be(201, "did not take a blob", &url)?;
        Ok(blob)
    }

    /// Puts a manifest under a tag.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn put_manifest(&self, tag: &str, media_type: &str, bytes: Vec<u8>) -> Result<Put, Failure> {
        let url = self.url(&format!("manifests/{tag}"));
        let answer = self.ask(Method::PUT, &url, &[("content-type", media_type)], Some(bytes)).await?;
        if answer.is_tag_taken() {
            return Ok(Put::Taken);
        }
        let answer = answer.must_be(201, "did not take a manifest", &url)?;
        Ok(Put::Done { listed: answer.header("oci-subject").is_some() })
    }

    /// What refers to an image, as the registry lists it or, where it keeps no such list, as whoever pushed it has.
    ///
    /// # Errors
    /// What the registry says.
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
                // A registry without such a list, or whose list the caller may not read.
                400..500 => return self.listed(subject).await,
                _ => return answer.must_be(200, "did not list what refers to an image", &url).map(|_| Vec::new()),
            }
        }
        if found.is_empty() { self.listed(subject).await } else { Ok(found) }
    }

    /// The list under the tag for it.
    async fn listed(&self, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let tag = subject.referrers_tag();
        match self.manifest(&tag).await? {
            Some(list) => Ok(self.index(&list.bytes, &self.url(&format!("manifests/{tag}")))?.manifests),
            None => Ok(Vec::new()),
        }
    }

    /// Adds to the list of what refers to an image, where the registry keeps none by itself.
    ///
    /// # Errors
    /// What the registry says. A list that cannot be changed any more is left as it is: what is attached has tags of its
    /// own.
    pub async fn list(&self, subject: &Digest, attached: &[Descriptor]) -> Result<(), Failure> {
        let mut manifests = self.listed(subject).await?;
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

    fn index(&self, bytes: &[u8], url: &str) -> Result<Index, Failure> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.failure("gave a list that cannot be read", url, &error.to_string()))
    }
}

#[cfg(test)]
mod tests;
