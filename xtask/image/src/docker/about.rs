//! What an engine says about itself.

use std::path::PathBuf;

use super::Engine;
use super::call::{LOOKUP, ask};

/// What is known; the rest is left at nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The newest version of the API, as in `1.52`.
    pub api: Option<(u32, u32)>,
    /// Another engine, that answers as Docker would.
    pub is_podman: bool,
    pub windows: bool,
    pub rootless: bool,
    /// Where it keeps images and caches, on its own machine.
    pub folder: Option<PathBuf>,
}

/// Asks the engine.
pub async fn about(engine: &Engine) -> About {
    let (version, info) = tokio::join!(ask(LOOKUP, engine.docker.version()), ask(LOOKUP, engine.docker.info()));
    let mut about = About::default();
    if let Ok(version) = version {
        let numbers = |text: String| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        };
        about.api = version.api_version.and_then(numbers);
        about.is_podman = version.components.into_iter().flatten().any(|part| part.name.starts_with("Podman"));
        about.windows = version.os.as_deref() == Some("windows");
    }
    if let Ok(info) = info {
        about.rootless = info.security_options.into_iter().flatten().any(|option| option.contains("rootless"));
        about.folder = info.docker_root_dir.filter(|folder| !folder.is_empty()).map(PathBuf::from);
    }
    about
}
