//! The command that runs before a release: in a task with the new image, under the lock, before any new task serves.
//!
//! What the task needs has to be there first. Of a new stack that is everything but the service, so it is made in two
//! updates; of an existing one the roles, where the new text allows them more.

use std::time::{Duration, Instant};

use anyhow::Result;
use aws::ecs::one_off;
use aws::stack::change_set::{self, ChangeSet, Prepared, Request, Text};
use model::container::{self, grant_ahead, own_names};
use model::guard;
use model::one_off::{Additions, Changes, command, copy};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::{Value, Watch};
use model::report::Line;
use model::stack::Stack;
use model::template::Template;

use super::Operation;
use super::bucket;
use super::gate::Gate;
use super::observe::Observed;
use super::plan::Proposal;
use crate::one_off::{Place, Started, exit_code, family};
use crate::session::token;
use local::ui::Phase;

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// As many of its last lines are in a failure.
const LINES: usize = 20;

impl Operation<'_> {
    /// The command that this operation runs.
    pub(super) fn command_before(&self) -> Option<&[String]> {
        let release = self.release.as_ref().filter(|_| self.desired.image.is_some())?;
        command(&self.desired.template, release.before)
    }

    /// Prepares the stack, and runs the command; returns the proposal with which the release goes on.
    ///
    /// # Errors
    /// A command that failed, with the end of its log; a stack that could not be prepared; an interruption.
    pub(super) async fn run_before(
        &self,
        words: &[String],
        observed: &Observed,
        proposal: &Proposal,
        phase: &Phase<'_>,
    ) -> Result<Proposal> {
        let client = &self.clients().cloudformation;
        let (stack, deployed, is_prepared) = match self.prepare(observed, proposal, phase).await {
            Ok(prepared) => prepared,
            Err(error) => {
                proposal.abandon(client).await;
                return Err(error);
            }
        };
        let ran = self.run_command(words, &stack, &deployed).await;
        if let Err(error) = ran {
            if !is_prepared {
                proposal.abandon(client).await;
            }
            let failure = Failure::of(&error);
            let note = match (proposal.create, is_prepared) {
                (true, _) => {
                    format!("stack {} exists now, without a service; the next release continues from there", stack.name)
                }
                (_, true) => "the roles have what the new version is allowed besides".to_owned(),
                (_, false) => return Err(error),
            };
            return Err(failure.note(note).into());
        }
        if !is_prepared {
            return Ok(proposal.clone());
        }
        let again = self.propose(&observed.with(Some(stack)), &self.conduct.allow, phase).await?;
        again.ok_or_else(|| {
            let message = "CloudFormation finds nothing to change after the command before the release";
            Failure::new(Exit::Failed, FailureKind::ChangeSet, message)
                .resource(format!("stack {}", self.stack_name()))
                .hint("repeat the command")
                .into()
        })
    }

    /// The stack in which the command can run, its text, and whether that took an update.
    async fn prepare(
        &self,
        observed: &Observed,
        proposal: &Proposal,
        phase: &Phase<'_>,
    ) -> Result<(Stack, String, bool)> {
        let client = &self.clients().cloudformation;
        if proposal.create {
            let set = self.without_service(proposal, phase).await?;
            let first = Proposal { set, planned: false, ..proposal.clone() };
            let stack = self.follow(&first, Gate::back(self.session), phase).await?;
            return Ok((stack, self.desired.template.body.clone(), true));
        }
        let interrupt = &self.session.context.interrupt;
        let body = interrupt.or(self.deployed(proposal, observed)).await?.unwrap_or_default();
        let stack = proposal.before.clone().ok_or_else(|| anyhow::anyhow!("only an existing stack is updated"))?;
        let deployed = Template::read("the deployed template", body)?;
        let fail = |reason: String| {
            let message = "the stack is too old to run a command before the release";
            Failure::new(Exit::Failed, FailureKind::BeforeRelease, message)
                .resource(format!("stack {}", stack.name))
                .reason(reason)
                .hint("release once without before_release under [service] in deploy.toml")
        };
        if deployed.container.is_none() {
            return Err(fail("its template has no Metadata.Release.Container".to_owned()).into());
        }
        let ahead = grant_ahead(&deployed, &self.desired.template).map_err(|problem| fail(problem.reason))?;
        let Some(ahead) = ahead else { return Ok((stack, deployed.body, false)) };
        phase.line("first the roles get what the new version is allowed besides, for the command before it");
        proposal.abandon(client).await;
        let set = self.granted(&stack, &ahead, phase).await?;
        let first = Proposal { set, planned: false, realign: None, ..proposal.clone() };
        let stack = self.follow(&first, Gate::back(self.session), phase).await?;
        Ok((stack, ahead.body, true))
    }

    /// The change set that creates everything but the service.
    async fn without_service(&self, proposal: &Proposal, phase: &Phase<'_>) -> Result<ChangeSet> {
        let template = &self.desired.template;
        let Some(before) = &template.before else {
            let message = "the first release cannot run a command before its service";
            return Err(Failure::new(Exit::Failed, FailureKind::BeforeRelease, message)
                .resource(&template.path)
                .reason("it has no Metadata.Release.Before, which leaves out the service")
                .hint("add it, as infra/api-backend-fargate.yaml has it; or release once without before_release")
                .into());
        };
        phase.line("first everything but the service, for the command before it");
        let [_, without] = &before.values;
        let mut parameters = self.desired.parameters().clone();
        parameters.insert(before.parameter.clone(), Value::Is(without.clone()));
        let set = self.create_change_set(proposal.before.as_ref(), &parameters, phase).await?;
        set.ok_or_else(|| anyhow::anyhow!("CloudFormation finds nothing to create"))
    }

    /// The change set that gives the deployed text's roles more, and leaves everything else.
    async fn granted(&self, stack: &Stack, template: &Template, phase: &Phase<'_>) -> Result<ChangeSet> {
        let (client, environment) = (&self.clients().cloudformation, self.desired.environment);
        let interrupt = &self.session.context.interrupt;
        let url = interrupt.or(bucket::upload(self.session, environment, template)).await?;
        let token = token();
        let request = Request {
            stack: &stack.name,
            create: false,
            role: environment.execution_role.as_deref(),
            template,
            text: url.as_deref().map_or(Text::Sent, Text::At),
            parameters: &stack.parameters.keys().map(|name| (name.clone(), Value::Previous)).collect(),
            watch: Watch::default(),
            tags: &stack.tags,
            token: &token,
        };
        let Prepared::Ready(set) = change_set::prepare(client, &request, interrupt, &|step| phase.report(step)).await?
        else {
            anyhow::bail!("CloudFormation finds nothing to change in the roles")
        };
        if let Err(failure) = guard::check(&stack.name, &set.changes, &[], &self.conduct.allow) {
            drop(change_set::discard(client, &set.id, &set.stack_id).await);
            return Err(failure.into());
        }
        Ok(set)
    }

    /// Runs the command with the new image, and with the variables and secrets of the new text.
    async fn run_command(&self, words: &[String], stack: &Stack, deployed: &str) -> Result<()> {
        let (session, interrupt) = (self.session, &self.session.context.interrupt);
        let phase = self.ui().phase("before");
        let begun = Instant::now();
        let found = async {
            let place = Place::of(session, stack, deployed).await?;
            let place = place.ok_or_else(|| anyhow::anyhow!("the deployed template names no task definition"))?;
            let definition = one_off::definition(&session.clients.signed, &place.definition).await?;
            Ok((place, definition))
        };
        let (place, definition) = interrupt.or(found).await?;
        let image = self.desired.image.as_ref().map(ToString::to_string).unwrap_or_default();
        let added = container::read(&self.desired.template.body);
        let additions = Additions { kept: own_names(&self.desired.template), env: added.env, secrets: added.secrets };
        let changes = Changes { image: &image, command: words, additions: Some(additions) };
        let definition = copy(&definition, &family(&stack.name), &place.container, &changes);
        let mut task = place.start_copy(session, &definition, "before").await?;
        phase.line(&format!("task {}: {}", task.id(), words.join(" ")));
        let mut lines = Vec::new();
        let ended = self.watch_command(&mut task, &phase, &mut lines).await;
        let failed = |failure: Failure| {
            let from = lines.len().saturating_sub(LINES);
            let message = format!("{failure}, so nothing was rolled out");
            Failure { kind: FailureKind::BeforeRelease, message, ..failure }.log(lines[from..].to_vec())
        };
        let ended = ended.map_err(|error| match Failure::of(&error) {
            failure if failure.kind == FailureKind::Deadline => failed(failure).into(),
            _ => error,
        })?;
        let code = exit_code(&ended, &place.container, self.ui()).map_err(failed)?;
        if code != 0 {
            let message = format!("the command before the release ended with exit code {code}");
            let failure = Failure::new(Exit::Failed, FailureKind::BeforeRelease, message)
                .resource(format!("task {}", ended.id))
                .reason(ended.stop_reason())
                .hint("fix the cause and repeat the command");
            return Err(failed(failure).into());
        }
        phase.done(&format!(
            "`{}` ended with exit code 0 after {:.0} s",
            words.join(" "),
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Follows the command to its end; an interruption and the end of its time stop it.
    async fn watch_command(
        &self,
        task: &mut Started<'_>,
        phase: &Phase<'_>,
        lines: &mut Vec<String>,
    ) -> Result<aws::ecs::Task> {
        let mut show = |line: Line| {
            phase.line(&line.message);
            lines.extend(aws::logs::clean(&line.message));
        };
        let interrupt = &self.session.context.interrupt;
        task.ended_within(LIMIT, interrupt, phase, &mut show).await
    }
}
