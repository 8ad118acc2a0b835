//! Runs the image on this machine's Docker engine in place of the previous one, which stays until the new one is healthy.
//!
//! The new image first becomes healthy in a container of its own. Only then does it take over the port; if that fails, the
//! old container is started again. Labels and state, never names, decide which containers belong to a checkout and which
//! one serves, so the next run can continue after a run that was killed at any point.

mod lock;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::Docker;
use config::deployment::Service;
use tokio::time::Instant;

use crate::ui::Phase;
use image::docker::Owner;
use image::docker::build::Image;
use image::docker::container::{self, Container, OtherContainer, Purpose, Spec, StartError};
pub use lock::CheckoutLock;
use machine::http::Client;
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};
use model::record::Change;

/// Time limit for a container to become healthy.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// The container that serves after a run.
#[derive(Debug)]
pub struct LocalRun {
    pub change: Change,
    pub port: u16,
}

/// The containers of one service on one engine.
pub struct Local<'a> {
    pub docker: &'a Docker,
    pub owner: &'a Owner,
    pub service: &'a Service,
    /// What the user gives the container.
    pub environment: &'a BTreeMap<String, String>,
    pub http: &'a Client,
    pub interrupt: &'a Interrupt,
}

impl Local<'_> {
    /// Makes `image` the one that serves. The caller holds the [`CheckoutLock`].
    ///
    /// # Errors
    /// An image that does not become healthy; the previous container then still runs.
    pub async fn run(&self, image: &Image, phase: &Phase<'_>) -> Result<LocalRun> {
        phase.doing("looking for containers of this service");
        let old = self.interrupt.or(self.find_serving(phase)).await?;
        let Some(old) = old else { return self.hand_over(None, image, phase).await };
        if !old.running {
            // It is stopped, as after a restart of the machine, and kept in case the new image does not start.
            return self.hand_over(Some(&old), image, phase).await;
        }
        match old.host_port {
            Some(port) if self.runs_image(&old, image).await? => Ok(LocalRun { change: Change::None, port }),
            _ => {
                self.try_candidate(&old, image, phase).await?;
                // From here on an interruption waits: between the two containers nothing serves.
                phase.doing("handing over the port");
                self.hand_over(Some(&old), image, phase).await
            }
        }
    }

    /// Finds the container that serves, or served last, and removes leftovers of a killed run.
    async fn find_serving(&self, phase: &Phase<'_>) -> Result<Option<Container>> {
        let found = container::list(self.docker, self.owner).await?;
        found.others.iter().filter(|other| is_orphaned(other)).for_each(|other| phase.line(&orphan_notice(other)));
        let is_service = |container: &Container| container.purpose == Purpose::Service && !container.fresh;
        // Running ones first, the newest of them at the front.
        let (mut kept, left): (Vec<Container>, Vec<Container>) = found.own.into_iter().partition(is_service);
        kept.sort_by_key(|container| !container.running);
        for leftover in left {
            container::remove(self.docker, &leftover.id).await?;
        }
        while let [first, second, ..] = kept.as_slice() {
            // A handover was interrupted. The older container was healthy, the newer one may not be.
            let port = first.host_port.unwrap_or(self.service.port);
            let healthy = first.running && self.healthy(&first.id, port, phase).await.is_ok();
            let (index, removed) = if healthy { (1, second) } else { (0, first) };
            container::remove(self.docker, &removed.id).await?;
            kept.remove(index);
        }
        Ok(kept.pop())
    }

    /// Whether the container runs this image with the current settings, and without those that are gone.
    async fn runs_image(&self, container: &Container, image: &Image) -> Result<bool> {
        if container.image != image.id || container.paused {
            return Ok(false);
        }
        let own = container::image_environment(self.docker, &image.id).await?;
        let wanted = self.container_environment(image);
        // The engine adds PATH where nobody sets it.
        let known = |pair: &String| wanted.contains(pair) || own.contains(pair) || pair.starts_with("PATH=");
        Ok(wanted.iter().all(|pair| container.environment.contains(pair)) && container.environment.iter().all(known))
    }

    fn container_environment(&self, image: &Image) -> Vec<String> {
        let mut variables = BTreeMap::from([
            // There is no load balancer, so the container need not wait before it closes its port.
            ("API_DRAIN_SECONDS", "0"),
        ]);
        variables.extend(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let port = self.service.port.to_string();
        variables.extend([("IMAGE_DIGEST", image.id.as_str()), ("API_PORT", &port)]);
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Waits until the image is healthy in a container next to the one that serves.
    async fn try_candidate(&self, old: &Container, image: &Image, phase: &Phase<'_>) -> Result<()> {
        phase.doing("starting the new container next to the old one");
        let healthy = self.interrupt.or(async {
            let id = self.create_container(Purpose::Candidate, image, None).await?;
            let started = container::start(self.docker, &id, None).await;
            started.map_err(|error| self.not_started(image, &error))?;
            let port = self.port_of(&id).await?.unwrap_or_default();
            self.healthy(&id, port, phase).await
        });
        let healthy = healthy.await;
        let cleared = self.clear(Some(old)).await;
        healthy.map_err(|error| with_outcome(error, "the old one keeps serving"))?;
        cleared
    }

    /// Starts the image on the port of the old container, or on the service's.
    async fn hand_over(&self, old: Option<&Container>, image: &Image, phase: &Phase<'_>) -> Result<LocalRun> {
        let serves = old.is_some_and(|old| old.running);
        let taken = if serves {
            self.take_over(old, image, phase).await
        } else {
            phase.doing("starting the container");
            self.interrupt.or(self.take_over(old, image, phase)).await
        };
        match (taken, old) {
            (Ok((id, port)), _) => {
                if let Some(old) = old {
                    container::remove(self.docker, &old.id).await?;
                }
                container::rename(self.docker, &id, &self.owner.container("")).await?;
                Ok(LocalRun { change: if serves { Change::Update } else { Change::Create }, port })
            }
            (Err(error), None) => {
                self.clear(None).await?;
                Err(error)
            }
            (Err(error), Some(old)) => {
                let cleared = self.clear(Some(old)).await;
                container::start(self.docker, &old.id, old.host_port).await.with_context(|| {
                    format!("{}; the old container {} does not start again either", Failure::of(&error), old.name)
                })?;
                cleared?;
                Err(with_outcome(error, if serves { "the old one keeps serving" } else { "the old one runs again" }))
            }
        }
    }

    /// Stops the old container, starts the new one and waits until it is healthy; returns its id and port.
    async fn take_over(&self, old: Option<&Container>, image: &Image, phase: &Phase<'_>) -> Result<(String, u16)> {
        let wanted = old.and_then(|old| old.host_port).unwrap_or(self.service.port);
        let mut id = self.create_container(Purpose::Service, image, Some(wanted)).await?;
        if let Some(old) = old {
            container::stop(self.docker, &old.id).await?;
        }
        match container::start(self.docker, &id, Some(wanted)).await {
            Err(StartError::PortTaken { port, .. }) => {
                phase.line(&format!("port {port} is in use: taking a free one"));
                container::remove(self.docker, &id).await?;
                id = self.create_container(Purpose::Service, image, None).await?;
                container::start(self.docker, &id, None).await.map_err(|error| self.not_started(image, &error))?;
            }
            started => started.map_err(|error| self.not_started(image, &error))?,
        }
        // Without a port it has already ended, which the health check reports with its log.
        let port = self.port_of(&id).await?.unwrap_or_default();
        self.healthy(&id, port, phase).await?;
        Ok((id, port))
    }

    async fn create_container(&self, purpose: Purpose, image: &Image, host_port: Option<u16>) -> Result<String> {
        let name = self.owner.container(match purpose {
            Purpose::Service => "-next",
            Purpose::Candidate => "-candidate",
        });
        let spec = Spec {
            owner: self.owner,
            purpose,
            name: &name,
            image: &image.id,
            port: self.service.port,
            host_port,
            environment: self.container_environment(image),
        };
        container::create(self.docker, &spec).await
    }

    async fn port_of(&self, id: &str) -> Result<Option<u16>> {
        Ok(container::find(self.docker, id).await?.and_then(|container| container.host_port))
    }

    /// Removes every container of this checkout and service except `keep`.
    async fn clear(&self, keep: Option<&Container>) -> Result<()> {
        for container in container::list(self.docker, self.owner).await?.own {
            if keep.is_none_or(|keep| keep.id != container.id) {
                container::remove(self.docker, &container.id).await?;
            }
        }
        Ok(())
    }

    /// Waits until the container's health path answers; fails at once if the container ends.
    async fn healthy(&self, id: &str, port: u16, phase: &Phase<'_>) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}{}", self.service.health_path);
        let deadline = Instant::now() + HEALTH_TIMEOUT;
        let mut pause = Duration::from_millis(10);
        loop {
            let answer = match self.http.send(self.http.get(&url)).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => format!("{url} answers {}", response.status()),
                Err(lost) => format!("{url}: {lost}"),
            };
            phase.doing(&answer);
            let container = container::find(self.docker, id).await?;
            let name = container.as_ref().map_or(id, |container| &container.name).to_owned();
            let ended = container.filter(|container| !container.running);
            if ended.is_some() || Instant::now() > deadline {
                let why = match ended {
                    Some(container) => format!("it ended with exit code {}", container.exit_code),
                    None => format!("not healthy within {} s: {answer}", HEALTH_TIMEOUT.as_secs()),
                };
                let log = container::log_tail(self.docker, id).await;
                let log = if log.is_empty() { String::new() } else { format!("\nits log ends:\n{log}") };
                return Err(Failure::new(Exit::Failed, FailureKind::Unhealthy, "the new container is not healthy")
                    .resource(format!("container {name}"))
                    .reason(why + &log)
                    .hint("fix the service; cargo run -p api shows it without a container")
                    .into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn not_started(&self, image: &Image, error: &StartError) -> anyhow::Error {
        Failure::new(Exit::Failed, FailureKind::Container, "the container does not start")
            .resource(&image.reference)
            .reason(error.to_string())
            .hint(error.hint().unwrap_or("check the engine: docker info"))
            .into()
    }
}

/// Whether the container's checkout no longer exists, or was never known.
pub fn is_orphaned(other: &OtherContainer) -> bool {
    other.folder.as_ref().is_none_or(|folder| !Path::new(folder).join(crate::context::DEPLOY_TOML).is_file())
}

/// The notice about a container whose checkout no longer exists.
pub fn orphan_notice(other: &OtherContainer) -> String {
    let OtherContainer { name, folder } = other;
    let from = match folder {
        Some(folder) => format!("was started from {folder}, where there is no checkout any more"),
        None => "was started by an earlier version".to_owned(),
    };
    format!("container {name} {from}; it is left alone. To remove it: docker rm --force {name}")
}

/// Adds the state of the old container to a failure of the new one.
fn with_outcome(error: anyhow::Error, old: &str) -> anyhow::Error {
    let failure = Failure::of(&error);
    Failure { message: format!("{failure}; {old}"), ..failure }.into()
}
