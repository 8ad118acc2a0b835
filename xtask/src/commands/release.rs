//! `release`: from source to a proved endpoint at AWS.

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::{self, Operation, bucket, consent};
use crate::preflight::{self, Check, Ready};
use crate::publish::{self, KnownRepository};
use crate::session::Session;
use crate::{attest, needs};
use image::{artifact, git};
use local::build;
use local::cli::{Proof, Release, Source};
use local::ui::Ui;
use model::reference::ImageReference;
use model::status;
use model::template::Template;

/// Releases to an environment.
pub(super) async fn run(arguments: &Release, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let Release { proof, conduct, source, dry_run, .. } = arguments;
    let question = consent::question(environment);
    consent::can_be_asked(question.as_deref().filter(|_| !dry_run), ui)?;
    let wait = conduct.wait || *dry_run;
    let own = async || preflight::check_ahead(context, environment, proof, wait, ui).await;
    let Some(environment) = &needs::bring_up_to_date(context, environment, conduct, *dry_run, own, ui).await? else {
        return Ok(());
    };
    let order = Order { environment, proof, source, wait, dry_run: *dry_run };
    let published = needs::name_changed_needs(published(&order, context, ui).await, ui)?;
    let Some(Published { ready, image, commit }) = published else { return Ok(()) };
    let Ready { session, template, observed, .. } = &ready;
    let source = ParameterSource::Settings(&context.deployment.service);
    let release = engine::ReleaseOptions {
        proof,
        doing: "release".to_owned(),
        commit,
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

/// An image that is wanted in the registry.
pub(super) struct Order<'a> {
    pub(super) environment: &'a Environment,
    pub(super) proof: &'a Proof,
    pub(super) source: &'a Source,
    /// Whether to wait for the environment lock.
    pub(super) wait: bool,
    pub(super) dry_run: bool,
}

/// An image in the registry, and what was found on the way.
pub(super) struct Published<'a> {
    pub(super) ready: Ready<'a>,
    pub(super) image: ImageReference,
    /// The commit of a clean work tree.
    pub(super) commit: Option<String>,
}

/// Everything up to the image in the registry. `None` after a dry run.
///
/// # Errors
/// What is missing, code that does not compile, or what engine, registry and AWS say.
pub(super) async fn published<'a>(
    order: &Order<'a>,
    context: &'a Context,
    ui: &'a Ui,
) -> Result<Option<Published<'a>>> {
    context.interrupt.or(publish_in_turn(order, context, ui)).await
}

async fn publish_in_turn<'a>(order: &Order<'a>, context: &'a Context, ui: &'a Ui) -> Result<Option<Published<'a>>> {
    let Order { environment, proof, source, wait, dry_run } = *order;
    let name = &context.deployment.service.name;
    let registry = proof.registry.as_deref().or(environment.registry.as_deref());
    let also = async |session: &Session<'a>, template: &Template| {
        let tag = async {
            match preflight::platform(environment, template) {
                Ok(platform) => artifact::source_tag(context.workspace(), platform, &source.compiler()).await,
                Err(_) => None,
            }
        };
        let (tag, commit) = tokio::join!(tag, build::commit_for_record(context, ui));
        // Where the registry's host is said, the repository need not be asked for it.
        let known = KnownRepository::at(registry, name);
        let found = publish::find_image(session, tag.as_deref(), known).await?;
        Ok((tag, commit, found))
    };
    let check = Check { context, environment, proof, wait, engine: true, own_template: true };
    let (ready, (source_tag, commit, found)) = preflight::check(check, also, ui).await?;
    let known = match (&found.repository, &found.stored, &source_tag) {
        (Some(repository), Some(stored), Some(tag)) => Some((repository, stored, tag)),
        _ => None,
    };
    if let Some((repository, stored, tag)) = known
        && has_what_is_demanded(order, &ready, &repository.image(tag, registry).pinned(&stored.digest)).await?
    {
        // These very sources were compiled before: whatever would be built, the registry has it.
        let image = repository.image(tag, registry).pinned(&stored.digest);
        ui.phase("compile").skipped("these sources were compiled before");
        ui.phase("image").skipped(&format!("the registry has {name}:{tag}"));
        ui.phase("push").skipped(stored.digest.as_str());
        ui.note(|report| report.pushed_bytes = Some(0));
        if dry_run {
            foresee(context, &ready, order, &format!("use the image {name}:{tag} in the registry"), true, ui);
            return Ok(None);
        }
        return Ok(Some(Published { ready, image, commit }));
    }
    if let Err(failure) = &ready.engine {
        // Said before minutes are spent on compiling.
        return Err(model::outcome::preflight(std::slice::from_ref(failure)).into());
    }
    let artifact = build::compile(context, ready.platform, source, ui).await?;
    // At a host that was only said, there may be no such repository yet.
    let known = if registry.is_some() { KnownRepository::No } else { KnownRepository::Yes(found.repository) };
    let found = publish::find_image(&ready.session, Some(&artifact.tag), known).await?;
    if dry_run {
        let verb = if found.stored.is_some() { "use the image in the registry" } else { "build and push the image" };
        let image = format!("{verb} {name}:{} ({})", artifact.tag, ready.platform.oci());
        foresee(context, &ready, order, &image, found.repository.is_some(), ui);
        return Ok(None);
    }
    // Files may have changed while the compiler read them; a tag that cannot be moved must not lie.
    let compiler = source.compiler();
    let tag = artifact::source_tag(context.workspace(), ready.platform, &compiler);
    let (tag, now) = tokio::join!(tag, git::clean_commit(&context.root));
    let now = now.ok().flatten();
    let covered = artifact.is_covered(context.workspace()).await;
    let source_tag = source_tag.filter(|tag_before| covered && tag.as_ref() == Some(tag_before));
    let commit = commit.filter(|commit| now.as_ref() == Some(commit));
    let compiled = publish::Compiled { artifact, source_tag: source_tag.as_deref(), commit: commit.as_deref() };
    let published = publish::publish(&ready, compiled, found, registry).await?;
    ui.note(|report| report.pushed_bytes = Some(published.pushed.bytes));
    Ok(Some(Published { ready, image: published.image, commit }))
}

/// Whether an image of the registry can be used as it is. One that lacks what the environment demands is compiled once
/// more, since only the run that compiled it can attach that.
async fn has_what_is_demanded(order: &Order<'_>, ready: &Ready<'_>, image: &ImageReference) -> Result<bool> {
    let Some(digest) = image.digest.as_ref().filter(|_| order.environment.attested) else { return Ok(true) };
    let named = order.proof.registry.as_deref();
    let registry = attest::environment_registry(&ready.session, image, named).await?;
    attest::is_attested(&registry, digest).await
}

/// Says what a release would do; nothing but reading has been asked of AWS.
fn foresee(context: &Context, ready: &Ready<'_>, order: &Order<'_>, image: &str, has_repository: bool, ui: &Ui) {
    let Order { environment, proof, .. } = order;
    let mut steps = Vec::new();
    if !has_repository {
        steps.push(format!("create repository {}", context.deployment.service.name));
    }
    steps.push(image.to_owned());
    steps.extend(bucket::upload_step(&ready.session, &ready.template));
    let state = ready.observed.stack.as_ref().map(|stack| stack.status.as_str());
    let (answer, stack, template) = (status::answer(state), &environment.stack, &ready.template.path);
    let state = state.unwrap_or_default();
    steps.push(match answer {
        status::Answer::Create => format!("create stack {stack} from {template}"),
        status::Answer::Update => format!("update stack {stack} from {template}, if that changes it"),
        status::Answer::Wait => format!("wait for stack {stack}, which is {state}"),
        status::Answer::Recreate => format!("ask to delete stack {stack}, which is {state}, and create it again"),
        status::Answer::Refuse(refusal) => {
            format!("refuse: stack {stack} is {state}; {}", refusal.hint(stack, &environment.name, &environment.region))
        }
    });
    steps.extend(model::one_off::step(&ready.template, &context.deployment.service.before_release));
    if !proof.no_smoke && !matches!(answer, status::Answer::Refuse(_)) {
        steps.push("prove the endpoint".to_owned());
    }
    ui.result(&steps.join("\n"));
    ui.note(|report| report.plan.get_or_insert_default().extend(steps));
}
