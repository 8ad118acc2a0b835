//! A stack whose template runs no image: checked, read, and ready to be deployed.

use anyhow::Result;
use config::deployment::Environment;
use model::outcome::{self, Failure};
use model::parameters;
use model::template::Template;

use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::observe::{Observed, observe_stack};
use crate::preflight;
use crate::session::Session;
use crate::ui::Ui;

/// What an operation on such a stack starts from.
pub(crate) struct Prepared<'a> {
    pub(crate) session: Session<'a>,
    pub(crate) desired: Desired<'a>,
    pub(crate) observed: Observed,
}

/// Checks the template against what deploy.toml gives it, and reads the stack.
///
/// # Errors
/// Parameters that are unknown or missing, credentials that cannot be used, or a refused or lost call.
pub(crate) async fn prepare<'a>(
    context: &'a Context,
    environment: &'a Environment,
    template: Template,
    ui: &'a Ui,
) -> Result<Prepared<'a>> {
    let problems = preflight::misplaced_parameters(environment, &template);
    if !problems.is_empty() {
        return Err(outcome::preflight(&problems).into());
    }
    let session = Session::open(context, environment, ui).await?;
    let observed = observe_stack(&session.clients, environment).await?;
    let source = ParameterSource::Settings(&context.deployment.service);
    // What only a stack in another state has cannot be relied on.
    let mut desired = Desired::new(environment, None, template, source, observed.settled());
    let missing = parameters::without_value(&desired.template, desired.parameters());
    let missing: Vec<Failure> = missing.iter().map(|name| preflight::missing_parameter(environment, name)).collect();
    if !missing.is_empty() {
        return Err(outcome::preflight(&missing).into());
    }
    desired.observe(observed.stack.as_ref());
    Ok(Prepared { session, desired, observed })
}
