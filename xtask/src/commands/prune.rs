//! `prune`: remove images and records that nothing runs and nobody goes back to.
//!
//! The registry's own lifecycle policy cannot know what is deployed, so it never takes a tagged image; this does.

use crate::engine;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use config::deployment::Environment;

use crate::cli::Prune;
use crate::context::Context;
use crate::retention;
use crate::session::Session;
use crate::ui::Ui;
use aws::ecr::{self, ListedImage};
use aws::journal::inputs;
use aws::journal::lock::{Holder, Lock};
use aws::{Clients, Identity};
use image::docker;
use model::outcome;

/// Younger images are left alone: they may be of a release that is under way.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn run(arguments: &Prune, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let Session { clients, identity, .. } = &session;
    let neighbours = retention::neighbours(context, environment, &identity)?;
    let keep = usize::from(arguments.keep);
    let name = &context.deployment.service.name;
    let phase = ui.phase("look");
    let (stale, all) = stale(&clients, &neighbours, name, keep).await?;
    let inputs = unneeded(&clients, environment, keep).await?;
    let others = context.deployment.environments.values().filter(|other| !neighbours.contains(other));
    let others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    phase.done(&format!("{all} images, {} of them needed or young", all - stale.len()));
    if !others.is_empty() {
        let others = others.join(", ");
        ui.warn(&format!(
            "not asked, because they are in another account or region: {others}; do they run these images?"
        ));
    }
    let bytes: u64 = stale.iter().map(|image| image.size).sum();
    let images: Vec<String> = stale.iter().map(|image| format!("image {name}@{}", image.digest)).collect();
    let removed = [images, inputs.iter().map(|hash| format!("template and parameters {hash}")).collect()].concat();
    removed.iter().for_each(|line| ui.line(&format!("   {line}")));
    let what = format!("{} of the images of {name}, {}", stale.len(), docker::megabytes(bytes));
    if removed.is_empty() {
        ui.result("nothing to remove");
    } else if arguments.dry_run {
        ui.result(&format!("would remove {what}"));
    } else {
        if !ui.confirm(&format!("Remove {what}?")).await? {
            return Err(outcome::declined("nothing was removed", format!("repository {name}")).into());
        }
        // Nobody may begin to need one of them while they are removed, and somebody may have since they were looked at.
        let locks = lock_all(context, &clients, &identity, &neighbours, ui).await?;
        remove(&clients, environment, &neighbours, name, keep, (&stale, &locks), ui).await?;
        context.locks.give_all_back().await;
        ui.result(&format!("removed {what}"));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}

/// Takes the locks of all; where that ends early, `main` gives back those that were taken.
async fn lock_all(
    context: &Context,
    clients: &Clients,
    identity: &Identity,
    neighbours: &[&Environment],
    ui: &Ui,
) -> Result<Vec<Arc<Lock>>> {
    let phase = ui.phase("lock");
    let run = model::job::run_url(&context.vars);
    let mut locks = Vec::new();
    for other in neighbours {
        let holder = Holder::this_run(&engine::token(), &identity.arn, "prune", None, run.as_deref());
        locks.push(context.locks.take(&clients.ssm, other, holder, false, &|step| phase.report(step)).await?);
    }
    phase.done(&format!("{} environments", locks.len()));
    Ok(locks)
}

async fn remove(
    clients: &Clients,
    environment: &Environment,
    neighbours: &[&Environment],
    name: &str,
    keep: usize,
    (shown, locks): (&[ListedImage], &[Arc<Lock>]),
    ui: &Ui,
) -> Result<()> {
    let phase = ui.phase("remove");
    let (still, _) = stale(clients, neighbours, name, keep).await?;
    for lock in locks {
        lock.check(&|step| phase.report(step)).await?;
    }
    let digests: Vec<String> =
        still.into_iter().filter(|image| shown.contains(image)).map(|image| image.digest).collect();
    ecr::delete_images(&clients.ecr, name, &digests).await?;
    let unneeded = unneeded(clients, environment, keep).await?;
    inputs::sweep(&clients.ssm, &environment.stack, |hash| !unneeded.contains(hash)).await?;
    phase.done(&match digests.len() {
        1 => "1 image".to_owned(),
        images => format!("{images} images"),
    });
    Ok(())
}

/// Images that no environment needs and that are not young, and how many there are in all.
async fn stale(
    clients: &Clients,
    neighbours: &[&Environment],
    name: &str,
    keep: usize,
) -> Result<(Vec<ListedImage>, usize)> {
    let mut needed = BTreeSet::new();
    for other in neighbours {
        needed.extend(retention::images(clients, other, keep).await?);
    }
    let images = ecr::list_images(&clients.ecr, name).await?;
    let all = images.len();
    Ok((unneeded_images(images, &needed, SystemTime::now() - AGE), all))
}

/// Those that are neither needed nor young. What is attached to an image stays with it, however old it is.
fn unneeded_images(images: Vec<ListedImage>, needed: &BTreeSet<String>, old: SystemTime) -> Vec<ListedImage> {
    let stays =
        |image: &&ListedImage| needed.contains(&image.digest) || image.pushed.is_none_or(|pushed| pushed >= old);
    let kept: BTreeSet<String> = images.iter().filter(stays).map(|image| image.digest.clone()).collect();
    let is_kept = |image: &ListedImage| {
        kept.contains(&image.digest) || image.subject.as_ref().is_some_and(|subject| kept.contains(subject))
    };
    images.into_iter().filter(|image| !is_kept(image)).collect()
}

/// Names of stored inputs that no release needs which one can go back to.
async fn unneeded(clients: &Clients, environment: &Environment, keep: usize) -> Result<BTreeSet<String>> {
    // Also those that are stored in part: nobody is at it who has the lock.
    let ((_, stored), needed) = tokio::try_join!(
        inputs::stored_hashes(&clients.ssm, &environment.stack),
        retention::inputs(clients, environment, keep)
    )?;
    Ok(stored.difference(&needed).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_to_an_image_stays_and_goes_with_it() {
        let now = SystemTime::now();
        let image = |digest: &str, age: Duration, subject: Option<&str>| ListedImage {
            digest: digest.to_owned(),
            pushed: Some(now - age),
            size: 1,
            subject: subject.map(str::to_owned),
        };
        let images = vec![
            image("needed", AGE * 2, None),
            image("its-sbom", AGE * 2, Some("needed")),
            image("young", Duration::ZERO, None),
            image("its-provenance", AGE * 2, Some("young")),
            image("stale", AGE * 2, None),
            image("stale-sbom", AGE * 2, Some("stale")),
            image("of-nothing", AGE * 2, Some("gone")),
            image("just-attached", Duration::ZERO, Some("stale")),
        ];
        let gone = unneeded_images(images, &BTreeSet::from(["needed".to_owned()]), now - AGE);
        let names: Vec<&str> = gone.iter().map(|image| image.digest.as_str()).collect();
        assert_eq!(names, ["stale", "stale-sbom", "of-nothing"]);
    }
}
