//! `deploy`: any image that is already in the environment's registry, by digest, with the same proof as a release.

use std::time::Duration;

use anyhow::Result;
use config::deployment::Environment;

use crate::cli::{Deploy, Proof};
use crate::context::Context;
use crate::image::ImageReference;
use crate::outcome::{Exit, Failure};
use crate::preflight::{self, Ready};
use crate::proof::Manner;
use crate::report::Change;
use crate::ui::Ui;
use crate::{ecr, proof, rollout};

/// How long a deployed endpoint may take to be right: a gateway spreads changes within a minute or so.
const PATIENCE: Duration = Duration::from_secs(180);
/// After a change, old and new may serve side by side for a moment.
const SPACING: Duration = Duration::from_millis(400);

pub(super) async fn run(arguments: &Deploy, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    let image: ImageReference = arguments
        .image
        .parse()
        .map_err(|error: crate::image::InvalidReference| Failure::new(Exit::Usage, "image", error.to_string()))?;
    context.report(|report| {
        report.environment = Some(environment.name.clone());
        report.stack = Some(environment.stack.clone());
    });
    if environment.protected && !arguments.dry_run {
        ui.must_be_able_to_ask(&rollout::question(environment))?;
    }
    let pinned = async {
        let ready = preflight::check(context, environment, &arguments.proof, false, ui).await?;
        let registry = arguments.proof.registry.as_deref().or(environment.registry.as_deref());
        let image = pin(&ready, image, registry).await?;
        Ok((ready, image))
    };
    let (ready, image) = context.interrupt.or(pinned).await?;
    if arguments.dry_run {
        let step = format!("bring stack {} to {image}", environment.stack);
        ui.result(&step);
        context.report(|report| report.plan = Some(vec![step]));
        return Ok(());
    }
    deploy(context, &ready, environment, &image, &arguments.proof, ui).await
}

/// The image by digest. In the environment's own registry it is looked up; elsewhere a digest is taken as it is.
async fn pin(ready: &Ready, image: ImageReference, registry: Option<&str>) -> Result<ImageReference> {
    let client = &ready.clients.ecr;
    let repository = ecr::find(client, &image.repository).await?;
    let own = repository.as_ref().map(|repository| repository.image("any", None).host);
    if own.as_ref() == Some(&image.host) || (own.is_some() && registry == Some(image.host.as_str())) {
        let digest = ecr::resolve(client, &image).await?;
        let host = registry.unwrap_or(&image.host).to_owned();
        return Ok(ImageReference { host, ..image.pinned(&digest) });
    }
    if let Some(digest) = &image.digest {
        return Ok(image.pinned(digest));
    }
    let own = own.unwrap_or_else(|| format!("registry, without a repository {}", image.repository));
    Err(Failure::new(Exit::Failed, "image", "only a digest can be deployed from another registry")
        .resource(image.to_string())
        .reason(format!("a tag can move, and this account's {own} is the only registry that is asked"))
        .hint("name the image by digest: HOST/REPOSITORY@sha256:…")
        .into())
}

/// Rolls an image out and proves it.
pub(super) async fn deploy(
    context: &Context,
    ready: &Ready,
    environment: &Environment,
    image: &ImageReference,
    proof: &Proof,
    ui: &Ui,
) -> Result<()> {
    context.report(|report| {
        report.image = Some(image.to_string());
        report.digest = image.digest.as_ref().map(ToString::to_string);
    });
    let rolled = rollout::roll_out(context, ready, environment, image, ui).await?;
    context.report(|report| {
        report.change = Some(rolled.change);
        report.outputs = Some(rolled.stack.outputs.clone());
    });
    for (name, value) in &rolled.stack.outputs {
        ui.line(&format!("   {name} = {value}"));
    }
    if rolled.change == Change::None {
        ui.line("nothing to deploy: the stack is already current");
    }
    let base = proof::base_url(environment, &rolled.stack, proof.smoke_url.as_deref())?;
    context.report(|report| report.url = Some(proof::shown(&base)));
    if !proof.no_smoke {
        let spacing = if rolled.change == Change::None { Duration::ZERO } else { SPACING };
        let manner = Manner { patience: PATIENCE, spacing, exit: Exit::NeedsHuman };
        context.interrupt.or(proof::prove(context, base.clone(), image.digest.clone(), manner, ui)).await?;
    }
    ui.result(&proof::shown(&base));
    Ok(())
}
