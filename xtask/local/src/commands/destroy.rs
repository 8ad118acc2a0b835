//! `destroy --local`: removes what `release --local` started.

use anyhow::Result;

use crate::cli::Destroy;
use crate::context::Context;
use crate::handover::{self, CheckoutLock};
use crate::ui::Ui;
use image::docker::Owner;
use image::docker::build::{self, Images};
use image::docker::container::{self, Containers};
use model::outcome;

pub(super) async fn run(arguments: &Destroy, context: &Context, ui: &Ui) -> Result<()> {
    ui.note(|report| report.environment = Some("local".to_owned()));
    let service = &context.deployment.service.name;
    let question = format!("Remove the local containers of {service}?");
    if !arguments.dry_run {
        ui.require_confirmation_possible(&question)?;
    }
    let engine = crate::build::engine(&context.vars, ui).await?;
    let owner = Owner::new(&context.root, service);
    let find = async || {
        let containers = container::list(&engine.docker, &owner).await?;
        let images =
            if arguments.images { build::list_images(&engine.docker, &owner).await? } else { Images::default() };
        anyhow::Ok((containers, images))
    };
    let named = |containers: &Containers, images: &Images| -> Vec<String> {
        let containers = containers.own.iter().map(|own| format!("container {}", own.name));
        containers.chain(images.own.iter().map(|image| format!("image {image}"))).collect()
    };
    let phase = ui.phase("look");
    phase.doing("the engine's list of containers and images");
    let (containers, images) = find().await?;
    phase.done(&format!(
        "{} containers and {} image names belong to this checkout",
        containers.own.len(),
        images.own.len()
    ));
    containers
        .others
        .iter()
        .filter(|other| handover::is_orphaned(other))
        .for_each(|other| ui.line(&handover::orphan_notice(other)));
    images.kept.iter().for_each(|kept| ui.line(&format!("kept: {kept}")));
    let mut removed = named(&containers, &images);
    if removed.is_empty() {
        ui.result("nothing to remove");
    } else if arguments.dry_run {
        ui.result(&format!("would remove {}", removed.join(", ")));
    } else {
        if !ui.confirm(&question).await? {
            return Err(outcome::declined("the removal was declined", service).reason("nothing was removed").into());
        }
        // A release may have replaced a container meanwhile.
        let _lock = CheckoutLock::take(&context.root, &context.interrupt, ui).await?;
        let phase = ui.phase("remove");
        phase.doing("the engine's list of containers and images");
        let (containers, images) = find().await?;
        removed = named(&containers, &images);
        for container in &containers.own {
            phase.doing(&format!("removing container {}", container.name));
            container::remove(&engine.docker, &container.id).await?;
        }
        for image in &images.own {
            phase.doing(&format!("removing image {image}"));
            build::remove_image(&engine.docker, image).await?;
        }
        phase.done("removed from the engine");
        ui.result(&format!("removed {}", removed.join(", ")));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}
