//! Which engine the docker CLI would talk to: `DOCKER_HOST`, else the current context
//! (<https://docs.docker.com/engine/manage-resources/contexts/>).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::image::hex;

const DEFAULT: &str = if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };

#[derive(Deserialize)]
struct CliConfig {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: String,
}

/// The engine's address.
///
/// # Errors
/// A context that is named but cannot be read, or that needs TLS files, which only `DOCKER_HOST` with
/// `DOCKER_CERT_PATH` gives here.
pub(crate) fn find(vars: &BTreeMap<String, String>) -> Result<String, String> {
    let host = named(vars)?;
    // The library hands host and port to ssh as one name.
    let ssh = host.strip_prefix("ssh://").map(|rest| rest.split('/').next().unwrap_or(rest));
    if ssh.is_some_and(|authority| authority.contains(':')) {
        return Err(format!("{host}: put the port into ~/.ssh/config, under a Host of its own"));
    }
    Ok(host)
}

fn named(vars: &BTreeMap<String, String>) -> Result<String, String> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty()).cloned();
    if let Some(host) = set("DOCKER_HOST") {
        return Ok(host);
    }
    let folder = set("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| set("HOME").or_else(|| set("USERPROFILE")).map(|home| Path::new(&home).join(".docker")));
    let Some(folder) = folder else { return Ok(DEFAULT.to_owned()) };
    let name = match set("DOCKER_CONTEXT") {
        Some(name) => name,
        None => current_context(&folder)?,
    };
    if name.is_empty() || name == "default" { Ok(DEFAULT.to_owned()) } else { context_host(&folder, &name) }
}

fn current_context(folder: &Path) -> Result<String, String> {
    let path = folder.join("config.json");
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice::<CliConfig>(&text)
            .map(|config| config.current_context)
            .map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The CLI files a context under the SHA-256 of its name.
fn context_host(folder: &Path, name: &str) -> Result<String, String> {
    let id = hex(&Sha256::digest(name.as_bytes()));
    let meta = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = std::fs::read(&meta).map_err(|error| format!("context {name:?}: {}: {error}", meta.display()))?;
    let meta: ContextMeta = serde_json::from_slice(&text).map_err(|error| format!("context {name:?}: {error}"))?;
    if folder.join("contexts/tls").join(&id).exists() {
        return Err(format!(
            "context {name:?} uses TLS files; set DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
        ));
    }
    let endpoint = meta.endpoints.get("docker").ok_or_else(|| format!("context {name:?} names no docker endpoint"))?;
    Ok(endpoint.host.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_variable_wins_over_the_context_and_the_context_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(find(&vars(&[])).unwrap(), DEFAULT);
        assert_eq!(find(&vars(&[("DOCKER_CONFIG", path)])).unwrap(), DEFAULT);

        let meta = folder.path().join("contexts/meta").join(hex(&Sha256::digest(b"far")));
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://far"}}}"#)
            .unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"currentContext":"far","auths":{}}"#).unwrap();
        assert_eq!(find(&vars(&[("DOCKER_CONFIG", path)])).unwrap(), "ssh://far");
        let both = vars(&[("DOCKER_CONFIG", path), ("DOCKER_HOST", "tcp://127.0.0.1:1")]);
        assert_eq!(find(&both).unwrap(), "tcp://127.0.0.1:1");
        let chosen = vars(&[("DOCKER_CONFIG", path), ("DOCKER_CONTEXT", "near")]);
        assert!(find(&chosen).unwrap_err().contains("near"));
        let with_port = vars(&[("DOCKER_HOST", "ssh://me@far:2222")]);
        assert!(find(&with_port).unwrap_err().contains("~/.ssh/config"));
    }
}
