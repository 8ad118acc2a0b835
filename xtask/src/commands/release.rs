//! `release`: from source to a proved endpoint, on AWS or on this machine.

use std::time::Duration;

use anyhow::Result;
use config::deployment::Environment;

use super::deploy;
use crate::cli::{Proof, Release};
use crate::context::Context;
use crate::docker;
use crate::image::ImageReference;
use crate::local::Local;
use crate::outcome::{Exit, Failure};
use crate::plan::Platform;
use crate::preflight::{self, Ready};
use crate::proof::Manner;
use crate::publish::{self, Registry};
use crate::report::Change;
use crate::ui::Ui;
use crate::{artifact, git, proof, smoke, stack, status};

/// How long the local endpoint may take to be right; its health is already known.
const LOCAL_PATIENCE: Duration = Duration::from_secs(15);

/// Releases to an environment.
pub(super) async fn run(arguments: &Release, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    context.report(|report| {
        report.environment = Some(environment.name.clone());
        report.stack = Some(environment.stack.clone());
    });
    if environment.protected && !arguments.dry_run {
        ui.must_be_able_to_ask(&crate::rollout::question(environment))?;
    }
    let Some((ready, image)) = context.interrupt.or(published(arguments, environment, context, ui)).await? else {
        return Ok(());
    };
    deploy::deploy(context, &ready, environment, &image, &arguments.proof, ui).await
}

/// Everything up to the image in the registry. `None` after a dry run.
async fn published(
    arguments: &Release,
    environment: &Environment,
    context: &Context,
    ui: &Ui,
) -> Result<Option<(Ready, ImageReference)>> {
    let ready = preflight::check(context, environment, &arguments.proof, true, ui).await?;
    let (artifact, commit) = tokio::join!(
        artifact::prepare(context, ready.platform, &arguments.source, ui),
        git::clean_commit(&context.root)
    );
    let artifact = artifact?;
    let found = publish::look(&ready, &context.deployment.service.name, &artifact.tag).await?;
    if arguments.dry_run {
        foresee(context, &ready, environment, &arguments.proof, &artifact.tag, &found, ui).await?;
        return Ok(None);
    }
    let engine = ready.engine.clone().expect("the preflight asked for an engine");
    let registry = arguments.proof.registry.as_deref().or(environment.registry.as_deref());
    let source = publish::Source { artifact, commit: commit.as_deref() };
    let published = publish::publish(context, &ready, &engine, source, found, registry, ui).await?;
    context.report(|report| report.pushed_bytes = Some(published.pushed.bytes));
    Ok(Some((ready, published.image)))
}

/// Says what a release would do; nothing but reading has been asked of AWS.
async fn foresee(
    context: &Context,
    ready: &Ready,
    environment: &Environment,
    proof: &Proof,
    tag: &str,
    found: &Registry,
    ui: &Ui,
) -> Result<()> {
    let name = &context.deployment.service.name;
    let stack = stack::describe(&ready.clients.cloudformation, &environment.stack).await?;
    let image = if found.has_image() { "use the image in the registry" } else { "build and push the image" };
    let mut steps = Vec::new();
    if !found.has_repository() {
        steps.push(format!("create repository {name}"));
    }
    steps.push(format!("{image} {name}:{tag} ({})", ready.platform.oci()));
    let state = stack.as_ref().map(|stack| stack.status.as_str());
    let answer = status::answer(state);
    steps.push(match answer {
        status::Answer::Create => format!("create stack {} from {}", environment.stack, ready.template.path),
        status::Answer::Update => {
            format!("update stack {} from {}, if that changes it", environment.stack, ready.template.path)
        }
        status::Answer::Wait => format!("wait for stack {}, which is {}", environment.stack, state.unwrap_or_default()),
        status::Answer::Refuse(refusal) => format!(
            "refuse: stack {} is {}; {}",
            environment.stack,
            state.unwrap_or_default(),
            refusal.hint(&environment.stack, &environment.name, &environment.region)
        ),
    });
    if !proof.no_smoke && !matches!(answer, status::Answer::Refuse(_)) {
        steps.push("prove the endpoint".to_owned());
    }
    ui.result(&steps.join("\n"));
    context.report(|report| report.plan = Some(steps));
    Ok(())
}

/// Releases to this machine's engine.
pub(super) async fn local(arguments: &Release, context: &Context, ui: &Ui) -> Result<()> {
    context.report(|report| report.environment = Some("local".to_owned()));
    let interrupt = &context.interrupt;
    let platform = Platform::host().ok_or_else(|| {
        Failure::new(Exit::Preflight, "platform", "the service is not built for this machine's processor")
    })?;
    let engine = interrupt.or(async { Ok(docker::connect(&context.vars).await?) }).await?;
    if !engine.is_local() {
        return Err(Failure::new(Exit::Preflight, "docker", "--local needs an engine on this machine")
            .resource(&engine.host)
            .reason("the container's port would be on that machine's loopback")
            .hint("unset DOCKER_HOST, or: docker context use default")
            .into());
    }
    let artifact = interrupt.or(artifact::prepare(context, platform, &arguments.source, ui)).await?;
    let service = &context.deployment.service;
    if arguments.dry_run {
        let reference = artifact.reference(&service.name);
        let steps = vec![format!("build {reference} unless it is there"), "run it in place of the old one".to_owned()];
        ui.result(&steps.join("\n"));
        context.report(|report| report.plan = Some(steps));
        return Ok(());
    }
    let (image, built) = interrupt.or(artifact.image(&engine, &service.name, ui)).await?;
    context.report(|report| {
        report.image = Some(image.reference.clone());
        report.digest = Some(image.id.clone());
        report.pushed_bytes = Some(0);
    });
    let phase = ui.phase("container");
    let http = smoke::client(&url::Url::parse("http://127.0.0.1")?, None)?;
    let place = Local { docker: &engine.docker, service, http: &http, interrupt };
    let running = place.run(&image, &phase).await?;
    let url = format!("http://127.0.0.1:{}", running.port);
    context.report(|report| report.change = Some(running.change));
    match running.change {
        Change::None => phase.skipped("this image runs already; nothing was started"),
        Change::Create => phase.done("healthy"),
        Change::Update => phase.done("healthy; it has taken over from the old one"),
    }
    if !arguments.proof.no_smoke {
        let digest = image.id.parse().ok();
        let base = url.parse()?;
        let manner = Manner { patience: LOCAL_PATIENCE, spacing: Duration::ZERO, exit: Exit::Failed };
        interrupt.or(proof::prove(context, base, digest, manner, ui)).await?;
    }
    if running.change == Change::None && !built {
        ui.line("nothing to do: this release was already running");
    }
    context.report(|report| report.url = Some(url.clone()));
    ui.result(&url);
    Ok(())
}
