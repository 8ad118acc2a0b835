//! `sweep`: deletes the instances that no pull request asks for any longer.

use anyhow::Result;

use super::destroy;
use crate::context::Context;
use crate::github::Api;
use crate::session::Session;
use aws::stack;
use local::cli::{Destroy, Sweep};
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) async fn run(arguments: &Sweep, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.section(&arguments.environment)?;
    ui.about(environment);
    if !environment.instances {
        return Err(Failure::new(Exit::Usage, FailureKind::Environment, "there are no instances to sweep")
            .resource(format!("environments.{}", environment.name))
            .reason("there is one of it")
            .hint(format!("cargo xtask destroy {} deletes its stack", environment.name))
            .into());
    }
    let github = Api::of(&context.vars)?;
    let session = Session::open(context, environment, ui).await?;
    let start = format!("{}-pr-", environment.stack);
    let phase = ui.phase("look");
    let (mut kept, mut swept, mut unknown) = (0, Vec::new(), None);
    for name in stack::names(&session.clients.cloudformation, &start).await? {
        // Another stack, such as that of its roles.
        let Ok(number) = name[start.len()..].parse::<u64>() else { continue };
        match github.is_open_with(number, &arguments.label).await {
            Ok(true) => kept += 1,
            Ok(false) => swept.push(format!("{}/pr-{number}", environment.name)),
            Err(failure) => {
                ui.warn(&format!("stack {name} is kept: {failure}"));
                unknown.get_or_insert(failure);
            }
        }
    }
    phase.done(&format!("{} to remove, {kept} of open pull requests", swept.len()));
    remove(&swept, arguments.dry_run, context, ui).await?;
    unknown.map_or(Ok(()), |failure| Err(failure.into()))
}

/// Deletes each, and reports the first failure after the last.
async fn remove(instances: &[String], dry_run: bool, context: &Context, ui: &Ui) -> Result<()> {
    let (mut removed, mut failed) = (Vec::new(), None);
    for instance in instances {
        let arguments =
            Destroy { environment: Some(instance.clone()), local: false, images: false, wait: true, dry_run };
        match destroy::run(instance, &arguments, context, ui).await {
            Ok(()) => removed.push(instance.clone()),
            Err(error) if Failure::of(&error).exit == Exit::Interrupted => return Err(error),
            Err(error) => {
                ui.warn(&format!("{instance} is left: {error:#}"));
                failed.get_or_insert(error);
            }
        }
    }
    if instances.is_empty() {
        ui.result("nothing to remove");
    }
    ui.note(|report| report.removed = Some(removed));
    failed.map_or(Ok(()), Err)
}
