//! `bootstrap`: what must be there before an environment's first release, in a stack of its own.

mod token;

use anyhow::Result;
use config::deployment::Environment;

use crate::bootstrap::{self, Asked, There};
use crate::cli::{Bootstrap, Conduct};
use crate::context::Context;
use crate::engine::Operation;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::observe::observe_stack;
use crate::needs;
use crate::session::Session;
use crate::ui::Ui;
use model::outcome::{Failure, FailureKind};
use model::stack::Stack;
use model::trust::{Pipeline, Trust};

pub(super) async fn run(arguments: &Bootstrap, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.section(&arguments.environment)?;
    let own = bootstrap::environment(environment);
    ui.about(&own);
    let asked = asked(arguments, environment);
    if let Some(path) = &arguments.check_token {
        return context.interrupt.or(token::check_claims(path, &asked, environment, context, ui)).await;
    }
    let question = format!(
        "Change stack {} in {}, which says who may release to {} and what that may do?",
        own.stack, own.region, own.name
    );
    if !arguments.dry_run {
        ui.require_confirmation_possible(&question)?;
    }
    let environment = &bootstrap_environment(context, environment, ui).await?;
    let begun = async {
        let phase = ui.phase("preflight");
        let template = context.other_template(&own)?;
        let session = Session::open(context, environment, ui).await?;
        let observed = observe_stack(&session.clients, &own);
        let repository = &context.deployment.service.name;
        let there = bootstrap::find_existing(&session.clients, &session.identity, environment, repository, &asked);
        let (observed, there) = tokio::try_join!(observed, there)?;
        phase.done(&session.describe());
        Ok((template, session, observed, there))
    };
    let (template, session, observed, there) = context.interrupt.or(begun).await?;
    let repository = &context.deployment.service.name;
    let compute = |settled: Option<&Stack>| bootstrap::parameters(environment, repository, settled, &there, &asked);
    let desired = Desired::new(&own, None, template, ParameterSource::Computed(&compute), observed.stack.as_ref());
    let parts = bootstrap::parts(&compute(observed.settled()));
    let conduct = Conduct::default();
    let mut operation = Operation {
        session: &session,
        desired,
        conduct: &conduct,
        question: Some(question),
        planned: false,
        release: None,
    };
    let stack = if arguments.dry_run {
        operation.dry_run(&observed, parts).await
    } else {
        operation.run(&observed).await.map(Some)
    };
    match stack.map_err(|error| in_own_words(&error, &own, ui))? {
        Some(stack) => result(&session, &stack, &there),
        None => Ok(()),
    }
}

/// The environment with the outputs of its needs in the parameters that are taken over, if they name any.
async fn bootstrap_environment(context: &Context, environment: &Environment, ui: &Ui) -> Result<Environment> {
    let mut of_roles = environment.clone();
    of_roles.parameters.retain(|name, _| bootstrap::TAKEN_OVER.contains(&name.as_str()));
    let refers = of_roles.references().next().is_some();
    if refers { needs::foresee_needs(context, &of_roles, ui).await?.complete() } else { Ok(environment.clone()) }
}

fn asked(arguments: &Bootstrap, environment: &Environment) -> Asked {
    let of_release = arguments.github_environment.as_deref().unwrap_or(&environment.name);
    let of_plan = arguments.plan_environment.clone().unwrap_or_else(|| format!("{of_release}-plan"));
    let trust = arguments.github.as_ref().map(|repository| {
        Trust::of(&Pipeline {
            repository,
            id: arguments.github_id,
            owner_id: arguments.owner_id,
            environment: of_release,
            plan_environment: &of_plan,
            branch: &arguments.default_branch,
            workflow: arguments.github_workflow.as_deref(),
        })
    });
    let service_actions = (!arguments.service_action.is_empty()).then(|| arguments.service_action.clone());
    Asked { trust, api_gateway_logs: arguments.api_gateway_logs, service_actions }
}

/// Prints what to do with the stack's outputs.
fn result(session: &Session<'_>, stack: &Stack, there: &There) -> Result<()> {
    let Session { environment, identity, ui, .. } = session;
    let variables = bootstrap::variables(environment, stack);
    let mut lines = vec!["deploy.toml:".to_owned()];
    lines.extend(bootstrap::settings(environment, identity, stack));
    if let Some(trust) = Trust::deployed(&stack.parameters) {
        lines.extend([String::new(), "the pipeline:".to_owned()]);
        lines.extend(bootstrap::commands(&trust, environment, stack, &variables));
        if !trust.knows_ids() {
            ui.warn(
                "only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: \
                 add --github-id and --owner-id, or see with --check-token",
            );
        }
    }
    if let Some(role) = &there.logging_role {
        ui.line(&format!("API Gateway logs with {role} already"));
    }
    ui.result(&lines.join("\n"));
    ui.note(|report| {
        report.outputs = Some(stack.outputs.clone());
        report.variables = Some(variables);
    });
    Ok(())
}

/// A failure of this stack: what helps where a release failed would be done to the wrong one.
fn in_own_words(error: &anyhow::Error, own: &Environment, ui: &Ui) -> Failure {
    let failure = Failure::of(error);
    if ui.what_still_runs().is_some() {
        let goes_on = format!("stack {} goes on without this tool; the same command follows it", own.stack);
        ui.still_runs(Some(goes_on));
        return failure;
    }
    match failure.kind {
        FailureKind::Gone
        | FailureKind::InProgress
        | FailureKind::RolledBack
        | FailureKind::StackState
        | FailureKind::Stuck => failure.hint(format!(
            "fix the cause, then repeat cargo xtask bootstrap {}; aws cloudformation describe-stack-events --region \
             {} --stack-name {} shows the whole of it",
            own.name, own.region, own.stack
        )),
        _ => failure,
    }
}
