//! `deploy` of a template that runs no image, such as users or what stands in front of an API: no image to prove, and so
//! no release.

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use crate::cli::Deploy;
use crate::context::Context;
use crate::preflight;
use crate::rollout;
use crate::rollout::Manners;
use crate::session::Session;
use crate::supplement::Supplement;
use crate::ui::Ui;
use aws::stack;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters as plan;
use model::parameters::Value;
use model::stack::Stack;
use model::template::{CONTAINER_URI, Template};

pub(super) async fn run(arguments: &Deploy, environment: &Environment, context: &Context, ui: &Ui) -> Result<()> {
    let Deploy { conduct, dry_run, .. } = arguments;
    ui.about(environment);
    let question = environment.protected.then(|| rollout::question(environment));
    if let Some(question) = question.as_ref().filter(|_| !dry_run) {
        ui.require_confirmation_possible(question)?;
    }
    let begun = async {
        let phase = ui.phase("preflight");
        let template = checked(context, environment)?;
        let session = Session::open(context, environment, ui).await?;
        let found = stack::describe(&session.clients.cloudformation, &environment.stack).await?;
        let missing = missing(environment, &template, rollout::existing(found.as_ref()));
        if !missing.is_empty() {
            return Err(outcome::preflight(&missing).into());
        }
        phase.done(&session.describe());
        Ok((template, session.clients, found))
    };
    let (template, clients, found) = context.interrupt.or(begun).await?;
    let supplement = Supplement {
        context,
        clients: &clients,
        environment,
        template: &template,
        parameters: &|existing| parameters(environment, &template, existing),
        manners: Manners { follow: !conduct.no_follow, recreate: true, allow: &conduct.allow, asker: None },
        question: question.as_deref(),
        ui,
    };
    let brought =
        if *dry_run { supplement.foretell(found.as_ref(), Vec::new()).await? } else { supplement.bring(found).await? };
    if let Some(stack) = brought {
        let outputs: Vec<String> = stack.outputs.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        ui.result(&outputs.join("\n"));
        ui.note(|report| report.outputs = Some(stack.outputs));
    }
    Ok(())
}

/// The template, if it runs no image and takes what deploy.toml gives it.
fn checked(context: &Context, environment: &Environment) -> Result<Template> {
    let template = context.other_template(environment)?;
    if template.declares(CONTAINER_URI) {
        return Err(Failure::new(Exit::Usage, FailureKind::Image, "which image to deploy is not said")
            .resource(&environment.template)
            .reason(format!("the template runs one: it has the parameter {CONTAINER_URI}"))
            .hint("name it with --image, or use cargo xtask release")
            .into());
    }
    let problems = preflight::misplaced_parameters(environment, &template);
    if problems.is_empty() { Ok(template) } else { Err(outcome::preflight(&problems).into()) }
}

fn parameters(environment: &Environment, template: &Template, existing: Option<&Stack>) -> BTreeMap<String, Value> {
    let previous = existing.map(Stack::parameter_names).unwrap_or_default();
    let mut values = plan::kept(template, &previous);
    values.extend(plan::given(environment));
    values
}

/// Parameters that nobody gives a value.
fn missing(environment: &Environment, template: &Template, existing: Option<&Stack>) -> Vec<Failure> {
    let missing = plan::without_value(template, &parameters(environment, template, existing));
    missing.iter().map(|name| preflight::missing_parameter(environment, name)).collect()
}
