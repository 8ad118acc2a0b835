//! What an engine reports about itself.

use std::path::PathBuf;

use super::Engine;
use super::call::{LOOKUP, within};

/// What is known; unknown values stay at their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The newest version of the API, as in `1.52`.
    pub api: Option<(u32, u32)>,
    /// Another engine with Docker's API.
    pub is_podman: bool,
    pub windows: bool,
    pub rootless: bool,
    /// Its data folder, on its own machine.
    pub folder: Option<PathBuf>,
}

/// Asks the engine.
pub async fn about(engine: &Engine) -> About {
    let (version, info) = tokio::join!(within(LOOKUP, engine.docker.version()), within(LOOKUP, engine.docker.info()));
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
