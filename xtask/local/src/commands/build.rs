//! `build`: compiles the service and builds its image.

use anyhow::Result;

use crate::build;
use crate::cli::Build;
use crate::context::Context;
use crate::ui::Ui;
use image::docker::Owner;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;

pub(super) async fn run(arguments: &Build, context: &Context, ui: &Ui) -> Result<()> {
    let platform = chosen_platform(arguments.platform.as_deref())?;
    let engine = build::engine(&context.vars, ui).await?;
    let artifact = build::compile(context, platform, &arguments.source, ui).await?;
    let owner = Owner::new(&context.root, &context.deployment.service.name);
    let (image, _) = build::build_image(artifact, &engine, &owner, ui).await?;
    ui.note(|report| {
        report.image = Some(image.reference.clone());
        report.platform = Some(image.platform.clone());
        report.size = Some(image.size);
    });
    ui.result(&image.reference);
    Ok(())
}

fn chosen_platform(given: Option<&str>) -> Result<Platform, Failure> {
    let fail = |name: &str| {
        Failure::new(Exit::Usage, FailureKind::Platform, format!("no image can be built for {name}"))
            .hint("use --platform linux/amd64 or linux/arm64")
    };
    match given {
        Some(name) => Platform::from_oci(name).ok_or_else(|| fail(name)),
        None => Platform::host().ok_or_else(|| fail(std::env::consts::ARCH)),
    }
}
