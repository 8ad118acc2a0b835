//! Which engine the docker command would use: `DOCKER_HOST`, else the current context
//! (<https://docs.docker.com/engine/manage-resources/contexts/>).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::cli_config;
use model::reference::hex;

const DEFAULT: &str = if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_verification: bool,
}

/// The files of mutual TLS between client and engine.
pub(super) const TLS_FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// An engine's address. It never has a password: the docker command accepts none in an address either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// With a scheme, and without user and password, except ssh's user.
    pub(super) url: String,
    /// The context that names it.
    context: Option<String>,
    /// The folder of `ca.pem`, `cert.pem` and `key.pem`, if the context has one.
    pub(super) tls: Option<PathBuf>,
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context {
            Some(context) => write!(formatter, "{} (docker context {context:?})", self.url),
            None => formatter.write_str(&self.url),
        }
    }
}

impl Host {
    /// Whether its published ports are on this machine.
    pub fn is_local(&self) -> bool {
        let Some((scheme, rest)) = self.url.split_once("://") else { return false };
        match scheme {
            "unix" | "npipe" => true,
            "tcp" | "http" | "https" => {
                let name = rest.rsplit_once(':').map_or(rest, |(name, _)| name);
                let name = name.trim_matches(['[', ']']);
                name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            _ => false,
        }
    }

    /// Whether the engine's files are on this machine.
    pub fn is_socket(&self) -> bool {
        self.url.starts_with("unix://")
    }

    /// Whether neither TLS nor ssh lies between.
    pub(super) fn is_plain(&self, vars: &BTreeMap<String, String>) -> bool {
        self.is_socket() || self.url.starts_with("npipe://") || self.is_plain_tcp(vars)
    }

    pub(super) fn is_plain_tcp(&self, vars: &BTreeMap<String, String>) -> bool {
        let is_tcp = self.url.starts_with("tcp://") || self.url.starts_with("http://");
        is_tcp && self.tls.is_none() && vars.get("DOCKER_TLS_VERIFY").is_none_or(String::is_empty)
    }

    /// The next step if it does not respond.
    pub(super) fn hint(&self, reason: &str) -> String {
        if let Some(context) = &self.context {
            format!(
                "check that an engine answers there (docker --context {context} version), or use this machine's: docker \
                 context use default"
            )
        } else if !self.is_socket() && !self.url.starts_with("npipe://") {
            format!("check that an engine answers there: docker --host {} version", self.url)
        } else if reason.contains("ermission denied") {
            "add yourself to the group docker (sudo usermod -aG docker $USER), log in again, or set DOCKER_HOST"
                .to_owned()
        } else {
            "install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or \
             point DOCKER_HOST at a running engine"
                .to_owned()
        }
    }
}

/// The engine's address, or why there is none; with warnings about the docker command's settings.
pub(super) fn resolve(vars: &BTreeMap<String, String>) -> (Result<Host, String>, Vec<String>) {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let tls = set("DOCKER_TLS_VERIFY").is_some();
    if let Some(host) = set("DOCKER_HOST") {
        let mut warnings = Vec::new();
        let url = address(host, tls, &mut warnings).map_err(|reason| format!("DOCKER_HOST: {reason}"));
        return (url.map(|url| Host { url, ..Host::default() }), warnings);
    }
    let (config, warning) = cli_config::load(vars);
    let mut warnings: Vec<String> = warning.into_iter().collect();
    let name = set("DOCKER_CONTEXT").cloned().or(config.current_context).unwrap_or_default();
    let host = match cli_config::folder(vars) {
        Some(folder) if !name.is_empty() && name != "default" => context_host(&folder, &name)
            .and_then(|(host, files)| Ok((address(&host, tls || files.is_some(), &mut warnings)?, files)))
            .map(|(url, tls)| Host { url, context: Some(name.clone()), tls })
            .map_err(|reason| format!("docker context {name:?}: {reason}")),
        _ => Ok(Host { url: DEFAULT.to_owned(), ..Host::default() }),
    };
    (host, warnings)
}

/// Reads an address as the docker command does: the scheme defaults to TCP, host and port to theirs.
fn address(text: &str, tls: bool, warnings: &mut Vec<String>) -> Result<String, String> {
    let text = text.trim();
    if text.starts_with('/') {
        return Err(format!("{text} has no scheme; a socket is unix://{text}"));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    // At the last one: a password may contain the character.
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    match scheme {
        "unix" | "npipe" if (scheme == "unix") == cfg!(unix) => {
            Ok(if rest.is_empty() { DEFAULT.to_owned() } else { text.to_owned() })
        }
        "ssh" if user.is_some_and(|user| user.contains(':')) => {
            Err(format!("ssh://…@{place} has a password, which ssh does not take; use a key"))
        }
        // The library passes host and port to ssh as one name.
        "ssh" if place.split('/').next().is_some_and(|authority| authority.contains(':')) => {
            Err(format!("{text}: put the port into ~/.ssh/config, under a Host of its own"))
        }
        "ssh" => Ok(text.to_owned()),
        "tcp" | "http" | "https" => {
            if user.is_some() {
                warnings.push(format!("user and password in the address of the engine at {place} are not used"));
            }
            let place = place.trim_end_matches('/');
            let (name, port) = match place.rsplit_once(':') {
                Some((name, port)) if !port.contains(']') => (name, port),
                _ => (place, if tls || scheme == "https" { "2376" } else { "2375" }),
            };
            Ok(format!("{scheme}://{}:{port}", if name.is_empty() { "localhost" } else { name }))
        }
        "fd" => {
            Err("fd:// is where an engine listens; clients use its socket, such as unix:///var/run/docker.sock".into())
        }
        "unix" | "npipe" => Err(format!("{scheme}:// addresses do not exist on this system")),
        other => Err(format!("{other}:// is not supported; use unix://, npipe://, tcp:// or ssh://")),
    }
}

/// The address of a context, and the folder of its TLS files. The docker command stores a context under the SHA-256 of
/// its name, with its engine's files in a folder `docker`.
fn context_host(folder: &Path, name: &str) -> Result<(String, Option<PathBuf>), String> {
    let id = hex(&Sha256::digest(name.as_bytes()));
    let meta = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = std::fs::read(&meta).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such context (docker context ls)".to_owned(),
        _ => format!("{}: {error}", meta.display()),
    })?;
    let meta: ContextMeta =
        serde_json::from_slice(&text).map_err(|error| format!("{} cannot be read: {error}", meta.display()))?;
    let endpoint = meta.endpoints.get("docker").ok_or("it names no docker endpoint")?;
    if endpoint.skip_verification {
        return Err("it does not verify the engine's certificate (SkipTLSVerify); give it the engine's CA".to_owned());
    }
    let tls = folder.join("contexts/tls").join(&id).join("docker");
    if !tls.exists() {
        return Ok((endpoint.host.clone(), None));
    }
    match TLS_FILES.iter().find(|name| !tls.join(name).is_file()) {
        Some(missing) => Err(format!("{} has no {missing}", tls.display())),
        None => Ok((endpoint.host.clone(), Some(tls))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn found(pairs: &[(&str, &str)]) -> String {
        resolve(&vars(pairs)).0.unwrap().to_string()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        resolve(&vars(pairs)).0.unwrap_err()
    }

    fn context(folder: &Path, name: &str, host: &str) {
        let meta = folder.join("contexts/meta").join(hex(&Sha256::digest(name.as_bytes())));
        std::fs::create_dir_all(&meta).unwrap();
        let text = serde_json::json!({"Name": name, "Endpoints": {"docker": {"Host": host}}});
        std::fs::write(meta.join("meta.json"), text.to_string()).unwrap();
    }

    #[test]
    fn the_variable_wins_over_the_context_and_the_context_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(found(&[]), DEFAULT);
        assert_eq!(found(&[("DOCKER_CONFIG", path)]), DEFAULT);

        context(folder.path(), "far", "ssh://far");
        std::fs::write(folder.path().join("config.json"), r#"{"currentContext":"far","auths":{}}"#).unwrap();
        assert_eq!(found(&[("DOCKER_CONFIG", path)]), "ssh://far (docker context \"far\")");
        let both = [("DOCKER_CONFIG", path), ("DOCKER_HOST", "tcp://127.0.0.1:1")];
        assert_eq!(found(&both), "tcp://127.0.0.1:1");
        let chosen = [("DOCKER_CONFIG", path), ("DOCKER_CONTEXT", "near")];
        assert_eq!(refused(&chosen), "docker context \"near\": there is no such context (docker context ls)");
        assert!(refused(&[("DOCKER_HOST", "ssh://me@far:2222")]).contains("~/.ssh/config"));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_ignored_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let cases: [(&[u8], bool); 6] = [
            (b"", false),
            (b" \n", false),
            (br#"{"currentContext":null,"auths":null,"credsStore":null}"#, false),
            (b"null", false),
            (b"{\"currentContext\": \"far\"", true),
            (b"\xef\xbb\xbf{\"currentContext\": \"far\"}", true),
        ];
        for (text, warns) in cases {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            let (host, warnings) = resolve(&vars(&[("DOCKER_CONFIG", path)]));
            assert_eq!(host.unwrap().to_string(), DEFAULT, "{text:?}");
            assert_eq!(warnings.iter().any(|warning| warning.contains("config.json is ignored")), warns, "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn addresses_are_read_as_the_docker_command_reads_them() {
        for (text, expected) in [
            ("127.0.0.1:2375", "tcp://127.0.0.1:2375"),
            ("localhost", "tcp://localhost:2375"),
            ("tcp://", "tcp://localhost:2375"),
            ("tcp://:1234", "tcp://localhost:1234"),
            ("tcp://far", "tcp://far:2375"),
            ("[::1]:2375", "tcp://[::1]:2375"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("http://far:1/", "http://far:1"),
            ("https://far", "https://far:2376"),
            ("unix://", DEFAULT),
            ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
            ("ssh://me@far", "ssh://me@far"),
        ] {
            assert_eq!(found(&[("DOCKER_HOST", text)]), expected, "{text}");
        }
        assert_eq!(found(&[("DOCKER_HOST", "far"), ("DOCKER_TLS_VERIFY", "1")]), "tcp://far:2376");
        for (text, words) in [
            ("/var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("fd://", "where an engine listens"),
            ("npipe:////./pipe/docker_engine", "do not exist on this system"),
            ("gopher://far", "gopher:// is not supported"),
        ] {
            let reason = refused(&[("DOCKER_HOST", text)]);
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_dropped() {
        for text in ["tcp://user:s3cret@far:2375", "user:s3cret@far:2375", "tcp://user:s3c@ret/s3cret@far:2375"] {
            let (host, warnings) = resolve(&vars(&[("DOCKER_HOST", text)]));
            let shown = format!("{host:?} {warnings:?}");
            assert!(!shown.contains("s3c") && shown.contains("tcp://far:2375"), "{shown}");
            assert_eq!(warnings, ["user and password in the address of the engine at far:2375 are not used"]);
        }
        for text in ["ssh://user:s3cret@far", "gopher://user:s3cret@far", "fd://user:s3cret@far"] {
            let shown = format!("{:?}", resolve(&vars(&[("DOCKER_HOST", text)])));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn only_an_engine_on_this_machine_is_local() {
        let is_local = |url: &str| Host { url: url.to_owned(), ..Host::default() }.is_local();
        for url in ["unix:///x", "npipe:////./pipe/x", "tcp://localhost:1", "tcp://127.0.0.5:1", "http://[::1]:1"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["ssh://far", "tcp://far:1", "tcp://127.example.com:1", "tcp://localhost.example.com:1"] {
            assert!(!is_local(url), "{url}");
        }
    }
}
