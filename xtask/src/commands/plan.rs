//! `plan`: everything of a release up to the consent, written down.

use std::path::Path;

use anyhow::{Context as _, Result};

use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::template::Template;

use super::release;
use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::plan::{PricedProposal, Proposal};
use crate::engine::plan_file::PlanFile;
use crate::engine::{Operation, ReleaseOptions};
use crate::needs;
use crate::preflight::Ready;
use local::cli::Plan;
use local::ui::Ui;

pub(super) async fn run(arguments: &Plan, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment)?;
    ui.about(environment);
    let Plan { proof, conduct, source, .. } = arguments;
    let foresight = needs::foresee_needs(context, environment, ui).await?;
    for step in &foresight.steps {
        ui.warn(&format!("a release would first {step}; this plan does not"));
    }
    let environment = &foresight.complete()?;
    // A plan changes nothing that runs, so it need not wait for the lock.
    let order = release::Order { environment, proof, source, wait: true, dry_run: false };
    let release::Published { ready, image, commit } =
        release::published(&order, context, ui).await?.expect("no dry run");
    let Ready { session, template, observed, .. } = &ready;
    let source = ParameterSource::Settings(&context.deployment.service);
    let desired = Desired::new(environment, Some(image), template.clone(), source, observed.stack.as_ref());
    let words = &context.deployment.service.before_release;
    let release = ReleaseOptions {
        proof,
        doing: "plan".to_owned(),
        commit: None,
        back_to: None,
        before: words,
        keep_failed: true,
    };
    let mut operation = Operation { session, desired, conduct, question: None, planned: false, release: Some(release) };
    // A reviewer shall see what would keep the plan from being applied; to publish and to plan is no harm.
    if let Err(error) = operation.admit().await {
        let failure = Failure::of(&error);
        if failure.exit != Exit::Preflight {
            return Err(error);
        }
        let reason = failure.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        ui.warn(&format!("it could not be applied: {failure}{reason}"));
    }
    let phase = ui.phase("plan");
    let current = operation.is_current(observed).await?;
    let settled = operation.settle(observed, false, false).await?;
    let proposed = if current { None } else { operation.plan(&settled, &phase).await? };
    if let Some(PricedProposal { proposal: proposal @ Proposal { realign: Some(_), .. }, .. }) = &proposed {
        proposal.abandon(&session.clients.cloudformation).await;
        return Err(two_steps(environment, template).into());
    }
    let before = settled.stack.as_ref().filter(|stack| stack.status != "REVIEW_IN_PROGRESS");
    let desired = &operation.desired;
    let mut plan = PlanFile::new(desired, &session.identity.account, commit, before, proposed.as_ref());
    plan.before_release = model::one_off::command(template, words).unwrap_or_default().to_vec();
    let out = &arguments.out;
    if let Err(error) = written(out, &plan.text()) {
        if let Some(proposed) = &proposed {
            proposed.proposal.abandon(&session.clients.cloudformation).await;
        }
        return Err(error).with_context(|| format!("the plan cannot be written to {}", out.display()));
    }
    phase.done(&match (&proposed, plan.changes.len()) {
        (None, _) => "nothing would change".to_owned(),
        (Some(_), 1) => "1 change".to_owned(),
        (Some(_), changes) => format!("{changes} changes"),
    });
    ui.note(|report| {
        report.image = Some(plan.image.clone());
        report.digest = desired.image.as_ref().and_then(|image| Some(image.digest.as_ref()?.to_string()));
        report.change = Some(plan.change);
        report.changes = Some(plan.changes.clone());
        (report.cost, report.eta) = proposed.map(|plan| (plan.cost, plan.eta)).unwrap_or_default();
        report.plan_file = Some(out.display().to_string());
    });
    ui.result(&out.display().to_string());
    Ok(())
}

/// What changes listener rules after ECS has shifted their weights needs two updates, and a plan is one.
fn two_steps(environment: &Environment, template: &Template) -> Failure {
    let rules = template.weights.iter().flat_map(|weights| &weights.rules);
    let flags: Vec<String> = rules.map(|rule| format!("--allow {rule}")).collect();
    let name = &environment.name;
    Failure::new(Exit::Failed, FailureKind::Guard, "this needs two updates, and a plan is one")
        .resource(format!("stack {}", environment.stack))
        .reason(
            "the update changes listener rules whose weights ECS has shifted since; the stack must have those weights \
             before, or a rollback sends requests to tasks that are gone",
        )
        .hint(format!("cargo xtask release {name} makes both; {} plans one, without that protection", flags.join(" ")))
}

/// Writes a file, in a folder that need not be there.
pub(super) fn written(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text)
}
