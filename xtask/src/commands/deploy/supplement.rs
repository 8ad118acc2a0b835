//! `deploy` of a template that runs no image, such as users or what stands in front of an API: no image to prove, and so
//! no release.

use anyhow::Result;
use config::deployment::Environment;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::parameters;
use model::template::{CONTAINER_URI, Template};

use crate::cli::Deploy;
use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::observe::observe_stack;
use crate::engine::{Operation, consent};
use crate::preflight::{self, AtAws};
use crate::session::Session;
use crate::ui::Ui;

pub(super) async fn run(arguments: &Deploy, environment: &Environment, context: &Context, ui: &Ui) -> Result<()> {
    let Deploy { conduct, dry_run, .. } = arguments;
    ui.about(environment);
    let question = consent::question(environment);
    consent::can_be_asked(question.as_deref().filter(|_| !dry_run), ui)?;
    let begun = async {
        let phase = ui.phase("preflight");
        let template = checked(context, environment)?;
        let session = Session::open(context, environment, ui).await?;
        let observed = observe_stack(&session.clients, environment).await?;
        let source = ParameterSource::Settings(&context.deployment.service);
        // What only a stack in another state has cannot be relied on.
        let mut desired = Desired::new(environment, None, template, source, observed.settled());
        let missing = parameters::without_value(&desired.template, desired.parameters());
        let mut problems: Vec<Failure> =
            missing.iter().map(|name| preflight::missing_parameter(environment, name)).collect();
        let at_aws = AtAws { stack: observed.settled(), account: Some(&session.identity.account) };
        problems.extend(preflight::value_problems(context, environment, &desired.template, Some(at_aws)));
        if !problems.is_empty() {
            return Err(outcome::preflight(&problems).into());
        }
        preflight::repeated_keys(&desired.template).for_each(|repeated| ui.warn(&repeated));
        desired.observe(observed.stack.as_ref());
        phase.done(&session.describe());
        Ok((session, desired, observed))
    };
    let (session, desired, observed) = context.interrupt.or(begun).await?;
    let mut operation = Operation { session: &session, desired, conduct, question, planned: false, release: None };
    let stack =
        if *dry_run { operation.dry_run(&observed, Vec::new()).await? } else { Some(operation.run(&observed).await?) };
    if let Some(stack) = stack {
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
