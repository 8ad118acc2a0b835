//! Runs the service's image on the engine: with few permissions, on a loopback port, labelled with its owner.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HostConfig, PortBinding,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::StreamExt;
use time::OffsetDateTime;

use super::call::{self, CHANGE, CallError, LOOKUP, within};
use super::owner::{self, Owner};
use model::outcome::Failure;

/// Label of a container's purpose: `service` or `candidate`.
const PURPOSE: &str = "xtask.purpose";
/// Time for a container to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);
/// Lines of a container's log that a failure shows.
const LOG_TAIL: &str = "20";
/// How many names are tried if the user has containers of these names.
const NAMES: usize = 9;

/// Engines' messages about a port that is taken or reserved.
const PORT_TAKEN: [&str; 6] = [
    "port is already allocated",
    "address already in use",
    "ports are not available",
    "only one usage of each socket address",
    "in a way forbidden by its access permissions",
    "proxy already running",
];

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serves on the service's port.
    Service,
    /// Is checked for health, on a port of its own.
    Candidate,
}

/// A container to run.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    pub owner: &'a Owner,
    pub purpose: Purpose,
    pub name: &'a str,
    /// Id or reference of the image.
    pub image: &'a str,
    /// Port inside the container.
    pub port: u16,
    /// Port on 127.0.0.1; `None` takes a free one.
    pub host_port: Option<u16>,
    pub environment: Vec<String>,
}

/// A container that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub purpose: Purpose,
    pub image: String,
    /// It runs, or is paused, and holds its port.
    pub running: bool,
    pub paused: bool,
    /// It was never started.
    pub fresh: bool,
    pub exit_code: i64,
    /// The port on 127.0.0.1: the published one, or the requested one while it does not run.
    pub host_port: Option<u16>,
    pub environment: Vec<String>,
    created: Option<OffsetDateTime>,
}

/// Containers of one service.
#[derive(Debug, Default)]
pub struct Containers {
    /// Of this checkout, the newest first.
    pub own: Vec<Container>,
    pub others: Vec<OtherContainer>,
}

/// A container of the service that another checkout started, or an earlier version of this tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherContainer {
    pub name: String,
    /// The checkout's folder, if known.
    pub folder: Option<String>,
}

/// Why a container did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("port {port} on 127.0.0.1 is not available: {reason}")]
    PortTaken { port: u16, reason: String },
    #[error("{reason}")]
    Engine { reason: String, hint: Option<&'static str> },
}

impl StartError {
    /// The next step, if the engine itself has a problem.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PortTaken { .. } => None,
            Self::Engine { hint, .. } => *hint,
        }
    }
}

/// Creates a container without starting it and returns its id. A name that is taken gets a number.
///
/// # Errors
/// An engine that fails.
pub async fn create(docker: &Docker, spec: &Spec<'_>) -> Result<String> {
    let port = format!("{}/tcp", spec.port);
    let binding = PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(spec.host_port.unwrap_or_default().to_string()),
    };
    let mut labels = spec.owner.labels();
    labels.insert(PURPOSE.to_owned(), spec.purpose.label().to_owned());
    let body = ContainerCreateBody {
        image: Some(spec.image.to_owned()),
        env: Some(spec.environment.clone()),
        labels: Some(labels),
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
            // What runs on this machine itself has this name on every platform; Docker Desktop defines it by itself.
            extra_hosts: Some(vec!["host.docker.internal:host-gateway".to_owned()]),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(256),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let mut attempt = 1;
    loop {
        let name = if attempt == 1 { spec.name.to_owned() } else { format!("{}-{attempt}", spec.name) };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        match within(CHANGE, docker.create_container(Some(options), body.clone())).await {
            Ok(created) => return Ok(created.id),
            Err(error) if error.is_conflict() && attempt < NAMES => attempt += 1,
            Err(error) => return Err(error.failure(format!("cannot create container {name}")).into()),
        }
    }
}

/// The variables that an image sets itself.
///
/// # Errors
/// An engine that fails.
pub async fn image_environment(docker: &Docker, image: &str) -> Result<Vec<String>> {
    let inspected = within(LOOKUP, docker.inspect_image(image)).await;
    let inspected = inspected.map_err(|error| error.failure(format!("cannot look up image {image}")))?;
    Ok(inspected.config.and_then(|config| config.env).unwrap_or_default())
}

/// Starts a container, unless it runs already.
///
/// # Errors
/// A port that is in use, or an engine that fails.
pub async fn start(docker: &Docker, id: &str, port: Option<u16>) -> Result<(), StartError> {
    within(CHANGE, docker.start_container(id, None)).await.map_err(|error| match port {
        Some(port) if is_taken(port, &error.reason) => StartError::PortTaken { port, reason: error.reason },
        _ => StartError::Engine { hint: error.hint(), reason: error.reason },
    })
}

/// Whether a start failed because of the port. The messages differ by engine and platform and change with versions
/// (<https://github.com/docker/for-win/issues/12417>), so the port itself is tried too.
fn is_taken(port: u16, reason: &str) -> bool {
    let reason = reason.to_lowercase();
    PORT_TAKEN.iter().any(|words| reason.contains(words)) || std::net::TcpListener::bind(("127.0.0.1", port)).is_err()
}

/// The container of this name or id, if there is one.
///
/// # Errors
/// An engine that fails.
pub async fn find(docker: &Docker, name: &str) -> Result<Option<Container>> {
    let found = call::optional(docker.inspect_container(name, None)).await;
    Ok(found.map_err(|error| error.failure(format!("cannot look up container {name}")))?.map(from_inspected))
}

fn from_inspected(inspected: ContainerInspectResponse) -> Container {
    let state = inspected.state.unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    let published = inspected.network_settings.and_then(|network| network.ports);
    let requested = inspected.host_config.and_then(|host| host.port_bindings);
    let port = |ports: Option<HashMap<String, Option<Vec<PortBinding>>>>| {
        let bindings = ports.into_iter().flatten().filter_map(|(_, bindings)| bindings).flatten();
        bindings.filter_map(|binding| binding.host_port?.parse().ok()).find(|port| *port != 0)
    };
    Container {
        id: inspected.id.unwrap_or_default(),
        name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        purpose: Purpose::read(config.labels.as_ref()),
        image: inspected.image.unwrap_or_default(),
        running: state.running.unwrap_or_default(),
        paused: state.paused.unwrap_or_default(),
        fresh: state.status == Some(ContainerStateStatusEnum::CREATED),
        exit_code: state.exit_code.unwrap_or_default(),
        host_port: port(published).or_else(|| port(requested)),
        environment: config.env.unwrap_or_default(),
        created: inspected.created,
    }
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Candidate => "candidate",
        }
    }

    fn read(labels: Option<&HashMap<String, String>>) -> Self {
        let candidate =
            labels.and_then(|labels| labels.get(PURPOSE)).is_some_and(|label| label == Self::Candidate.label());
        if candidate { Self::Candidate } else { Self::Service }
    }
}

/// Every container of the service, running or not.
///
/// # Errors
/// An engine that fails.
pub async fn list(docker: &Docker, owner: &Owner) -> Result<Containers> {
    let filter = HashMap::from([("label".to_owned(), vec![format!("{}={}", owner::SERVICE, owner.service)])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let listed = within(LOOKUP, docker.list_containers(Some(options))).await;
    let mut found = Containers::default();
    for container in listed.map_err(|error| error.failure("cannot list containers"))? {
        let labels = container.labels.unwrap_or_default();
        if owner.owns(&labels) {
            found.own.extend(find(docker, &container.id.unwrap_or_default()).await?);
        } else {
            found
                .others
                .push(OtherContainer { name: name(container.names), folder: labels.get(owner::FOLDER).cloned() });
        }
    }
    found.own.sort_by_key(|container| std::cmp::Reverse(container.created));
    Ok(found)
}

/// A container's first name.
pub(super) fn name(names: Option<Vec<String>>) -> String {
    let name = names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    name.trim_start_matches('/').to_owned()
}

/// Stops a container and waits for its end; one that does not run is fine.
///
/// # Errors
/// An engine that fails.
pub async fn stop(docker: &Docker, id: &str) -> Result<()> {
    let seconds = i32::try_from(STOP.as_secs()).expect("a small number");
    let options = StopContainerOptionsBuilder::default().t(seconds).build();
    accept_missing(within(STOP + CHANGE, docker.stop_container(id, Some(options))).await, || {
        format!("cannot stop container {id}")
    })
}

/// Removes a container with its volumes, running or not; one that is gone already is fine.
///
/// # Errors
/// An engine that fails.
pub async fn remove(docker: &Docker, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    accept_missing(within(CHANGE, docker.remove_container(id, Some(options))).await, || {
        format!("cannot remove container {id}")
    })
}

fn accept_missing(answer: Result<(), CallError>, what: impl FnOnce() -> String) -> Result<()> {
    match answer {
        Err(error) if !error.is_missing() => Err(Failure::into(error.failure(what()))),
        _ => Ok(()),
    }
}

/// Renames a container, unless the name is taken.
///
/// # Errors
/// An engine that fails.
pub async fn rename(docker: &Docker, id: &str, name: &str) -> Result<()> {
    let options = RenameContainerOptionsBuilder::default().name(name).build();
    match within(CHANGE, docker.rename_container(id, options)).await {
        Err(error) if !error.is_conflict() => {
            Err(error.failure(format!("cannot rename container {id} to {name}")).into())
        }
        _ => Ok(()),
    }
}

/// The last lines of a container's log.
pub async fn log_tail(docker: &Docker, id: &str) -> String {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LOG_TAIL).build();
    let mut log = docker.logs(id, Some(options)).take_until(Box::pin(tokio::time::sleep(LOOKUP)));
    let mut text = String::new();
    while let Some(Ok(line)) = log.next().await {
        if let LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } = line {
            text.push_str(&String::from_utf8_lossy(&message));
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_recognized_on_every_platform_and_without_its_message() {
        let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(is_taken(port, "an unknown message"));
        // Port 0 stands for one that is free.
        assert!(!is_taken(0, "exec: \"/api\": no such file or directory"));
        for reason in [
            "driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:8080 failed: port is already allocated",
            "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
            "Ports are not available: exposing port TCP 127.0.0.1:8080 -> 0.0.0.0:0: listen tcp 127.0.0.1:8080: bind: An attempt was made to access a socket in a way forbidden by its access permissions.",
            "Ports are not available: listen tcp 127.0.0.1:8080: bind: Only one usage of each socket address (protocol/network address/port) is normally permitted.",
            "rootlessport listen tcp 127.0.0.1:8080: bind: address already in use",
            "something went wrong with the request: \"proxy already running\\n\"",
        ] {
            assert!(is_taken(port, reason), "{reason}");
        }
    }
}
