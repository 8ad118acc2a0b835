//! Whether an environment can run what a manifest describes, before a stack gets it.

use serde::Deserialize;

use image::oci::Descriptor;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::reference::ImageReference;

/// Configurations that an engine runs
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md>). Charts and other artifacts have their own.
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    manifests: Option<Vec<Part>>,
}

/// An image of an index.
#[derive(Deserialize)]
struct Part {
    platform: Option<Place>,
}

/// What an index and a configuration say of the machine that an image is for.
#[derive(Deserialize)]
struct Place {
    os: String,
    architecture: String,
}

/// Where an image is to run.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Target<'a> {
    pub(in crate::commands) image: &'a ImageReference,
    pub(in crate::commands) environment: &'a str,
    pub(in crate::commands) platform: Platform,
}

impl Target<'_> {
    /// Refuses what is no image, and an index without one for the platform. A single image is answered with its
    /// configuration, which says what it is for.
    ///
    /// # Errors
    /// That.
    pub(super) fn check(self, manifest: &str) -> Result<Option<Descriptor>, Failure> {
        let manifest: Manifest = serde_json::from_str(manifest)
            .map_err(|error| self.refusal(format!("its manifest cannot be read: {error}")))?;
        match manifest {
            Manifest { artifact_type: Some(kind), .. } => Err(self.refusal(format!("it is {kind}, and no image"))),
            Manifest { manifests: Some(parts), .. } => {
                let of = |part: Part| part.platform.map(|place| place.text());
                let there: Vec<String> = parts.into_iter().filter_map(of).collect();
                if there.iter().any(|one| one == self.platform.oci()) { Ok(None) } else { Err(self.other(&there)) }
            }
            Manifest { config: Some(config), .. } if CONFIGURATIONS.contains(&config.media_type.as_str()) => {
                Ok(Some(config))
            }
            Manifest { config: Some(config), .. } => {
                Err(self.refusal(format!("it is {}, and no image", config.media_type)))
            }
            Manifest { .. } => Err(self.refusal("its manifest is neither of an image nor of an index".to_owned())),
        }
    }

    /// Refuses an image that is for another platform, as its configuration says.
    ///
    /// # Errors
    /// That.
    pub(super) fn check_configuration(self, bytes: &[u8]) -> Result<(), Failure> {
        let place: Place = serde_json::from_slice(bytes)
            .map_err(|error| self.refusal(format!("its configuration does not say what it is for: {error}")))?;
        let there = place.text();
        if there == self.platform.oci() { Ok(()) } else { Err(self.other(&[there])) }
    }

    fn other(self, there: &[String]) -> Failure {
        let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
        self.refusal(format!("it is for {there}, and {} runs {}", self.environment, self.platform.oci()))
    }

    fn refusal(self, reason: String) -> Failure {
        Failure::new(Exit::Preflight, FailureKind::Image, "the image cannot run in this environment")
            .resource(self.image.to_string())
            .reason(reason)
            .hint(format!(
                "name an image for {}; the environment's parameter Architecture decides",
                self.platform.oci()
            ))
    }
}

impl Place {
    fn text(self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(image: &ImageReference) -> Target<'_> {
        Target { image, environment: "dev", platform: Platform::Amd64 }
    }

    #[test]
    fn what_cannot_run_is_told_from_its_manifest() {
        let image = format!("registry.example/rest-api@sha256:{}", "a".repeat(64)).parse().unwrap();
        let config = |kind: &str| format!(r#"{{"config":{{"mediaType":"{kind}","digest":"sha256:1","size":2}}}}"#);
        let refused = |manifest: &str| target(&image).check(manifest).unwrap_err().reason.unwrap();
        assert!(target(&image).check(&config(CONFIGURATIONS[0])).unwrap().is_some());
        assert!(target(&image).check(&config(CONFIGURATIONS[1])).unwrap().is_some());
        let helm = "application/vnd.cncf.helm.config.v1+json";
        assert_eq!(refused(&config(helm)), format!("it is {helm}, and no image"));
        let sbom = r#"{"artifactType":"application/spdx+json","config":null}"#;
        assert_eq!(refused(sbom), "it is application/spdx+json, and no image");
        let place =
            |os: &str, processor: &str| format!(r#"{{"platform":{{"os":"{os}","architecture":"{processor}"}}}}"#);
        let index = |parts: &[String]| format!(r#"{{"manifests":[{}]}}"#, parts.join(","));
        let both = [place("linux", "arm64"), place("linux", "amd64")];
        assert!(target(&image).check(&index(&both)).unwrap().is_none());
        let other = [place("linux", "arm64"), place("unknown", "unknown")];
        assert_eq!(refused(&index(&other)), "it is for linux/arm64, unknown/unknown, and dev runs linux/amd64");
        assert_eq!(refused(&index(&[])), "it is for nothing, and dev runs linux/amd64");
        assert!(refused("{}").contains("neither of an image nor of an index"));
        assert!(refused("no JSON").contains("cannot be read"));
        let said = |text: &str| target(&image).check_configuration(text.as_bytes());
        assert!(said(r#"{"os":"linux","architecture":"amd64"}"#).is_ok());
        let arm = said(r#"{"os":"linux","architecture":"arm64"}"#).unwrap_err();
        assert_eq!(arm.reason.unwrap(), "it is for linux/arm64, and dev runs linux/amd64");
        assert!(said("{}").is_err());
    }
}
