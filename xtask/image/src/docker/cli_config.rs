//! The docker command's `config.json`
//! (<https://docs.docker.com/reference/cli/docker/#configuration-files>).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The settings that matter here. As in the docker command, `null` counts as not set.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct CliConfig {
    pub(super) current_context: Option<String>,
    pub(super) auths: Option<BTreeMap<String, SavedLogin>>,
    pub(super) creds_store: Option<String>,
    pub(super) cred_helpers: Option<BTreeMap<String, String>>,
}

/// What `docker login` saves without a credential store.
#[derive(Deserialize, Default)]
pub(super) struct SavedLogin {
    pub(super) auth: Option<String>,
    #[serde(rename = "identitytoken")]
    pub(super) identity_token: Option<String>,
}

/// The folder that `DOCKER_CONFIG` names, or the one in the user's home; `None` without either.
pub(super) fn folder(vars: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let home = || set("HOME").or_else(|| set("USERPROFILE")).map(|home| Path::new(home).join(".docker"));
    set("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

/// Reads the file. One that is missing or empty has no settings; so has one that cannot be read, with a warning: the
/// docker command does the same.
pub(super) fn load(vars: &BTreeMap<String, String>) -> (CliConfig, Option<String>) {
    let Some(path) = folder(vars).map(|folder| folder.join("config.json")) else { return Default::default() };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Default::default(),
        Err(error) => return (CliConfig::default(), Some(ignored(&path, &error.to_string()))),
    };
    if text.trim_ascii().is_empty() {
        return Default::default();
    }
    if text.starts_with("\u{feff}".as_bytes()) {
        let reason = "it begins with a byte order mark; save it as UTF-8 without one";
        return (CliConfig::default(), Some(ignored(&path, reason)));
    }
    match serde_json::from_slice::<Option<CliConfig>>(&text) {
        Ok(config) => (config.unwrap_or_default(), None),
        // Only the position: the message could show a value, such as a password.
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            (CliConfig::default(), Some(ignored(&path, &format!("it cannot be read at {place}"))))
        }
    }
}

fn ignored(path: &Path, reason: &str) -> String {
    format!("{} is ignored, as the docker command does: {reason}", path.display())
}
