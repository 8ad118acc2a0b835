//! `diff`: shows what a release of this work tree would change, and only reads.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use config::deployment::Environment;
use futures_util::StreamExt;

use super::deploy;
use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource, effective};
use crate::engine::observe::{Observed, base, deployed_body, observe};
use crate::engine::plan::TAG;
use crate::preflight::{self, AtAws};
use crate::publish::{self, KnownRepository};
use crate::session::Session;
use crate::{container, container_secrets, needs};
use aws::{Clients, stack};
use image::artifact;
use local::build;
use local::cli::Diff;
use local::ui::Ui;
use model::diff::{Comparison, Image, Schema, Side, Summary, markdown};
use model::outcome::{self, Exit, Failure, FailureKind};
use model::parameters::Value;
use model::record::Change;
use model::reference::ImageReference;
use model::stack::Stack;
use model::status::{self, Answer};
use model::template::evaluate::Pseudo;
use model::template::{HIDDEN, Template};
use model::{cost, guard};

/// Schemas that are requested at a time.
const AT_ONCE: usize = 4;

pub(super) async fn run(arguments: &Diff, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let template = template(context, environment)?;
    let foresight = needs::foresee_needs(context, environment, ui).await?;
    let first: Vec<String> = foresight.steps.iter().map(|step| format!("a release would first {step}")).collect();
    let environment = &foresight.complete()?;
    let session = Session::open(context, environment, ui).await?;
    let template =
        container_secrets::as_sent(&session, &template).await.map_err(|problems| outcome::preflight(&problems))?;
    let seen = observe(&session.clients, environment);
    let image = release_image(arguments, &session, &template);
    let (seen, image, commit) = tokio::join!(seen, image, build::commit_for_record(context, ui));
    let (seen, image) = (seen?, image?);
    let at_aws = AtAws { stack: base(seen.stack.as_ref()), account: Some(&session.identity.account) };
    let mut problems = preflight::parameter_problems(context, environment, &template, Some(at_aws));
    let stored = image.as_ref().filter(|(_, stored)| *stored);
    problems.extend(stored.and_then(|(image, _)| preflight::image_problem(environment, &template, image)));
    if !problems.is_empty() {
        return Err(outcome::preflight(&problems).into());
    }
    let difference = Difference { session: &session, template: &template, seen: &seen };
    let mut summary = Summary { commit, ..difference.summary(image).await? };
    summary.notes.splice(0..0, first);
    if let Some(out) = &arguments.out {
        let written = super::plan::written(out, &markdown::document(&summary));
        written.with_context(|| format!("the difference cannot be written to {}", out.display()))?;
    }
    ui.result(&summary.text());
    ui.note(|report| {
        report.change = Some(summary.change);
        report.plan_file = arguments.out.as_ref().map(|out| out.display().to_string());
        if let Some(Image::Runs(image) | Image::Stored(image)) = &summary.image {
            report.image = Some(image.clone());
            report.digest = image.split_once('@').map(|(_, digest)| digest.to_owned());
        }
        report.stack_status = seen.stack.as_ref().map(|stack| stack.status.clone());
        report.notes = [summary.warnings, summary.notes].concat();
        report.changes = Some(summary.changes);
        report.container = summary.container;
        (report.cost, report.eta) = (summary.cost, summary.eta);
    });
    Ok(())
}

/// The template, which may run an image or not.
pub(super) fn template(context: &Context, environment: &Environment) -> Result<Template, Failure> {
    let template = context.other_template(environment)?;
    if template.runs_image(environment) { context.template(environment) } else { Ok(template) }
}

/// The image that a release would deploy, and whether the registry has it.
type Sent = (ImageReference, bool);

/// The image that a release would deploy, as far as it is known without building; `None` for a template without one.
async fn release_image(arguments: &Diff, session: &Session<'_>, template: &Template) -> Result<Option<Sent>> {
    let Session { context, environment, clients, ui, .. } = session;
    if !template.runs_image(environment) {
        return Ok(None);
    }
    let registry = arguments.registry.as_deref().or(environment.registry.as_deref());
    if let Some(image) = &arguments.image {
        let invalid = |error: model::reference::InvalidReference| {
            Failure::new(Exit::Usage, FailureKind::Image, error.to_string())
        };
        let image = &image.parse().map_err(invalid)?;
        let platform = preflight::platform(environment, template)?;
        let target = deploy::Target { image, environment: &environment.name, platform };
        return Ok(Some((deploy::pin(clients, target, registry, true).await?.image, true)));
    }
    let name = &context.deployment.service.name;
    let platform = preflight::platform(environment, template)?;
    let source = &arguments.source;
    let tag = match artifact::source_tag(context.workspace(), platform, &source.compiler()).await {
        Some(tag) => Some(tag),
        // The Docker engine would compile, so the tag depends on the sources only.
        None if source.from_source || !platform.is_host() => {
            Some(build::compile(context, platform, source, ui).await?.tag)
        }
        None => None,
    };
    let known = KnownRepository::at(registry, name);
    let found = publish::find_image(session, tag.as_deref(), known).await?;
    Ok(Some(match (&found.repository, &found.stored, &tag) {
        (Some(repository), Some(stored), Some(tag)) => (repository.image(tag, registry).pinned(&stored.digest), true),
        _ => (ImageReference::tagged(registry.unwrap_or("registry"), name, "new"), false),
    }))
}

/// Compares the template with the stack.
struct Difference<'a> {
    session: &'a Session<'a>,
    template: &'a Template,
    seen: &'a Observed,
}

impl Difference<'_> {
    async fn summary(&self, image: Option<Sent>) -> Result<Summary> {
        let Self { session: Session { context, environment, clients, identity, .. }, template, seen } = *self;
        let there = base(seen.stack.as_ref());
        let source = ParameterSource::Settings(&context.deployment.service);
        let wanted = image.as_ref().map(|(image, _)| image.clone());
        let desired = Desired::new(environment, wanted, template.clone(), source, there);
        let after = effective(desired.parameters(), there);
        let body = deployed_body(clients, environment, there, seen, template).await?;
        let before = body.as_deref().zip(there).map(|(body, stack)| Side { body, parameters: &stack.parameters });
        let now = Side { body: &template.body, parameters: &after };
        let region = &environment.region;
        let known = Pseudo { region, account: Some(&identity.account), stack: Some(&environment.stack) };
        let comparison = Comparison::of(before, now, known).map_err(|reason| {
            Failure::new(Exit::Failed, FailureKind::Template, "the templates cannot be compared")
                .resource(format!("stack {}", environment.stack))
                .reason(reason)
        })?;
        let mut notes = self.notes(there, desired.parameters(), &comparison);
        let (schemas, unknown) = schemas(clients, &comparison).await;
        let changes = comparison.changes(&schemas);
        notes.extend(unknown.filter(|_| changes.iter().any(|change| change.replacement.is_some())));
        let same_text = body.as_deref().is_some_and(|body| template.has_text(body));
        let change = match there {
            None => Change::Create,
            Some(_) if changes.is_empty() && same_text && comparison.uncertain().is_empty() => Change::None,
            Some(_) => Change::Update,
        };
        let moved = guard::moved(template, there.map(|stack| &stack.parameters));
        let warnings = guard::losses(&changes, &moved);
        let warnings =
            warnings.map(|(change, warning)| format!("{warning}; a release needs --allow {}", change.logical_id));
        let warnings = warnings.collect();
        let untagged = |stack: &Stack| stack.tags.get(TAG.0).map(String::as_str) != Some(TAG.1);
        if change == Change::Update && there.is_some_and(untagged) {
            notes.push(format!("the stack and its taggable resources get the tag {}={}", TAG.0, TAG.1));
        }
        let container = container::changes(body.as_deref(), &template.body);
        let earlier = before.map(|side| (side.body, side.parameters));
        let runs = there.and_then(|stack| stack.image_uri(environment));
        Ok(Summary {
            environment: environment.name.clone(),
            region: region.clone(),
            stack: environment.stack.clone(),
            commit: None,
            change,
            image: image.map(|(image, stored)| match image.to_string() {
                image if stored && runs == Some(image.as_str()) => Image::Runs(image),
                image if stored => Image::Stored(image),
                _ => Image::New,
            }),
            changes,
            container,
            cost: cost::change(earlier, (now.body, now.parameters), known),
            eta: seen.remembered.eta(change.as_str()),
            warnings,
            notes,
        })
    }

    /// Notes for the reader.
    fn notes(&self, there: Option<&Stack>, sent: &BTreeMap<String, Value>, comparison: &Comparison) -> Vec<String> {
        let Self { session: Session { environment, .. }, template, seen } = *self;
        let mut notes = Vec::new();
        if let Some(stack) = &seen.stack {
            let (name, state) = (&stack.name, &stack.status);
            notes.extend(match status::answer(Some(state)) {
                Answer::Wait => Some(format!("stack {name} is {state}; the operation in progress may change it")),
                Answer::Recreate => Some(format!("stack {name} is {state}; a release would ask to delete it first")),
                Answer::Refuse(refusal) => {
                    let hint = refusal.hint(name, &environment.name, &environment.region);
                    Some(format!("stack {name} is {state}, and a release would refuse; {hint}"))
                }
                Answer::Create | Answer::Update => None,
            });
        }
        let hidden =
            |name: &&String| there.is_some_and(|stack| stack.parameters.get(*name).is_some_and(|v| v == HIDDEN));
        let secret = sent.iter().filter(|(name, value)| matches!(value, Value::Is(_)) && hidden(name));
        notes.extend(secret.map(|(name, _)| {
            format!("CloudFormation does not return the value of parameter {name}, so it counts as changed")
        }));
        if template.is_dynamic {
            notes.push("AWS resolves some values at each update; they are not known here".to_owned());
        }
        notes.extend(comparison.notes());
        notes.extend(comparison.uncertain().into_iter().map(|id| format!("whether {id} exists is only known at AWS")));
        notes
    }
}

/// The schemas of the types that change, and a note if some are missing.
async fn schemas(clients: &Clients, comparison: &Comparison) -> (BTreeMap<String, Schema>, Option<String>) {
    let client = &clients.cloudformation;
    let asked =
        comparison.types().into_iter().map(|kind| async move { (kind, stack::resource_schema(client, kind).await) });
    let answers: Vec<_> = futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await;
    let (mut schemas, mut unknown) = (BTreeMap::new(), None);
    for (kind, answer) in answers {
        match answer {
            Ok(Some(text)) => schemas.extend(Schema::read(&text).map(|schema| (kind.to_owned(), schema))),
            Ok(None) => {}
            Err(failure) => {
                let reason = failure.reason.unwrap_or_default();
                unknown = Some(format!("which resources are replaced is unknown: {}: {reason}", failure.message));
            }
        }
    }
    (schemas, unknown)
}
