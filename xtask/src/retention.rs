//! Retention: the images and inputs that environments run or need for a rollback.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use config::deployment::Environment;

use crate::engine::observe::observe;
use crate::session::Session;
use aws::{Clients, journal};
use model::history::{self, StackState};
use model::outcome::{Exit, Failure, FailureKind};
use model::record::Record;
use model::reference::ImageReference;

/// The environments that share the session's repository, its own included: those of the same account and region.
///
/// # Errors
/// One with instances: there is no list of them, nor of the images that they run.
pub(crate) fn neighbours<'a>(session: &Session<'a>) -> Result<Vec<&'a Environment>, Failure> {
    let Session { context, environment, identity, .. } = session;
    let shares = |other: &&Environment| {
        other.region == environment.region
            && other.endpoint == environment.endpoint
            && other.account.as_ref().is_none_or(|account| *account == identity.account)
    };
    let neighbours: Vec<&Environment> = context.deployment.environments.values().filter(shares).collect();
    match neighbours.iter().find(|other| other.instances) {
        None => Ok(neighbours),
        Some(many) => Err(Failure::new(
            Exit::Failed,
            FailureKind::Instances,
            "the images that the environments need cannot be determined",
        )
        .resource(format!("environment {}", many.name))
        .reason(format!("it has many instances, stacks {}, and there is no list of them", many.stacks()))
        .hint("remove its instances, then leave it out of deploy.toml while the images are removed")),
    }
}

/// Digests of the images that an environment runs or needs for a rollback.
///
/// # Errors
/// A call to AWS fails, or an image has no digest: then no image can be called unneeded.
pub(crate) async fn images(clients: &Clients, environment: &Environment, keep: usize) -> Result<BTreeSet<String>> {
    let (runs, kept) = kept(clients, environment, keep).await?;
    let mut digests = BTreeSet::new();
    for image in kept.iter().map(|record| record.image.as_str()).chain(runs.as_deref()) {
        let digest = image.parse::<ImageReference>().ok().and_then(|image| image.digest).ok_or_else(|| {
            Failure::new(Exit::Failed, FailureKind::Image, "the image that an environment needs cannot be determined")
                .resource(format!("environment {}", environment.name))
                .reason(format!("it names {image}, without a digest"))
                .hint(format!("cargo xtask release {}, which names it by digest", environment.name))
        })?;
        digests.insert(digest.to_string());
    }
    Ok(digests)
}

/// Names of the inputs that an environment uses or needs for a rollback.
///
/// # Errors
/// As for [`images`].
pub(crate) async fn inputs(clients: &Clients, environment: &Environment, keep: usize) -> Result<BTreeSet<String>> {
    let (_, kept) = kept(clients, environment, keep).await?;
    Ok(kept.into_iter().map(|record| record.inputs).collect())
}

/// The running image, and the records that rollbacks need.
async fn kept(clients: &Clients, environment: &Environment, keep: usize) -> Result<(Option<String>, Vec<Record>)> {
    let read =
        tokio::try_join!(observe(clients, environment), journal::list_all_releases(&clients.ssm, &environment.stack));
    let (seen, records) =
        read.with_context(|| format!("the images that {} needs cannot be determined", environment.name))?;
    let stack = seen.stack.as_ref();
    // Also the newest by number: after the next release, the releases to roll back to may be others.
    let newest = history::succeeded(&records).take(keep);
    let back = history::rollback_targets(&records, StackState::of(environment, stack)).into_iter().take(keep);
    let mut kept: Vec<Record> = newest.chain(back).cloned().collect();
    kept.extend(records.first().cloned());
    Ok((stack.and_then(|stack| stack.image_uri(environment)).map(str::to_owned), kept))
}
