//! Runs the image on this machine's engine, and replaces what ran before without betting on the new one.
//!
//! The new image first proves its health in a container of its own. Only then does it take over the port; if it fails
//! even there, the old container is started again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::Docker;
use config::deployment::Service;
use tokio::time::Instant;

use crate::docker::build::Image;
use crate::docker::container::{self, Container, Spec, StartError};
use crate::http::Client;
use crate::interrupt::Interrupt;
use crate::outcome::{Exit, Failure};
use crate::report::Change;
use crate::ui::Phase;

/// How long a container may take to become healthy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What answers on this machine.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) change: Change,
    pub(crate) port: u16,
}

/// Puts containers of one service on one engine.
pub(crate) struct Local<'a> {
    pub(crate) docker: &'a Docker,
    pub(crate) service: &'a Service,
    pub(crate) http: &'a Client,
    pub(crate) interrupt: &'a Interrupt,
}

impl Local<'_> {
    /// Makes `image` the one that answers.
    ///
    /// # Errors
    /// An image that does not become healthy: what ran before still runs then.
    pub(crate) async fn run(&self, image: &Image, phase: &Phase<'_>) -> Result<Running> {
        let old = container::find(self.docker, &self.name("local")).await?;
        if let Some(Container { running: true, host_port: Some(port), .. }) =
            old.as_ref().filter(|old| self.is_current(old, image))
        {
            return Ok(Running { change: Change::None, port: *port });
        }
        // What an earlier run left when it was killed.
        for leftover in ["candidate", "next"] {
            container::remove(self.docker, &self.name(leftover)).await?;
        }
        match old {
            Some(old) if old.running => self.replace(&old, image, phase).await,
            // It serves nobody, as after a restart of the machine.
            Some(old) => {
                container::remove(self.docker, &old.id).await?;
                self.first(image, phase).await
            }
            None => self.first(image, phase).await,
        }
    }

    fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.service.name.replace('/', "-"))
    }

    /// Whether the container runs this image as this tool would start it now.
    fn is_current(&self, container: &Container, image: &Image) -> bool {
        container.image == image.id && self.environment(image).iter().all(|pair| container.environment.contains(pair))
    }

    fn environment(&self, image: &Image) -> Vec<String> {
        // No load balancer has to notice here, so the container need not wait before it closes its port.
        vec![
            format!("IMAGE_DIGEST={}", image.id),
            format!("API_PORT={}", self.service.port),
            "API_DRAIN_SECONDS=0".into(),
        ]
    }

    async fn first(&self, image: &Image, phase: &Phase<'_>) -> Result<Running> {
        phase.doing("starting the first container");
        let name = self.name("local");
        let port = match self.start(&name, image, Some(self.service.port)).await? {
            Ok(port) => port,
            Err(StartError::PortTaken(taken)) => {
                phase.line(&format!("port {taken} is in use: taking a free one"));
                self.start(&name, image, None).await?.map_err(|error| self.not_started(image, error))?
            }
            Err(error) => return Err(self.not_started(image, error)),
        };
        match self.interrupt.or(self.healthy(&name, port, phase)).await {
            Ok(()) => Ok(Running { change: Change::Create, port }),
            Err(error) => {
                container::remove(self.docker, &name).await?;
                Err(error)
            }
        }
    }

    async fn replace(&self, old: &Container, image: &Image, phase: &Phase<'_>) -> Result<Running> {
        let candidate = self.name("candidate");
        phase.doing("starting the new container beside the old one");
        let started = self.start(&candidate, image, None).await?.map_err(|error| self.not_started(image, error));
        let healthy = match started {
            Ok(port) => self.interrupt.or(self.healthy(&candidate, port, phase)).await,
            Err(error) => Err(error),
        };
        container::remove(self.docker, &candidate).await?;
        healthy.map_err(keeps_serving)?;
        // From here on an interruption waits: between the two containers nobody answers.
        phase.doing("handing over the port");
        self.hand_over(old, image, phase).await
    }

    async fn hand_over(&self, old: &Container, image: &Image, phase: &Phase<'_>) -> Result<Running> {
        let next = self.name("next");
        let port = old.host_port.unwrap_or(self.service.port);
        let id = container::create(self.docker, &self.spec(&next, image, Some(port))).await?;
        container::stop(self.docker, &old.id).await?;
        let started = container::start(self.docker, &id, Some(port)).await;
        let healthy = match started {
            Ok(()) => self.healthy(&next, port, phase).await,
            Err(error) => Err(self.not_started(image, error)),
        };
        if let Err(error) = healthy {
            let removed = container::remove(self.docker, &id).await;
            container::start(self.docker, &old.id, old.host_port)
                .await
                .with_context(|| format!("the old container {} does not start again either", old.id))?;
            removed?;
            return Err(keeps_serving(error));
        }
        container::remove(self.docker, &old.id).await?;
        container::rename(self.docker, &id, &self.name("local")).await?;
        Ok(Running { change: Change::Update, port })
    }

    fn spec<'s>(&'s self, name: &'s str, image: &'s Image, host_port: Option<u16>) -> Spec<'s> {
        Spec {
            name,
            image: &image.id,
            service: &self.service.name,
            port: self.service.port,
            host_port,
            environment: self.environment(image),
        }
    }

    /// Creates and starts a container, and tells its port. One that does not start is removed.
    async fn start(&self, name: &str, image: &Image, port: Option<u16>) -> Result<Result<u16, StartError>> {
        let id = container::create(self.docker, &self.spec(name, image, port)).await?;
        if let Err(error) = container::start(self.docker, &id, port).await {
            container::remove(self.docker, &id).await?;
            return Ok(Err(error));
        }
        let container = container::find(self.docker, &id).await?;
        match container.and_then(|container| container.host_port).or(port) {
            Some(port) => Ok(Ok(port)),
            // It ended before it could be looked at; its health check will tell with its log.
            None => Ok(Ok(0)),
        }
    }

    /// Waits until the container answers its health path; fails at once when it ends.
    async fn healthy(&self, name: &str, port: u16, phase: &Phase<'_>) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}{}", self.service.health_path);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(10);
        loop {
            let answer = match self.http.send(self.http.get(&url)).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => format!("{url} answers {}", response.status()),
                Err(lost) => format!("{url}: {lost}"),
            };
            phase.doing(&answer);
            let container = container::find(self.docker, name).await?;
            let ended = container.filter(|container| !container.running);
            if ended.is_some() || Instant::now() > deadline {
                let why = match ended {
                    Some(container) => format!("it ended with exit code {}", container.exit_code),
                    None => format!("not healthy within {} s: {answer}", PATIENCE.as_secs()),
                };
                let log = container::log_tail(self.docker, name).await;
                let log = if log.is_empty() { String::new() } else { format!("\nits log ends:\n{log}") };
                return Err(Failure::new(Exit::Failed, "unhealthy", "the new container is not healthy")
                    .resource(format!("container {name}"))
                    .reason(why + &log)
                    .hint("mend the service; cargo run -p api shows it without a container")
                    .into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn not_started(&self, image: &Image, error: StartError) -> anyhow::Error {
        Failure::new(Exit::Failed, "container", "the container does not start")
            .resource(&image.reference)
            .reason(error.to_string())
            .hint("free the port, or cargo xtask destroy --local")
            .into()
    }
}

/// Adds to a failure of the new container what became of the old one.
fn keeps_serving(error: anyhow::Error) -> anyhow::Error {
    let failure = Failure::of(&error);
    Failure { message: format!("{failure}; the old one keeps serving"), ..failure }.into()
}
