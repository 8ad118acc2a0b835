//! `deploy`: any image that is already in the environment's registry, by digest, with the same proof as a release; or a
//! template that runs none.

mod runnable;
mod supplement;

use anyhow::Result;

use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::{Operation, ReleaseOptions, bucket, consent};
use crate::preflight::{self, Check, Ready};
use crate::session::Session;
use crate::{attest, needs};
use aws::{Clients, ecr};
use image::oci::Descriptor;
use local::cli::Deploy;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::reference::ImageReference;
use model::template::Template;
pub(super) use runnable::Target;

pub(super) async fn run(arguments: &Deploy, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    let Some(image) = &arguments.image else {
        return supplement::run(arguments, environment, context, ui).await;
    };
    let image: ImageReference = image.parse().map_err(|error: model::reference::InvalidReference| {
        Failure::new(Exit::Usage, FailureKind::Image, error.to_string())
    })?;
    ui.about(environment);
    let Deploy { proof, conduct, dry_run, .. } = arguments;
    let question = consent::question(environment);
    consent::can_be_asked(question.as_deref().filter(|_| !dry_run), ui)?;
    let wait = conduct.wait || *dry_run;
    let own = async || preflight::check_ahead(context, environment, proof, wait, ui).await;
    let Some(environment) = &needs::bring_up_to_date(context, environment, conduct, *dry_run, own, ui).await? else {
        return Ok(());
    };
    let registry = proof.registry.as_deref().or(environment.registry.as_deref());
    let check = Check { context, environment, proof, wait, engine: false, own_template: true };
    let also = async |session: &Session<'_>, template: &Template| {
        let platform = preflight::platform(environment, template)?;
        runnable(session, Target { image: &image, environment: &environment.name, platform }, registry, *dry_run).await
    };
    let checked = context.interrupt.or(preflight::check(check, also, ui)).await;
    let (ready, image) = needs::name_changed_needs(checked, ui)?;
    if let Some(problem) = preflight::image_problem(environment, &ready.template, &image) {
        return needs::name_changed_needs(Err(outcome::preflight(&[problem]).into()), ui);
    }
    if *dry_run {
        let mut steps = Vec::from_iter(bucket::upload_step(&ready.session, &ready.template));
        steps.extend(model::one_off::step(&ready.template, &context.deployment.service.before_release));
        steps.push(format!("deploy {image} to stack {}", environment.stack));
        ui.result(&steps.join("\n"));
        ui.note(|report| report.plan.get_or_insert_default().extend(steps));
        return Ok(());
    }
    let Ready { session, template, observed, .. } = &ready;
    let source = ParameterSource::Settings(&context.deployment.service);
    let release = ReleaseOptions {
        proof,
        doing: "deploy".to_owned(),
        commit: None,
        back_to: None,
        before: &context.deployment.service.before_release,
        keep_failed: arguments.keep_failed,
    };
    let mut operation = Operation {
        session,
        desired: Desired::new(environment, Some(image), template.clone(), source, observed.stack.as_ref()),
        conduct,
        question,
        planned: false,
        release: Some(release),
    };
    needs::name_changed_needs(operation.run(observed).await.map(drop), ui)
}

/// An image by digest.
pub(super) struct Pinned {
    pub(super) image: ImageReference,
    /// What says which platform it is for, where its manifest does not.
    config: Option<Descriptor>,
}

/// The image by digest, as [`pin`] finds it, if its configuration says that it can run, too.
///
/// # Errors
/// An image that cannot run; what AWS or the registry says.
pub(super) async fn runnable(
    session: &Session<'_>,
    target: Target<'_>,
    registry: Option<&str>,
    dry_run: bool,
) -> Result<ImageReference> {
    let pinned = pin(&session.clients, target, registry, dry_run).await?;
    if let Some(config) = &pinned.config {
        let at = attest::environment_registry(session, &pinned.image, registry).await?;
        target.check_configuration(&at.blob(config).await?)?;
    }
    Ok(pinned.image)
}

/// The image by digest. In the environment's own registry it is resolved, and refused if it cannot run; elsewhere a
/// digest is taken as it is.
pub(super) async fn pin(
    clients: &Clients,
    target: Target<'_>,
    registry: Option<&str>,
    dry_run: bool,
) -> Result<Pinned> {
    let (client, image) = (&clients.ecr, target.image);
    let repository = ecr::find_repository(client, &image.repository).await?;
    let own = repository.as_ref().map(|repository| repository.image("any", None).host);
    if own.as_ref() == Some(&image.host) || (own.is_some() && registry == Some(image.host.as_str())) {
        let stored = ecr::resolve_image(client, image).await?;
        let digest = &stored.digest;
        // Emulators may leave the manifest out.
        let config = stored.manifest().map(|manifest| target.check(manifest)).transpose()?.flatten();
        let may_move = image.digest.is_some() || repository.is_some_and(|repository| !repository.immutable);
        if may_move && !dry_run {
            // The repository's lifecycle takes what has no tag; what is deployed must never be that.
            ecr::add_tag(client, &image.repository, &stored, &digest.as_str().replacen("sha256:", "deployed-", 1))
                .await?;
        }
        let host = registry.unwrap_or(&image.host).to_owned();
        return Ok(Pinned { image: ImageReference { host, ..image.pinned(digest) }, config });
    }
    if let Some(digest) = &image.digest {
        return Ok(Pinned { image: image.pinned(digest), config: None });
    }
    let own = own.unwrap_or_else(|| format!("registry, without a repository {}", image.repository));
    Err(Failure::new(Exit::Failed, FailureKind::Image, "only a digest can be deployed from another registry")
        .resource(image.to_string())
        .reason(format!("a tag can move, and this account's {own} is the only registry that is asked"))
        .hint("name the image by digest: HOST/REPOSITORY@sha256:…")
        .into())
}
