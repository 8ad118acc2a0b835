//! `bootstrap`: what must be there before an environment's first release, in a stack of its own; and what a GitHub pipeline
//! needs, in another.

mod token;

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use crate::bootstrap::pipeline::{self, PipelineScope};
use crate::bootstrap::{self, Asked, Single, There};
use crate::context::Context;
use crate::engine::Operation;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::observe::{Observed, observe_stack};
use crate::session::Session;
use crate::{container, needs};
use local::cli::{Bootstrap, Conduct};
use local::ui::Ui;
use model::container::allowed_actions;
use model::outcome::{Failure, FailureKind};
use model::parameters::Value;
use model::policy;
use model::record::Change;
use model::stack::Stack;
use model::template::Template;
use model::trust::{Pipeline, Trust};

/// One of the two stacks, as it was found.
struct BootstrapStack {
    environment: Environment,
    template: Template,
    observed: Observed,
    /// What the stack created and the account lacks.
    gone: Vec<&'static Single>,
    question: String,
}

/// The roles of a pipeline.
struct Roles<'a> {
    part: BootstrapStack,
    /// The needs that they change.
    changed: Vec<&'a Environment>,
    has_provider: bool,
    /// Who is trusted; `None` leaves it as it is.
    trust: Option<Trust>,
}

/// What there is before anything is changed.
struct Found<'a> {
    session: Session<'a>,
    there: There,
    base: BootstrapStack,
    /// Only where a pipeline is trusted, or shall be.
    roles: Option<Roles<'a>>,
    /// Whether only the stack of `bootstrap` has the pipeline's roles, as in earlier versions. Then it is left alone until
    /// the pipeline can use the new ones.
    is_moving: bool,
}

pub(super) async fn run(arguments: &Bootstrap, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.section(&arguments.environment)?;
    let own = bootstrap::environment(environment);
    ui.about(&own);
    let trust = asked_trust(arguments, environment);
    if let Some(path) = &arguments.check_token {
        return context.interrupt.or(token::check_token_file(path, trust.as_ref(), environment, context, ui)).await;
    }
    if !arguments.dry_run {
        ui.require_confirmation_possible(&bootstrap_question(&own, ""))?;
    }
    let environment = &bootstrap_environment(context, environment, ui).await?;
    let mut asked = asked(arguments, container::permissions(&context.root, environment)?);
    let found = context.interrupt.or(find(context, environment, &asked, trust, ui)).await?;
    let Found { session, there, base, roles, is_moving } = &found;
    asked.secret_arns = bootstrap::secret_arns(environment, &session.identity.account);
    let repository = &context.deployment.service.name;
    let compute = |stack: Option<&Stack>| {
        bootstrap::parameters(&base.template, environment, repository, stack, there, &base.gone, &asked)
    };
    let stack = if *is_moving {
        base.observed.stack.clone()
    } else {
        base.deploy(session, &compute, bootstrap::parts, arguments.dry_run).await?
    };
    let Some(Roles { part, changed, has_provider, trust }) = roles else {
        return stack.map_or(Ok(()), |stack| result(session, &stack, there, None));
    };
    let execution_role = execution_role(session, &own, stack.as_ref().or(base.observed.stack.as_ref()));
    let access = PipelineScope {
        environment,
        needs: context.deployment.needs_of(environment),
        changed: changed.clone(),
        account: &session.identity.account,
        repository,
        trust: trust.as_ref(),
        has_provider: *has_provider,
        gone: &part.gone,
        execution_role: &execution_role,
    };
    let compute = |stack: Option<&Stack>| access.parameters(&part.template, stack);
    let earlier = Earlier::taken(ui);
    let deployed = part.deploy(session, &compute, pipeline::parts, arguments.dry_run).await;
    let deployed = earlier.restored(ui, &own.stack, deployed)?;
    // A dry run that would change one of them has said so.
    let Some((mut stack, roles)) = stack.zip(deployed) else { return Ok(()) };
    stack.outputs.extend(roles.outputs);
    stack.parameters.extend(roles.parameters);
    result(session, &stack, there, is_moving.then_some(own.stack.as_str()))
}

/// The environment with the outputs of its needs in the parameters that are taken over, if they name any.
async fn bootstrap_environment(context: &Context, environment: &Environment, ui: &Ui) -> Result<Environment> {
    let mut of_roles = environment.clone();
    of_roles.parameters.retain(|name, _| bootstrap::TAKEN_OVER.contains(&name.as_str()));
    of_roles.env.clear();
    of_roles.secrets.clear();
    if of_roles.references().next().is_none() {
        return Ok(environment.clone());
    }
    let known = needs::foresee_needs(context, &of_roles, ui).await?.complete()?;
    Ok(Environment { secrets: environment.secrets.clone(), ..known })
}

fn bootstrap_question(own: &Environment, more: &str) -> String {
    let Environment { stack, region, name, .. } = own;
    format!("Change stack {stack} in {region}, which says what CloudFormation and the roles of {name} may do{more}?")
}

/// Reads what there is, and which of the two templates are needed.
async fn find<'a>(
    context: &'a Context,
    environment: &'a Environment,
    asked: &Asked,
    trust: Option<Trust>,
    ui: &'a Ui,
) -> Result<Found<'a>> {
    let (own, of_roles) = (bootstrap::environment(environment), pipeline::environment(environment));
    let phase = ui.phase("preflight");
    let template = context.other_template(&own)?;
    let session = Session::open(context, environment, ui).await?;
    let (clients, repository) = (&session.clients, &context.deployment.service.name);
    let there = bootstrap::find_existing(clients, &session.identity, environment, repository, asked);
    let (observed, roles, there) =
        tokio::try_join!(observe_stack(clients, &own), observe_stack(clients, &of_roles), there)?;
    let before = observed.settled().and_then(|stack| Trust::deployed(&stack.parameters));
    let has_roles = roles.settled().is_some();
    let is_moving = before.is_some() && !has_roles;
    let question = bootstrap_question(
        &own,
        if before.is_some() { ", and remove the roles that the pipeline had there" } else { "" },
    );
    let trust = trust.or(before.filter(|_| is_moving));
    let roles = if has_roles || trust.is_some() {
        let template = context.other_template(&of_roles)?;
        let has_provider = pipeline::provider(clients, &session.identity, environment).await?;
        let question = format!(
            "Change stack {} in {}, which says whose jobs on GitHub may release to {}?",
            of_roles.stack, of_roles.region, of_roles.name
        );
        let gone = bootstrap::gone(roles.settled(), &pipeline::lacking(has_provider));
        let part = BootstrapStack { environment: of_roles, template, observed: roles, gone, question };
        Some(Roles { part, changed: needs::changed_needs(context, environment)?, has_provider, trust })
    } else {
        None
    };
    phase.done(&session.describe());
    let gone = bootstrap::gone(observed.settled(), &there.lacking(asked));
    let base = BootstrapStack { environment: own, template, observed, gone, question };
    Ok(Found { session, there, base, roles, is_moving })
}

impl BootstrapStack {
    /// Brings the stack to what is desired, or says what that would be; the stack, where it is so then.
    async fn deploy(
        &self,
        session: &Session<'_>,
        compute: &(dyn Fn(Option<&Stack>) -> BTreeMap<String, Value> + Sync),
        parts: fn(&BTreeMap<String, Value>) -> Vec<String>,
        dry_run: bool,
    ) -> Result<Option<Stack>> {
        let Self { environment, template, observed, gone, question } = self;
        for Single { name, .. } in gone {
            session.ui.warn(&format!(
                "stack {} created {name}, which no longer exists. This run takes it out of the stack and deletes \
                 nothing; run the command again to create it",
                environment.stack
            ));
        }
        let source = ParameterSource::Computed(compute);
        let desired = Desired::new(environment, None, template.clone(), source, observed.stack.as_ref());
        let allow = gone.iter().map(|single| single.resource.to_owned()).collect();
        let conduct = Conduct { allow, ..Conduct::default() };
        let question = Some(question.clone());
        let mut operation = Operation { session, desired, conduct: &conduct, question, planned: false, release: None };
        let stack = if dry_run {
            operation.dry_run(observed, parts(&compute(observed.settled()))).await
        } else {
            operation.run(observed).await.map(Some)
        };
        Ok(stack.map_err(|error| in_own_words(&error, environment, session.ui))?)
    }
}

/// The role of the pipeline's change sets. Before the stack exists a dry run has no more than an example.
fn execution_role(session: &Session<'_>, own: &Environment, stack: Option<&Stack>) -> String {
    let made = stack.and_then(|stack| stack.outputs.get("ExecutionRoleArn"));
    let made = made.or(session.environment.execution_role.as_ref()).cloned();
    let partition = policy::partition(&own.region);
    made.unwrap_or_else(|| format!("arn:{partition}:iam::{}:role/xtask/{}", session.identity.account, own.stack))
}

/// What the report says of the first of two stacks.
#[derive(Default)]
struct Earlier {
    change: Option<Change>,
    changes: Vec<model::stack::ResourceChange>,
    plan: Vec<String>,
}

impl Earlier {
    fn taken(ui: &Ui) -> Self {
        let mut earlier = Self::default();
        ui.note(|report| {
            earlier.change = report.change.take();
            earlier.changes = report.changes.take().unwrap_or_default();
            earlier.plan = report.plan.take().unwrap_or_default();
        });
        earlier
    }

    /// Puts it in front of what the report says of the second stack; a failure of that one says what was changed before.
    fn restored<T>(self, ui: &Ui, first: &str, result: Result<T>) -> Result<T> {
        let changed = self.change.is_some_and(|change| change != Change::None);
        ui.note(|report| {
            report.change = report.change.filter(|change| *change != Change::None).or(self.change);
            let changes = [self.changes, report.changes.take().unwrap_or_default()].concat();
            report.changes = Some(changes).filter(|all| !all.is_empty());
            let plan = [self.plan, report.plan.take().unwrap_or_default()].concat();
            report.plan = Some(plan).filter(|all| !all.is_empty());
        });
        result.map_err(|error| match changed {
            true => Failure::of(&error).note(format!("stack {first} was changed before")).into(),
            false => error,
        })
    }
}

fn asked_trust(arguments: &Bootstrap, environment: &Environment) -> Option<Trust> {
    let of_release = arguments.github_environment.as_deref().unwrap_or(&environment.name);
    let of_plan = arguments.plan_environment.clone().unwrap_or_else(|| format!("{of_release}-plan"));
    arguments.github.as_ref().map(|repository| {
        Trust::of(&Pipeline {
            repository,
            id: arguments.github_id,
            owner_id: arguments.owner_id,
            environment: of_release,
            plan_environment: &of_plan,
            branch: &arguments.default_branch,
            workflow: arguments.github_workflow.as_deref(),
        })
    })
}

fn asked(arguments: &Bootstrap, permissions: Vec<serde_json::Value>) -> Asked {
    Asked {
        api_gateway_logs: arguments.api_gateway_logs,
        service_actions: (!arguments.service_action.is_empty()).then(|| arguments.service_action.clone()),
        permitted: allowed_actions(&permissions),
        ..Asked::default()
    }
}

/// Prints what to do with the outputs of the stacks; `moving` is the stack that still has roles of the pipeline.
fn result(session: &Session<'_>, stack: &Stack, there: &There, moving: Option<&str>) -> Result<()> {
    let Session { environment, identity, ui, .. } = session;
    let variables = pipeline::variables(environment, stack);
    let mut lines = vec!["deploy.toml:".to_owned()];
    lines.extend(bootstrap::settings(environment, identity, stack));
    if let Some(trust) = Trust::deployed(&stack.parameters) {
        lines.extend([String::new(), "the pipeline:".to_owned()]);
        lines.extend(pipeline::commands(&trust, environment, stack, &variables));
        if environment.protected {
            ui.warn(
                "GitHub asks reviewers before a release only where its environment has them, and private repositories \
                 have none on some of its plans: there nobody will be asked",
            );
        }
        if !trust.knows_ids() {
            ui.warn(
                "only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: \
                 add --github-id and --owner-id, or see with --check-token",
            );
        }
    }
    if let Some(stack) = moving {
        ui.warn(&format!(
            "stack {stack} still has the roles that the pipeline takes now, and was not changed. Set the variables \
             first, then repeat the command: it removes those roles"
        ));
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
