//! `plan`: everything of a release up to the consent, written down.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::release;
use crate::cli::Plan;
use crate::context::Context;
use crate::delivery::admission::Candidate;
use crate::delivery::plan_file::{Parts, PlanFile};
use crate::rollout;
use crate::rollout::{Manners, Origin, Outlook, Wanted};
use crate::ui::Ui;
use model::outcome::{Exit, Failure};

pub(super) async fn run(arguments: &Plan, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment)?;
    ui.about(environment);
    let Plan { proof, conduct, source, .. } = arguments;
    // A plan changes nothing that runs, so nobody has to be waited for.
    let order = release::Order { environment, proof, source, wait: true, dry_run: false };
    let release::Published { ready, image, commit } =
        release::published(&order, context, ui).await?.expect("no dry run");
    let origin = Origin::Settings(&context.deployment.service);
    let wanted = Wanted { environment, image, template: ready.template.clone(), origin };
    // Whoever reviews the plan shall see what would keep it from being applied; to publish and to plan is no harm.
    let candidate = Candidate {
        environment,
        image: &wanted.image,
        registry: proof.registry.as_deref(),
        allowed: &conduct.allow_finding,
    };
    if let Err(error) = context.interrupt.or(candidate.admit(&ready.session)).await {
        let failure = Failure::of(&error);
        if failure.exit != Exit::Preflight {
            return Err(error);
        }
        let reason = failure.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        ui.warn(&format!("it could not be applied: {failure}{reason}"));
    }
    let phase = ui.phase("plan");
    let current = context.interrupt.or(rollout::is_current(&ready.session.clients, &wanted, &ready.seen)).await?;
    let manners = Manners { follow: !conduct.no_follow, recreate: false, allow: &conduct.allow, asker: None };
    let found = ready.seen.stack.clone();
    let before = rollout::settle(context, &ready.session.clients, environment, found, manners, ui).await?;
    let proposal = if current {
        None
    } else {
        let wish = wanted.wish(before.clone(), &conduct.allow);
        rollout::propose(context, &ready.session.clients, wish, &phase, ui).await?
    };
    let outlook = match &proposal {
        Some(proposal) => Outlook::of(&ready.session.clients, &wanted, proposal, &ready.seen).await,
        None => Outlook::default(),
    };
    outlook.show(&phase);
    let parts = Parts {
        wanted: &wanted,
        account: &ready.session.identity.account,
        commit,
        before: before.as_ref().filter(|stack| stack.status != "REVIEW_IN_PROGRESS"),
        proposal: proposal.as_ref(),
        outlook: outlook.told(),
    };
    let plan = PlanFile::new(parts);
    let out = &arguments.out;
    if let Err(error) = written(out, &plan.text()) {
        if let Some(proposal) = &proposal {
            proposal.abandon(&ready.session.clients.cloudformation).await;
        }
        return Err(error).with_context(|| format!("the plan cannot be written to {}", out.display()));
    }
    phase.done(&match (&proposal, plan.changes.len()) {
        (None, _) => "nothing would change".to_owned(),
        (Some(_), 1) => "1 change".to_owned(),
        (Some(_), changes) => format!("{changes} changes"),
    });
    ui.note(|report| {
        report.image = Some(plan.image.clone());
        report.digest = wanted.image.digest.as_ref().map(ToString::to_string);
        report.change = Some(plan.change);
        report.changes = Some(plan.changes.clone());
        report.cost = outlook.cost;
        report.eta = outlook.eta;
        report.plan_file = Some(out.display().to_string());
    });
    ui.result(&out.display().to_string());
    Ok(())
}

/// Writes a file, in a folder that need not be there.
pub(super) fn written(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, text)
}
