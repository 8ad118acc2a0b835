//! `prune`: removes images and records that are neither in use nor needed for a rollback.
//!
//! The registry's lifecycle policy does not know what is deployed, so it never removes a tagged image; this command does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::session::Session;
use crate::{retention, session};
use aws::ecr::{self, ListedImage};
use aws::journal::inputs;
use aws::journal::lock::{Holder, Lock};
use image::docker;
use local::cli::Prune;
use local::ui::Ui;
use model::outcome;

/// Younger images are kept: they may belong to a release in progress.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn run(arguments: &Prune, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let neighbours = retention::neighbours(&session)?;
    let keep = usize::from(arguments.keep);
    let name = &context.deployment.service.name;
    let phase = ui.phase("look");
    let (stale, all) = stale_images(&session, &neighbours, keep).await?;
    let inputs = unneeded_inputs(&session, keep).await?;
    let others = context.deployment.environments.values().filter(|other| !neighbours.contains(other));
    let others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    phase.done(&format!("{all} images, {} of them needed or recent", all - stale.len()));
    if !others.is_empty() {
        let others = others.join(", ");
        ui.warn(&format!(
            "not checked, because they are in another account or region: {others}; make sure that they do not run these images"
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
        // Under the locks no release can start to need one of the images; what changed before is found by listing again.
        let locks = lock_all(&session, &neighbours).await?;
        remove_unneeded(&session, &neighbours, keep, &stale, &locks).await?;
        context.locks.give_all_back().await;
        ui.result(&format!("removed {what}"));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}

/// Locks all environments; `main` releases the locks if this fails halfway.
async fn lock_all(session: &Session<'_>, neighbours: &[&Environment]) -> Result<Vec<Arc<Lock>>> {
    let Session { context, clients, identity, ui, .. } = session;
    let phase = ui.phase("lock");
    let run = model::job::run_url(&context.vars);
    let mut locks = Vec::new();
    for other in neighbours {
        let holder = Holder::this_run(&session::token(), &identity.arn, "prune", None, run.as_deref());
        locks.push(context.locks.take(&clients.ssm, other, holder, false, &|step| phase.report(step)).await?);
    }
    phase.done(&format!("{} environments", locks.len()));
    Ok(locks)
}

async fn remove_unneeded(
    session: &Session<'_>,
    neighbours: &[&Environment],
    keep: usize,
    shown: &[ListedImage],
    locks: &[Arc<Lock>],
) -> Result<()> {
    let clients = &session.clients;
    let phase = session.ui.phase("remove");
    let (still, _) = stale_images(session, neighbours, keep).await?;
    for lock in locks {
        lock.check(&|step| phase.report(step)).await?;
    }
    let digests: Vec<String> =
        still.into_iter().filter(|image| shown.contains(image)).map(|image| image.digest).collect();
    ecr::delete_images(&clients.ecr, &session.context.deployment.service.name, &digests).await?;
    let unneeded = unneeded_inputs(session, keep).await?;
    inputs::sweep(&clients.ssm, &session.environment.stack, |hash| !unneeded.contains(hash)).await?;
    phase.done(&match digests.len() {
        1 => "1 image".to_owned(),
        images => format!("{images} images"),
    });
    Ok(())
}

/// The images that no environment needs and that are older than [`AGE`], and the number of all images.
async fn stale_images(
    session: &Session<'_>,
    neighbours: &[&Environment],
    keep: usize,
) -> Result<(Vec<ListedImage>, usize)> {
    let Session { context, clients, .. } = session;
    let mut needed = BTreeSet::new();
    for other in neighbours {
        needed.extend(retention::images(clients, other, keep).await?);
    }
    let images = ecr::list_images(&clients.ecr, &context.deployment.service.name).await?;
    let all = images.len();
    Ok((select_stale(images, &needed, SystemTime::now() - AGE), all))
}

/// Those that are neither needed nor recent. Attachments are kept as long as their image, whatever their age.
fn select_stale(images: Vec<ListedImage>, needed: &BTreeSet<String>, old: SystemTime) -> Vec<ListedImage> {
    let stays =
        |image: &&ListedImage| needed.contains(&image.digest) || image.pushed.is_none_or(|pushed| pushed >= old);
    let kept: BTreeSet<String> = images.iter().filter(stays).map(|image| image.digest.clone()).collect();
    let is_kept = |image: &ListedImage| {
        kept.contains(&image.digest) || image.subject.as_ref().is_some_and(|subject| kept.contains(subject))
    };
    images.into_iter().filter(|image| !is_kept(image)).collect()
}

/// Names of stored inputs that no release in use and no rollback needs.
async fn unneeded_inputs(session: &Session<'_>, keep: usize) -> Result<BTreeSet<String>> {
    let Session { environment, clients, .. } = session;
    // Includes partly stored ones: under the lock nothing is being stored.
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
        let gone = select_stale(images, &BTreeSet::from(["needed".to_owned()]), now - AGE);
        let names: Vec<&str> = gone.iter().map(|image| image.digest.as_str()).collect();
        assert_eq!(names, ["stale", "stale-sbom", "of-nothing"]);
    }
}
