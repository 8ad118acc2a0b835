//! `bootstrap`: what must be there before an environment's first release, in a stack of its own.

mod token;

use anyhow::Result;
use config::deployment::Environment;

use super::release;
use crate::aws::{Clients, Identity};
use crate::bootstrap::{self, Asked, There};
use crate::cli::Bootstrap;
use crate::context::Context;
use crate::outcome::{self, Failure};
use crate::preflight;
use crate::report::Change;
use crate::rollout::{self, Manners, Wish};
use crate::stack::{self, Stack};
use crate::template::Template;
use crate::trust::{Pipeline, Trust};
use crate::ui::Ui;

pub(super) async fn run(arguments: &Bootstrap, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment)?;
    let own = bootstrap::environment(environment);
    release::note(context, &own);
    let asked = asked(arguments, environment);
    if let Some(path) = &arguments.check_token {
        return context.interrupt.or(token::check(path, &asked, environment, context, ui)).await;
    }
    let question = format!(
        "Change stack {} in {}, which says who may release to {} and what that may do?",
        own.stack, own.region, own.name
    );
    if !arguments.dry_run {
        ui.must_be_able_to_ask(&question)?;
    }
    let begun = async {
        let phase = ui.phase("preflight");
        let template = context.other_template(&own)?;
        let (clients, identity) = preflight::account(context, environment).await?;
        let found = stack::describe(&clients.cloudformation, &own.stack);
        let repository = &context.deployment.service.name;
        let there = bootstrap::look(&clients, &identity, environment, repository, &asked);
        let (found, there) = tokio::try_join!(found, there)?;
        phase.done(&preflight::describe(&identity, environment));
        Ok((template, clients, identity, found, there))
    };
    let (template, clients, identity, found, there) = context.interrupt.or(begun).await?;
    let work = Work { context, environment, own: &own, template, clients, identity, there, asked, ui };
    let brought =
        if arguments.dry_run { work.foretell(found.as_ref()).await } else { work.bring(found, &question).await };
    match brought.map_err(|error| work.in_own_words(&error))? {
        Some(stack) => work.tell(&stack),
        None => Ok(()),
    }
}

fn asked(arguments: &Bootstrap, environment: &Environment) -> Asked {
    let trust = arguments.github.as_ref().map(|repository| {
        Trust::of(&Pipeline {
            repository,
            id: arguments.github_id,
            owner_id: arguments.owner_id,
            environment: arguments.github_environment.as_deref().unwrap_or(&environment.name),
            workflow: arguments.github_workflow.as_deref(),
        })
    });
    let service_actions = (!arguments.service_action.is_empty()).then(|| arguments.service_action.clone());
    Asked { trust, api_gateway_logs: arguments.api_gateway_logs, service_actions }
}

/// All that the parts of the command share.
struct Work<'a> {
    context: &'a Context,
    /// The one that releases go to.
    environment: &'a Environment,
    /// The stack before it.
    own: &'a Environment,
    template: Template,
    clients: Clients,
    identity: Identity,
    there: There,
    asked: Asked,
    ui: &'a Ui,
}

impl Work<'_> {
    fn wish(&self, before: Option<Stack>) -> Wish<'_> {
        let repository = &self.context.deployment.service.name;
        let settled = rollout::existing(before.as_ref());
        let parameters = bootstrap::parameters(self.environment, repository, settled, &self.there, &self.asked);
        Wish { environment: self.own, template: &self.template, parameters, before, allow: &[] }
    }

    async fn is_current(&self, found: Option<&Stack>) -> Result<bool> {
        let Some(stack) = rollout::existing(found) else { return Ok(false) };
        let parameters = self.wish(found.cloned()).parameters;
        let look = rollout::is_made_of(&self.clients, stack, &self.template, &parameters);
        self.context.interrupt.or(look).await
    }

    fn stay(&self, stack: &Stack) -> Stack {
        self.ui.phase("stack").skipped(&format!("{} is already current", stack.name));
        self.context.report(|report| report.change = Some(Change::None));
        stack.clone()
    }

    /// What would be done; the stack where nothing would.
    async fn foretell(&self, found: Option<&Stack>) -> Result<Option<Stack>> {
        if self.is_current(found).await? {
            return Ok(found.map(|stack| self.stay(stack)));
        }
        let wish = self.wish(found.cloned());
        let verb = if rollout::existing(found).is_some() { "update" } else { "create" };
        let mut plan = vec![format!("{verb} stack {} of {}", self.own.stack, self.own.template)];
        plan.extend(bootstrap::parts(&wish.parameters));
        self.ui.result(&plan.join("\n"));
        self.context.report(|report| report.plan = Some(plan));
        Ok(None)
    }

    /// Brings the stack there: settle, propose, ask, apply.
    async fn bring(&self, found: Option<Stack>, question: &str) -> Result<Option<Stack>> {
        let Self { context, own, clients, ui, .. } = self;
        if self.is_current(found.as_ref()).await? {
            return Ok(found.as_ref().map(|stack| self.stay(stack)));
        }
        let manners = Manners { follow: true, recreate: true, allow: &[] };
        let before = rollout::settle(context, clients, own, found, manners, ui).await?;
        let phase = ui.phase("stack");
        let proposal = rollout::propose(context, clients, self.wish(before.clone()), &phase, ui).await?;
        let Some(proposal) = proposal else {
            phase.skipped(&format!("{} is already current", own.stack));
            context.report(|report| report.change = Some(Change::None));
            return Ok(before);
        };
        let agreed = context.interrupt.or(ui.confirm(question)).await;
        if !matches!(agreed, Ok(true)) {
            proposal.abandon(&clients.cloudformation).await;
            agreed?;
            let declined = outcome::declined("the change was declined", format!("stack {}", own.stack));
            return Err(declined.reason("nothing was changed").into());
        }
        let (change, done) = if proposal.create { (Change::Create, "created") } else { (Change::Update, "updated") };
        let stack = rollout::bring(context, clients, (own, &self.template), &proposal, &phase, ui).await?;
        phase.done(&format!("{} {done}", stack.name));
        context.report(|report| report.change = Some(change));
        Ok(Some(stack))
    }

    /// Says what to do with what there is now.
    fn tell(&self, stack: &Stack) -> Result<()> {
        let Self { environment, identity, ui, context, .. } = self;
        let variables = bootstrap::variables(environment, identity, stack);
        let mut lines = vec!["deploy.toml:".to_owned()];
        lines.extend(bootstrap::settings(environment, identity, stack));
        if let Some(trust) = Trust::deployed(&stack.parameters) {
            lines.extend([String::new(), "the pipeline:".to_owned()]);
            let place = trust.place().map(|(repository, name)| format!(" --repo {repository} --env {name}"));
            let place = place.unwrap_or_default();
            lines.extend(variables.iter().map(|(name, value)| format!("gh variable set {name}{place} --body {value}")));
            if !trust.knows_numbers() {
                ui.warn(
                    "only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: \
                     add --github-id and --owner-id, or see with --check-token",
                );
            }
        }
        if let Some(role) = &self.there.logging_role {
            ui.line(&format!("API Gateway logs with {role} already"));
        }
        ui.result(&lines.join("\n"));
        context.report(|report| {
            report.outputs = Some(stack.outputs.clone());
            report.variables = Some(variables);
        });
        Ok(())
    }

    /// A failure of this stack: what helps where a release failed would be done to the wrong one.
    fn in_own_words(&self, error: &anyhow::Error) -> Failure {
        let (failure, own) = (Failure::of(error), self.own);
        if self.ui.what_still_runs().is_some() {
            let goes_on = format!("stack {} goes on without this tool; the same command follows it", own.stack);
            self.ui.still_runs(Some(goes_on));
            return failure;
        }
        match failure.kind {
            "gone" | "in-progress" | "rolled-back" | "stack-state" | "stuck" => failure.hint(format!(
                "mend the cause, then repeat cargo xtask bootstrap {}; aws cloudformation describe-stack-events --region \
                 {} --stack-name {} shows the whole of it",
                own.name, own.region, own.stack
            )),
            _ => failure,
        }
    }
}
