//! A stack whose template runs no image: checked, read, and ready to be deployed.

use anyhow::Result;
use config::deployment::Environment;
use model::outcome::{self, Failure};
use model::parameters;
use model::template::Template;

use crate::context::Context;
use crate::engine::bucket;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::observe::{Observed, base, observe_stack};
use crate::preflight::{self, AtAws};
use crate::session::Session;
use local::ui::Ui;

/// What an operation on such a stack starts from.
pub(crate) struct Prepared<'a> {
    pub(crate) session: Session<'a>,
    pub(crate) desired: Desired<'a>,
    pub(crate) observed: Observed,
}

/// Checks the template against what deploy.toml gives it, and reads the stack.
///
/// # Errors
/// Parameters that are unknown, missing or refused by the template, credentials that cannot be used, or a refused or lost call.
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
    let observed = observe_stack(&session.clients, environment);
    let (observed, _) = tokio::try_join!(observed, bucket::check_bucket(&session, &template))?;
    let source = ParameterSource::Settings(&context.deployment.service);
    // An operation in progress, or one that is stuck, leaves the stack its values.
    let there = base(observed.stack.as_ref());
    let mut desired = Desired::new(environment, None, template, source, there);
    let missing = parameters::without_value(&desired.template, desired.parameters());
    let missing = missing.iter().map(|name| preflight::missing_parameter(environment, name));
    let at_aws = AtAws { stack: there, account: Some(&session.identity.account) };
    let refused = preflight::value_problems(context, environment, &desired.template, Some(at_aws));
    let problems: Vec<Failure> = missing.chain(refused).collect();
    if !problems.is_empty() {
        return Err(outcome::preflight(&problems).into());
    }
    preflight::repeated_keys(&desired.template).for_each(|repeated| ui.warn(&repeated));
    desired.observe(observed.stack.as_ref());
    Ok(Prepared { session, desired, observed })
}
