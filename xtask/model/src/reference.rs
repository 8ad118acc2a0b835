//! Names of images: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
//!
//! The grammar is the distribution project's (<https://github.com/distribution/reference>), without the defaults that
//! lead to a public registry: the host is required.

use std::fmt;
use std::str::FromStr;

/// A checked image reference with a host, and a tag, a digest or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    pub host: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {reason}; a good one is HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

impl ImageReference {
    pub fn tagged(host: &str, repository: &str, tag: &str) -> Self {
        Self { host: host.into(), repository: repository.into(), tag: Some(tag.into()), digest: None }
    }

    /// The same repository by digest alone, as in a stack's parameter.
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// `HOST/REPOSITORY`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

impl Digest {
    /// The tag of an image's referrers list in registries without `referrers`
    /// (<https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema>).
    pub fn referrers_tag(&self) -> String {
        self.as_str().replacen(':', "-", 1)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").ok_or("a digest starts with sha256:")?;
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a digest has 64 lower-case hexadecimal digits")
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| InvalidReference { text: text.to_owned(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(fail)?)),
            None => (text, None),
        };
        let (host, path) = rest.split_once('/').ok_or_else(|| fail("it has no host"))?;
        if !is_host(host) {
            return Err(fail("its first part is not a registry's host"));
        }
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !repository.split('/').all(is_component) {
            return Err(fail("its repository is not lower-case letters, digits and ._-/"));
        }
        if !tag.is_none_or(is_tag) {
            return Err(fail("its tag is not letters, digits and ._- (at most 128)"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(fail("it has neither tag nor digest"));
        }
        Ok(Self { host: host.into(), repository: repository.into(), tag: tag.map(Into::into), digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The text with twelve digits of each SHA-256 in it, as people read digests and tags.
pub fn short(text: &str) -> String {
    let is_digit = |char: char| matches!(char, '0'..='9' | 'a'..='f');
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(is_digit) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|char| !is_digit(char)).unwrap_or(from.len());
        out.push_str(before);
        out.push_str(&from[..if length == 64 { 12 } else { length }]);
        rest = &from[length..];
    }
    out + rest
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether it is a host and not the first part of a path: it has a dot or a port, or is `localhost`.
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    named
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (name.contains('.') || port.is_some() || name == "localhost")
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    alphanumeric(text.bytes().next())
        && alphanumeric(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn good_references_are_taken_apart() {
        let text = format!("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/rest-api:v1@sha256:{HEX}");
        let image: ImageReference = text.parse().unwrap();
        assert_eq!(image.repository, "team/rest-api");
        assert_eq!(image.tag.as_deref(), Some("v1"));
        assert_eq!(image.digest.as_ref().unwrap().as_str(), format!("sha256:{HEX}"));
        assert_eq!(image.to_string(), text);
        let local: ImageReference = "127.0.0.1:4570/rest-api:content-0".parse().unwrap();
        assert_eq!(local.host, "127.0.0.1:4570");
        assert_eq!(short(image.digest.as_ref().unwrap().as_str()), "sha256:0123456789ab");
        let tag = format!("api:content-{0}, {0}0, source-{0}", "0123456789abcdef".repeat(4));
        let shown = format!("api:content-0123456789ab, {}0, source-0123456789ab", "0123456789abcdef".repeat(4));
        assert_eq!((short(&tag), short("sha256:0123")), (shown, "sha256:0123".to_owned()));
        let pinned = local.pinned(&format!("sha256:{HEX}").parse().unwrap());
        assert_eq!(pinned.to_string(), format!("127.0.0.1:4570/rest-api@sha256:{HEX}"));
    }

    #[test]
    fn bad_references_say_why() {
        for (text, reason) in [
            ("rest-api:latest", "no host"),
            ("team/rest-api:v1", "not a registry's host"),
            ("https://example.com/rest-api:v1", "not a registry's host"),
            ("example.com/rest-api", "neither tag nor digest"),
            ("example.com/Rest-API:v1", "lower-case"),
            ("example.com//rest-api:v1", "lower-case"),
            ("example.com/rest-api:", "its tag"),
            ("example.com/rest-api@sha256:abc", "64 lower-case"),
            ("example.com/rest-api@md5:abc", "sha256"),
            ("example.com:0/rest-api:v1", "host"),
        ] {
            let error = text.parse::<ImageReference>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "[a-z0-9.:-]{0,12}/?[A-Za-z0-9/._-]{0,20}:?[a-zA-Z0-9._-]{0,8}(@sha256:[0-9a-f]{64})?") {
            if let Ok(image) = text.parse::<ImageReference>() {
                prop_assert_eq!(image.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            drop(text.parse::<ImageReference>());
        }
    }
}
