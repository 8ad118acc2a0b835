//! Gives a stack the weights that its listener rules have, in an update of its own, before one that changes the rules.

use std::collections::BTreeMap;

use anyhow::Result;
use aws::stack::change_set::{self, ChangeSet, Prepared, Request, Text};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::{Value, Watch};
use model::stack::Stack;
use model::template::Weights;

use super::Operation;
use super::gate::Gate;
use super::observe::Observed;
use super::plan::{Proposal, Realign};
use crate::session::token;
use local::ui::Phase;

impl Operation<'_> {
    /// Gives the stack the weights that its rules have, with the deployed template, and makes the proposal again. The
    /// rules stay as they are.
    ///
    /// # Errors
    /// A stack that failed, or a refused or lost call.
    pub(super) async fn realign(
        &self,
        observed: &Observed,
        proposal: &Proposal,
        Realign { live, allow }: &Realign,
        phase: &Phase<'_>,
    ) -> Result<Proposal> {
        let client = &self.clients().cloudformation;
        proposal.abandon(client).await;
        let (Some(stack), Some(weights)) = (&proposal.before, &self.desired.template.weights) else {
            anyhow::bail!("only an existing stack has weights")
        };
        phase.line(&format!(
            "first {} becomes {live}, as the listener shows: ECS has shifted traffic since the last update",
            weights.parameter
        ));
        let set = self.alignment(stack, weights, live, phase).await?;
        let first = Proposal { set, realign: None, ..proposal.clone() };
        let aligned = self.follow(&first, Gate::back(self.session), phase).await?;
        let observed = observed.with(Some(aligned));
        match self.propose(&observed, allow, phase).await? {
            Some(again) if again.realign.is_none() => Ok(again),
            again => {
                if let Some(again) = again {
                    again.abandon(client).await;
                }
                Err(Failure::new(Exit::Failed, FailureKind::Superseded, "the listener has changed meanwhile")
                    .resource(format!("stack {}", stack.name))
                    .reason("another deployment has shifted traffic")
                    .hint("repeat the command")
                    .into())
            }
        }
    }

    /// The change set that changes the weights in the stack's parameter and nothing else.
    async fn alignment(&self, stack: &Stack, weights: &Weights, live: &str, phase: &Phase<'_>) -> Result<ChangeSet> {
        let (client, environment) = (&self.clients().cloudformation, self.desired.environment);
        let previous = stack.parameters.keys().map(|name| (name.clone(), Value::Previous));
        let mut values: BTreeMap<String, Value> = previous.collect();
        values.insert(weights.parameter.clone(), Value::Is(live.to_owned()));
        let token = token();
        let request = Request {
            stack: &stack.name,
            create: false,
            role: environment.execution_role.as_deref(),
            template: &self.desired.template,
            text: Text::Deployed,
            parameters: &values,
            watch: Watch::default(),
            tags: &stack.tags,
            token: &token,
        };
        let interrupt = &self.session.context.interrupt;
        let Prepared::Ready(set) = change_set::prepare(client, &request, interrupt, &|step| phase.report(step)).await?
        else {
            anyhow::bail!("CloudFormation finds nothing to change in {}", weights.parameter)
        };
        let other = |id: &&str| !weights.rules.iter().any(|rule| rule == id);
        let others: Vec<&str> = set.changes.iter().map(|change| change.logical_id.as_str()).filter(other).collect();
        if others.is_empty() {
            return Ok(set);
        }
        drop(change_set::discard(client, &set.id, &set.stack_id).await);
        let flags: Vec<String> = weights.rules.iter().map(|rule| format!("--allow {rule}")).collect();
        Err(Failure::new(Exit::Failed, FailureKind::Guard, "the weights of the rules cannot be changed by themselves")
            .resource(format!("stack {}", stack.name))
            .reason(format!("with the deployed template this would also change {}", others.join(", ")))
            .hint(format!("{} changes all at once; if that is rolled back, so are the weights", flags.join(" ")))
            .into())
    }
}
