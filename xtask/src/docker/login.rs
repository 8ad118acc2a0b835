//! Passwords of registries, as `docker login` has written them into the docker CLI's configuration
//! (<https://docs.docker.com/reference/cli/docker/login/>). Programs that keep them elsewhere are not asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

use super::push::Credentials;

#[derive(Deserialize)]
struct CliConfig {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    auth: String,
}

/// User and password for the registry at `host`; `None` where nobody has logged in.
pub(crate) fn credentials(vars: &BTreeMap<String, String>, host: &str) -> Option<Credentials> {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let home = || set("HOME").or_else(|| set("USERPROFILE")).map(|home| Path::new(home).join(".docker"));
    let folder = set("DOCKER_CONFIG").map(PathBuf::from).or_else(home)?;
    let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
    let mut config: CliConfig = serde_json::from_str(&text).ok()?;
    let bytes = STANDARD.decode(config.auths.remove(host)?.auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: SecretString::from(password) })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_login_is_found_by_its_host() {
        let folder = tempfile::tempdir().unwrap();
        let auth = STANDARD.encode("somebody:s3cret:2");
        let text = serde_json::json!({ "auths": { "ghcr.io": { "auth": auth }, "kept.example": {} } }).to_string();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let vars = BTreeMap::from([("DOCKER_CONFIG".to_owned(), folder.path().to_str().unwrap().to_owned())]);
        let found = credentials(&vars, "ghcr.io").unwrap();
        assert_eq!((found.user.as_str(), found.password.expose_secret()), ("somebody", "s3cret:2"));
        for nobody in ["kept.example", "docker.io"] {
            assert!(credentials(&vars, nobody).is_none(), "{nobody}");
        }
        assert!(credentials(&BTreeMap::new(), "ghcr.io").is_none());
    }
}
