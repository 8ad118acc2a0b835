//! The Docker engine: where it is, and the calls that the tool makes.
//!
//! `build` makes images through BuildKit, `push` sends them to a registry, `container` runs them on this machine. None
//! of them knows what a release is. All calls go through `call`, which limits their time; `owner` decides what may be
//! changed.

pub mod build;
mod call;
mod cli_config;
pub mod container;
pub mod context;
mod host;
pub mod login;
mod owner;
pub mod push;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard::{API_DEFAULT_VERSION, Docker};

pub use call::MAKE_ROOM;
use host::Host;
use model::outcome::{Exit, Failure, FailureKind};
pub use owner::Owner;

/// An engine that responds.
#[derive(Debug, Clone)]
pub struct Engine {
    pub docker: Docker,
    pub host: Host,
    pub version: String,
    /// Ignored problems of the docker command's settings.
    pub warnings: Vec<String>,
}

/// Connects to the engine that the docker command would use, and checks that it responds.
///
/// # Errors
/// A failure with what to install or start.
pub async fn connect(vars: &BTreeMap<String, String>) -> Result<Engine, Failure> {
    let (host, warnings) = host::resolve(vars);
    let fail = |resource: &str, reason: String, hint: String| {
        let failure = Failure::new(Exit::Preflight, FailureKind::Docker, "the Docker engine does not answer");
        let failure = failure.resource(resource).reason(reason).hint(hint);
        warnings.iter().fold(failure, |failure, warning| failure.note(warning))
    };
    let host = host.map_err(|reason| {
        let hint =
            "correct it, or use this machine's engine: unset DOCKER_HOST DOCKER_CONTEXT; docker context use default";
        fail("the docker command's settings", reason, hint.to_owned())
    })?;
    let unreachable = |reason: String| {
        let hint = host.hint(&reason);
        fail(&host.to_string(), reason, hint)
    };
    let docker = open(&host, vars).map_err(|error| unreachable(call::explain(&error)))?;
    let version = call::within(call::LOOKUP, docker.version()).await.map_err(|error| unreachable(error.reason))?;
    Ok(Engine { docker, host, version: version.version.unwrap_or_default(), warnings })
}

/// Whether the engine that the docker command would use is reached without TLS and ssh, or there is none.
pub fn is_plain(vars: &BTreeMap<String, String>) -> bool {
    host::resolve(vars).0.map_or(true, |host| host.is_plain(vars))
}

fn open(host: &Host, vars: &BTreeMap<String, String>) -> Result<Docker, bollard::errors::Error> {
    let limit = call::SILENCE.as_secs();
    // The library would take an empty `DOCKER_TLS_VERIFY` for a yes.
    #[cfg(feature = "tls")]
    if let Some(files) = &host.tls {
        let [ca, certificate, key] = host::TLS_FILES.map(|name| files.join(name));
        return Docker::connect_with_ssl(&host.url, &key, &certificate, &ca, limit, API_DEFAULT_VERSION);
    }
    if host.is_plain_tcp(vars) {
        return Docker::connect_with_http(&host.url, limit, API_DEFAULT_VERSION);
    }
    Ok(Docker::connect_with_host(&host.url)?.with_timeout(call::SILENCE))
}

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
    let (version, info) = tokio::join!(
        call::within(call::LOOKUP, engine.docker.version()),
        call::within(call::LOOKUP, engine.docker.info())
    );
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

/// Bytes as megabytes of 1000 × 1000 bytes.
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
