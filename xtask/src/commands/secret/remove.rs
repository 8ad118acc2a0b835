//! `secret remove`: deletes a stored value that nothing names any more.

use anyhow::Result;
use aws::secrets;
use config::deployment::Environment;
use model::outcome::{self, Exit, Failure, FailureKind};

use super::{is_of, parameter};
use crate::context::Context;
use crate::engine::observe::deployed_container;
use crate::session::Session;
use local::ui::Ui;

pub(super) async fn run(environment: &str, name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.section(environment)?;
    ui.about(environment);
    let parameter = parameter(environment, name);
    let Environment { region, instances, .. } = environment;
    // Which instances there are is known to nobody.
    let unknown = if *instances { "; whether one of its instances still has it is not known" } else { "" };
    let question = format!("Delete {parameter} in {region} with all of its versions{unknown}?");
    ui.require_confirmation_possible(&question)?;
    let session = Session::open(context, environment, ui).await?;
    let mut users = declared(context, environment, &parameter);
    if !instances && let Some(service) = deployed_container(&session.clients, environment).await? {
        let uses = service.secrets.iter().filter(|(_, reference)| is_of(reference, &parameter));
        users.extend(uses.map(|(name, _)| format!("stack {} has it as {name}", environment.stack)));
    }
    if !users.is_empty() {
        return Err(Failure::new(Exit::Failed, FailureKind::Secrets, format!("secret {name} is in use"))
            .resource(format!("parameter {parameter}"))
            .reason(users.join("\n"))
            .hint("remove its line from deploy.toml and release, then repeat the command")
            .into());
    }
    let is_stored = secrets::list(&session.clients, &environment.secrets_path()).await?;
    if !is_stored.iter().any(|(stored, _)| *stored == parameter) {
        ui.result("nothing to remove");
        ui.note(|report| report.removed = Some(Vec::new()));
        return Ok(());
    }
    if !ui.confirm(&question).await? {
        return Err(outcome::declined("the secret was not removed", format!("parameter {parameter}")).into());
    }
    secrets::delete(&session.clients, &parameter).await?;
    ui.result(&format!("removed {parameter}"));
    ui.note(|report| report.removed = Some(vec![format!("secret {parameter}")]));
    Ok(())
}

/// Where deploy.toml names it, also for another environment.
fn declared(context: &Context, environment: &Environment, parameter: &str) -> Vec<String> {
    let others = context.deployment.environments.values().filter(|other| other.region == environment.region);
    let names = others.flat_map(|other| {
        let uses = other.secrets.iter().filter(|(_, reference)| is_of(reference, parameter));
        uses.map(|(name, _)| format!("environments.{}.secrets.{name} in deploy.toml names it", other.name))
    });
    names.collect()
}
