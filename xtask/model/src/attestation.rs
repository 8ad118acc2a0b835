//! What is attached to an image.

use serde::Serialize;

use crate::provenance;
use crate::reference::Digest;

/// Media type of an SBOM (<https://www.iana.org/assignments/media-types/application/vnd.cyclonedx+json>).
const SBOM: &str = "application/vnd.cyclonedx+json";

/// What is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sbom,
    Provenance,
}

/// Something that an image has, as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Attestation {
    pub kind: Kind,
    /// Of its manifest in the registry.
    pub digest: String,
    /// Packages that a bill of materials has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<usize>,
    /// What provenance says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
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

    /// The tag of what is attached: a name for the lifecycle, which takes what has none, and for those who cannot list.
    pub fn tag(self, image: &Digest) -> String {
        let end = match self {
            Self::Sbom => "sbom",
            Self::Provenance => "provenance",
        };
        format!("{}.{end}", image.referrers_tag())
    }
}

/// Digest of the image that something with this tag is attached to, as [`Kind::tag`] or the specification's list names it.
pub fn subject(tag: &str) -> Option<Digest> {
    let hex = tag.strip_prefix("sha256-")?.split('.').next()?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::ImageReference;

    #[test]
    fn tags_say_what_they_are_attached_to() {
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
