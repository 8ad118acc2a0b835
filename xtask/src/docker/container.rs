//! Runs the service's image on the engine: locked down, on a loopback port, marked as ours.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
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

use super::{explain, is_missing};

/// Marks what runs here for a service. The image's own label would do so for every container of it, an emulator's too.
const LABEL: &str = "xtask.local";
/// Longest that a container may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);
/// Lines of a container's log that a failure shows.
const LOG_TAIL: &str = "20";

/// A container to run.
#[derive(Debug, Clone)]
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a str,
    /// Id or reference of the image.
    pub(crate) image: &'a str,
    /// Value of the label that marks our containers.
    pub(crate) service: &'a str,
    /// Port inside the container.
    pub(crate) port: u16,
    /// Port on 127.0.0.1; `None` takes a free one.
    pub(crate) host_port: Option<u16>,
    pub(crate) environment: Vec<String>,
}

/// A container that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) running: bool,
    pub(crate) exit_code: i64,
    /// The port on 127.0.0.1: published, or as it was asked for while it does not run.
    pub(crate) host_port: Option<u16>,
    pub(crate) environment: Vec<String>,
}

/// Why a container did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("port {0} on 127.0.0.1 is in use")]
    PortTaken(u16),
    #[error("{0}")]
    Engine(String),
}

/// Creates a container without starting it.
///
/// # Errors
/// What the engine says.
pub(crate) async fn create(docker: &Docker, spec: &Spec<'_>) -> Result<String> {
    let port = format!("{}/tcp", spec.port);
    let binding = PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(spec.host_port.unwrap_or_default().to_string()),
    };
    let body = ContainerCreateBody {
        image: Some(spec.image.to_owned()),
        env: Some(spec.environment.clone()),
        labels: Some(HashMap::from([(LABEL.to_owned(), spec.service.to_owned())])),
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(256),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(spec.name).build();
    let created = docker.create_container(Some(options), body).await;
    let created = created.map_err(|error| anyhow::Error::msg(explain(&error)));
    Ok(created.with_context(|| format!("cannot create container {}", spec.name))?.id)
}

/// Starts a container.
///
/// # Errors
/// A port that is in use, or whatever else the engine says.
pub(crate) async fn start(docker: &Docker, id: &str, port: Option<u16>) -> Result<(), StartError> {
    docker.start_container(id, None).await.map_err(|error| {
        let text = explain(&error);
        let taken = text.contains("port is already allocated") || text.contains("address already in use");
        match port {
            Some(port) if taken => StartError::PortTaken(port),
            _ => StartError::Engine(text),
        }
    })
}

/// Looks a container up by name or id; `None` when there is none.
///
/// # Errors
/// What the engine says.
pub(crate) async fn find(docker: &Docker, name: &str) -> Result<Option<Container>> {
    match docker.inspect_container(name, None).await {
        Ok(inspected) => Ok(Some(read(inspected))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(anyhow::Error::msg(explain(&error)).context(format!("cannot look up container {name}"))),
    }
}

fn read(inspected: ContainerInspectResponse) -> Container {
    let state = inspected.state.unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    let published = inspected.network_settings.and_then(|network| network.ports);
    let asked = inspected.host_config.and_then(|host| host.port_bindings);
    let port = |ports: Option<HashMap<String, Option<Vec<PortBinding>>>>| {
        let bindings = ports.into_iter().flatten().filter_map(|(_, bindings)| bindings).flatten();
        bindings.filter_map(|binding| binding.host_port?.parse().ok()).find(|port| *port != 0)
    };
    Container {
        id: inspected.id.unwrap_or_default(),
        image: inspected.image.unwrap_or_default(),
        running: state.status == Some(ContainerStateStatusEnum::RUNNING),
        exit_code: state.exit_code.unwrap_or_default(),
        host_port: port(published).or_else(|| port(asked)),
        environment: config.env.unwrap_or_default(),
    }
}

/// Ids and names of every container of the service, running or not.
///
/// # Errors
/// What the engine says.
pub(crate) async fn list(docker: &Docker, service: &str) -> Result<Vec<(String, String)>> {
    let filter = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={service}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let list = docker.list_containers(Some(options)).await.map_err(|error| anyhow::Error::msg(explain(&error)));
    let list = list.context("cannot list containers")?;
    let named = list.into_iter().map(|container| {
        let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
        (container.id.unwrap_or_default(), name.trim_start_matches('/').to_owned())
    });
    Ok(named.collect())
}

/// Asks a container to end and waits for it.
///
/// # Errors
/// What the engine says.
pub(crate) async fn stop(docker: &Docker, id: &str) -> Result<()> {
    let seconds = i32::try_from(STOP.as_secs()).expect("a small number");
    let options = StopContainerOptionsBuilder::default().t(seconds).build();
    match docker.stop_container(id, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(anyhow::Error::msg(explain(&error)).context(format!("cannot stop container {id}"))),
    }
}

/// Removes a container with its volumes, running or not; one that is gone already is fine.
///
/// # Errors
/// What the engine says.
pub(crate) async fn remove(docker: &Docker, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(anyhow::Error::msg(explain(&error)).context(format!("cannot remove container {id}"))),
    }
}

/// Gives a container another name.
///
/// # Errors
/// What the engine says.
pub(crate) async fn rename(docker: &Docker, id: &str, name: &str) -> Result<()> {
    let options = RenameContainerOptionsBuilder::default().name(name).build();
    let renamed = docker.rename_container(id, options).await.map_err(|error| anyhow::Error::msg(explain(&error)));
    renamed.with_context(|| format!("cannot rename container {id} to {name}"))
}

/// The last lines of a container's log; empty where there are none.
pub(crate) async fn log_tail(docker: &Docker, id: &str) -> String {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LOG_TAIL).build();
    let mut log = docker.logs(id, Some(options));
    let mut text = String::new();
    while let Some(Ok(line)) = log.next().await {
        if let LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } = line {
            text.push_str(&String::from_utf8_lossy(&message));
        }
    }
    text.trim_end().to_owned()
}
