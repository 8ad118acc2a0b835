//! `deploy` of a template that runs no image, such as users or what stands in front of an API: no image to prove, and so
//! no release.

use anyhow::Result;
use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::template::Template;

use crate::context::Context;
use crate::engine::{Operation, consent};
use crate::needs;
use crate::without_image::{self, Prepared};
use local::cli::Deploy;
use local::ui::Ui;

pub(super) async fn run(arguments: &Deploy, environment: &Environment, context: &Context, ui: &Ui) -> Result<()> {
    let Deploy { conduct, dry_run, .. } = arguments;
    ui.about(environment);
    let question = consent::question(environment);
    consent::can_be_asked(question.as_deref().filter(|_| !dry_run), ui)?;
    let template = checked(context, environment)?;
    let own = async || without_image::prepare(context, environment, template.clone(), ui).await.map(drop);
    let Some(environment) = &needs::bring_up_to_date(context, environment, conduct, *dry_run, own, ui).await? else {
        return Ok(());
    };
    let phase = ui.phase("preflight");
    let prepared = without_image::prepare(context, environment, template, ui);
    let Prepared { session, desired, observed } = needs::name_changed_needs(context.interrupt.or(prepared).await, ui)?;
    phase.done(&session.describe());
    let mut operation = Operation { session: &session, desired, conduct, question, planned: false, release: None };
    let stack = if *dry_run {
        operation.dry_run(&observed, Vec::new()).await?
    } else {
        Some(needs::name_changed_needs(operation.run(&observed).await, ui)?)
    };
    if let Some(stack) = stack {
        let outputs: Vec<String> = stack.outputs.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        ui.result(&outputs.join("\n"));
        ui.note(|report| report.outputs = Some(stack.outputs));
    }
    Ok(())
}

/// The template, if it runs no image.
fn checked(context: &Context, environment: &Environment) -> Result<Template> {
    let template = context.other_template(environment)?;
    if template.runs_image(environment) {
        return Err(Failure::new(Exit::Usage, FailureKind::Image, "which image to deploy is not said")
            .resource(&environment.template)
            .reason(format!("the template runs one: it has the parameter {}", environment.image_parameter))
            .hint("name it with --image, or use cargo xtask release")
            .into());
    }
    Ok(template)
}
