//! `prune`: remove images and records that nothing runs and nobody goes back to.
//!
//! The registry's own lifecycle policy cannot know what is deployed, so it never takes a tagged image; this does.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use config::deployment::Environment;

use super::release;
use crate::aws::Clients;
use crate::cli::Prune;
use crate::context::Context;
use crate::ecr::{self, Listed};
use crate::image::ImageReference;
use crate::journal::inputs;
use crate::journal::record::{self, Record};
use crate::outcome::{Exit, Failure};
use crate::rollout;
use crate::stack::Stack;
use crate::ui::Ui;
use crate::{docker, preflight};

/// Younger images are left alone: they may be of a release that is under way.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn run(arguments: &Prune, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    release::note(context, environment);
    let (clients, identity) = preflight::account(context, environment).await?;
    let keep = usize::from(arguments.keep);
    let phase = ui.phase("look");
    let mut needed = BTreeSet::new();
    // The repository is shared by all environments of the account and region.
    let neighbours = context.deployment.environments.values().filter(|other| {
        other.region == environment.region
            && other.endpoint == environment.endpoint
            && other.account.as_ref().is_none_or(|account| *account == identity.account)
    });
    let mut own = Vec::new();
    for other in neighbours {
        let (digests, inputs) = needs(&clients, other, keep).await?;
        needed.extend(digests);
        if other.name == environment.name {
            own = inputs;
        }
    }
    let name = &context.deployment.service.name;
    let images = ecr::list(&clients.ecr, name).await?;
    let old = SystemTime::now() - AGE;
    let stale = |image: &&Listed| !needed.contains(&image.digest) && image.pushed.is_some_and(|pushed| pushed < old);
    let stale: Vec<Listed> = images.iter().filter(stale).cloned().collect();
    let bytes: u64 = stale.iter().map(|image| image.size).sum();
    phase.done(&format!("{} images, {} of them needed or young", images.len(), images.len() - stale.len()));
    let removed: Vec<String> = stale.iter().map(|image| format!("image {name}@{}", image.digest)).collect();
    for image in &removed {
        ui.line(&format!("   {image}"));
    }
    let what = format!("{} of the images of {name}, {}", stale.len(), docker::megabytes(bytes));
    if arguments.dry_run {
        ui.result(&format!("would remove {what}"));
    } else if stale.is_empty() {
        inputs::sweep(&clients.ssm, &environment.stack, |hash| own.iter().any(|kept| kept == hash)).await?;
        ui.result("nothing to remove");
    } else {
        if !ui.confirm(&format!("Remove {what}?")).await? {
            let declined = Failure::new(Exit::Failed, "declined", "nothing was removed");
            return Err(declined.resource(format!("repository {name}")).into());
        }
        let digests: Vec<String> = stale.into_iter().map(|image| image.digest).collect();
        ecr::remove(&clients.ecr, name, &digests).await?;
        inputs::sweep(&clients.ssm, &environment.stack, |hash| own.iter().any(|kept| kept == hash)).await?;
        ui.result(&format!("removed {what}"));
    }
    context.report(|report| report.removed = Some(removed));
    Ok(())
}

/// Digests that an environment runs or can go back to, and the names of the inputs it needs for that.
async fn needs(clients: &Clients, environment: &Environment, keep: usize) -> Result<(Vec<String>, Vec<String>)> {
    let looked = tokio::try_join!(rollout::look(clients, environment), record::list(&clients.ssm, &environment.stack));
    // Nothing is removed unless everything that is needed is known.
    let (seen, records) = looked.with_context(|| format!("what {} needs cannot be found out", environment.name))?;
    let runs = seen.stack.as_ref().and_then(Stack::container_uri);
    let mut kept: Vec<&Record> = record::running(&records, runs).into_iter().collect();
    // Also where nothing runs that is remembered: what is newest is what one would want back.
    kept.extend(record::earlier(&records, runs).into_iter().take(keep));
    kept.extend(records.first());
    let images = kept.iter().map(|record| record.image.as_str()).chain(runs);
    let digest = |image: &str| image.parse::<ImageReference>().ok()?.digest.map(|digest| digest.to_string());
    Ok((images.filter_map(digest).collect(), kept.iter().map(|record| record.inputs.clone()).collect()))
}
