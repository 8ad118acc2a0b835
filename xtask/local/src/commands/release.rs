//! `release --local`: from source to a proved endpoint on this machine.

use std::time::Duration;

use anyhow::Result;

use crate::build;
use crate::cli::Release;
use crate::context::Context;
use crate::handover::{CheckoutLock, Local};
use crate::smoke::{self, ApiClients, Endpoint};
use crate::ui::Ui;
use image::docker::Owner;
use machine::http::Client;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::record::Change;

/// How long the endpoint may take to be right; its health is already known.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn run(arguments: &Release, context: &Context, ui: &Ui) -> Result<()> {
    ui.note(|report| report.environment = Some("local".to_owned()));
    let interrupt = &context.interrupt;
    let platform = Platform::host().ok_or_else(|| {
        Failure::new(Exit::Preflight, FailureKind::Platform, "the service is not built for this machine's processor")
    })?;
    let engine = interrupt.or(async { Ok(build::engine(&context.vars, ui).await?) }).await?;
    if !engine.host.is_local() {
        return Err(Failure::new(Exit::Preflight, FailureKind::Docker, "--local needs an engine on this machine")
            .resource(engine.host.to_string())
            .reason("the container's port would be on that machine's loopback")
            .hint("unset DOCKER_HOST, or: docker context use default")
            .into());
    }
    let artifact = interrupt.or(build::compile(context, platform, &arguments.source, ui)).await?;
    let service = &context.deployment.service;
    let environment = context.local_environment()?;
    if arguments.dry_run {
        let reference = artifact.reference(&service.name);
        let steps = vec![format!("build {reference} unless it is there"), "run it in place of the old one".to_owned()];
        ui.result(&steps.join("\n"));
        ui.note(|report| report.plan = Some(steps));
        return Ok(());
    }
    let owner = Owner::new(&context.root, &service.name);
    let (image, built) = interrupt.or(build::build_image(artifact, &engine, &owner, ui)).await?;
    // Held until the end: another release would take the proof's container away.
    let _lock = CheckoutLock::take(&context.root, interrupt, ui).await?;
    ui.note(|report| {
        report.image = Some(image.reference.clone());
        report.digest = Some(image.id.clone());
        report.pushed_bytes = Some(0);
    });
    let phase = ui.phase("container");
    let http = smoke::client(&context.http()?)?;
    let place =
        Local { docker: &engine.docker, owner: &owner, service, environment: &environment, http: &http, interrupt };
    let running = place.run(&image, &phase).await?;
    let url = format!("http://127.0.0.1:{}", running.port);
    ui.note(|report| report.change = Some(running.change));
    match running.change {
        Change::None => phase.skipped("this image runs already; nothing was started"),
        Change::Create => phase.done("healthy"),
        Change::Update => phase.done("healthy; it has taken over from the old one"),
    }
    if !arguments.proof.no_smoke {
        let digest = image.id.parse().ok();
        let base = url.parse()?;
        let (callers, spacing) = (ApiClients::default(), Duration::ZERO);
        let endpoint = Endpoint { base, service, digest, before: None, spacing, callers, retries_connections: true };
        interrupt.or(prove(&http, &endpoint, ui)).await?;
    }
    if running.change == Change::None && !built {
        ui.line("nothing to do: this release was already running");
    }
    ui.note(|report| report.url = Some(url.clone()));
    ui.result(&url);
    Ok(())
}

/// Proves that the container answers on its port.
async fn prove(http: &Client, endpoint: &Endpoint<'_>, ui: &Ui) -> Result<()> {
    let phase = ui.phase("smoke");
    let url = smoke::shown_url(&endpoint.base);
    ui.note(|report| report.url = Some(url.clone()));
    let verdict = smoke::verify_endpoint(http, endpoint, TIMEOUT, &phase).await;
    ui.note(|report| report.smoke = Some(verdict.report()));
    if let Some(failure) = endpoint.failure(&verdict, Exit::Failed) {
        return Err(failure.into());
    }
    match verdict.served() {
        Some(served) => phase.done(&format!("{url} is right and runs {served}")),
        None => {
            phase.done(&format!("{url} is right"));
            if endpoint.digest.is_some() {
                ui.warn(smoke::UNKNOWN_IMAGE);
            }
        }
    }
    Ok(())
}
