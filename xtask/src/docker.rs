//! The Docker engine: where it is, and what the tool asks of it.
//!
//! `build` makes images through BuildKit, `push` sends them to a registry, `container` runs them on this machine. None
//! of them knows what a release is.

mod about;
pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod context;
mod host;
pub(crate) mod login;
pub(crate) mod push;

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;

use crate::outcome::{Exit, Failure};
pub(crate) use about::{About, about};

/// How long the engine may take to begin an answer; a build or push then streams for as long as it needs.
const ANSWER: Duration = Duration::from_secs(600);

/// An engine that has answered.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    /// Its address, for messages.
    pub(crate) host: String,
    pub(crate) version: String,
}

impl Engine {
    /// Whether its published ports are on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let local = ["unix://", "npipe://", "tcp://127.", "tcp://localhost", "http://127.", "http://localhost"];
        local.iter().any(|start| self.host.starts_with(start))
    }
}

/// Connects to the engine that the docker CLI would use, and checks that it answers.
///
/// # Errors
/// A failure that tells what to install or start.
pub(crate) async fn connect(vars: &BTreeMap<String, String>) -> Result<Engine, Failure> {
    let fail = |host: &str, reason: String| {
        Failure::new(Exit::Preflight, "docker", "the Docker engine does not answer")
            .resource(host)
            .hint(hint(host, &reason))
            .reason(reason)
    };
    let host = host::find(vars).map_err(|reason| fail("docker context", reason))?;
    let docker = Docker::connect_with_host(&host).map_err(|error| fail(&host, explain(&error)))?.with_timeout(ANSWER);
    let version = docker.version();
    match tokio::time::timeout(Duration::from_secs(20), version).await {
        Ok(Ok(version)) => Ok(Engine { docker, host, version: version.version.unwrap_or_default() }),
        Ok(Err(error)) => Err(fail(&host, explain(&error))),
        Err(_) => Err(fail(&host, "no answer within 20 s".to_owned())),
    }
}

/// The engine's own words, without the wrapping.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}

/// Whether the engine said that there is no such thing.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

fn hint(host: &str, reason: &str) -> String {
    if host.starts_with("ssh://") || host.starts_with("tcp://") {
        format!("check that an engine answers there: docker --host {host} version")
    } else if reason.contains("ermission denied") {
        "add yourself to the group docker (sudo usermod -aG docker $USER), log in again, or set DOCKER_HOST".to_owned()
    } else {
        "install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or point \
         DOCKER_HOST at a running engine"
            .to_owned()
    }
}

/// Bytes as a person reads them, in units of 1000.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
