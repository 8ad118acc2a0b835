//! What is attached to an image.

use serde::Serialize;

use crate::provenance;
use crate::reference::Digest;

/// Media type of an SBOM (<https://www.iana.org/assignments/media-types/application/vnd.cyclonedx+json>).
const SBOM: &str = "application/vnd.cyclonedx+json";

/// What is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sbom,
    Provenance,
}

/// An attached document, as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attestation {
    /// What it is.
    pub kind: Kind,
    /// The digest of its manifest in the registry.
    #[cfg_attr(test, schemars(regex(pattern = "^sha256:[0-9a-f]{64}$")))]
    pub digest: String,
    /// `sbom`: number of packages that are compiled into the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<usize>,
    /// `provenance`: who built the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// `provenance`: where the sources are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// `provenance`: the commit that it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// `provenance`: the page of the pipeline's run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Sbom, Self::Provenance];

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Sbom => SBOM,
            Self::Provenance => provenance::KIND,
        }
    }

    /// The tag of the attached manifest: lifecycle rules remove what has no tag, and not every client can list
    /// referrers.
    pub fn tag(self, image: &Digest) -> String {
        let end = match self {
            Self::Sbom => "sbom",
            Self::Provenance => "provenance",
        };
        format!("{}.{end}", image.referrers_tag())
    }
}

/// The digest of the image that a manifest with this tag is attached to, by [`Kind::tag`] or the specification's list.
pub fn subject(tag: &str) -> Option<Digest> {
    let hex = tag.strip_prefix("sha256-")?.split('.').next()?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::ImageReference;

    #[test]
    fn a_tag_names_the_image_it_is_attached_to() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        for kind in Kind::ALL {
            let tag = kind.tag(&digest);
            assert_eq!(subject(&tag), Some(digest.clone()), "{tag}");
            let image = ImageReference::tagged("127.0.0.1:5000", "rest-api", &tag);
            assert_eq!(image.to_string().parse(), Ok(image), "a registry takes the tag");
        }
        assert_eq!(subject(&digest.referrers_tag()), Some(digest));
        for other in ["content-0123456789ab", "sha256-abc", "v1.0.0"] {
            assert_eq!(subject(other), None, "{other}");
        }
    }
}
