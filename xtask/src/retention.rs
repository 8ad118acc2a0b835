//! What environments need: the images and inputs that they run, or that one can go back to.

use crate::engine::observe::observe;
use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use config::deployment::Environment;

use crate::context::Context;
use aws::journal;
use aws::{Clients, Identity};
use model::history;
use model::outcome::{Exit, Failure, FailureKind};
use model::record::Record;
use model::reference::ImageReference;
use model::stack::Stack;

/// The environments that share the repository with `environment`, itself included: those of its account and region.
///
/// # Errors
/// One of which there are many: nobody has a list of its instances, and so of what they run.
pub(crate) fn neighbours<'a>(
    context: &'a Context,
    environment: &Environment,
    identity: &Identity,
) -> Result<Vec<&'a Environment>, Failure> {
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
            "it cannot be told which images the environments need",
        )
        .resource(format!("environment {}", many.name))
        .reason(format!("there are many of it, stacks {}, and no list of them", many.stacks()))
        .hint("remove its instances, then leave it out of deploy.toml while the images are removed")),
    }
}

/// Digests that an environment runs or can go back to.
///
/// # Errors
/// What AWS says, or something that cannot be told: then nothing may be taken for unneeded.
pub(crate) async fn images(clients: &Clients, environment: &Environment, keep: usize) -> Result<BTreeSet<String>> {
    let (runs, kept) = kept(clients, environment, keep).await?;
    let mut digests = BTreeSet::new();
    for image in kept.iter().map(|record| record.image.as_str()).chain(runs.as_deref()) {
        let digest = image.parse::<ImageReference>().ok().and_then(|image| image.digest).ok_or_else(|| {
            Failure::new(Exit::Failed, FailureKind::Image, "it cannot be told which image an environment needs")
                .resource(format!("environment {}", environment.name))
                .reason(format!("it names {image}, without a digest"))
                .hint(format!("cargo xtask release {}, which names it by digest", environment.name))
        })?;
        digests.insert(digest.to_string());
    }
    Ok(digests)
}

/// Names of the inputs of the releases that an environment runs or can go back to.
///
/// # Errors
/// As for [`images`].
pub(crate) async fn inputs(clients: &Clients, environment: &Environment, keep: usize) -> Result<BTreeSet<String>> {
    let (_, kept) = kept(clients, environment, keep).await?;
    Ok(kept.into_iter().map(|record| record.inputs).collect())
}

/// What runs, and the records that are needed for going back.
async fn kept(clients: &Clients, environment: &Environment, keep: usize) -> Result<(Option<String>, Vec<Record>)> {
    let looked =
        tokio::try_join!(observe(clients, environment), journal::list_all_releases(&clients.ssm, &environment.stack));
    let (seen, records) = looked.with_context(|| format!("what {} needs cannot be found out", environment.name))?;
    let stack = seen.stack.as_ref();
    // The newest ones also by number: from what runs right now, others may be the way back than later.
    let newest = history::good(&records).take(keep);
    let back = history::earlier(&records, stack.into()).into_iter().take(keep);
    let mut kept: Vec<Record> = newest.chain(back).cloned().collect();
    kept.extend(records.first().cloned());
    Ok((stack.and_then(Stack::container_uri).map(str::to_owned), kept))
}
