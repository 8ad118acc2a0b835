//! Listener rules whose weights ECS has shifted: an update that changes such a rule must leave requests where they go now,
//! also where it is rolled back. So the stack needs the rules' weights before it.

use anyhow::Result;
use aws::stack::change_set::ChangeSet;
use aws::{listener, stack};
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::Stack;
use model::template::Weights;

use super::Operation;

/// What a change set means for the weights of the rules.
pub(super) enum Outlook {
    /// It changes no such rule, or the template has no parameter for their weights.
    Untouched,
    /// The stack's parameter has the weights that the rules have.
    Right,
    /// The rules have the weights of this value, the stack's parameter has another one.
    Differ(String),
    /// The rules have the weights of this value, and the deployed template has no parameter for it.
    New(String),
}

impl Operation<'_> {
    /// Compares the weights in the stack with those of the rules that a change set would change.
    ///
    /// # Errors
    /// A deployment that shifts traffic at this moment, or a refused or lost call.
    pub(super) async fn outlook(&self, set: &ChangeSet, existing: Option<&Stack>) -> Result<Outlook> {
        let (Some(weights), Some(stack)) = (&self.desired.template.weights, existing) else {
            return Ok(Outlook::Untouched);
        };
        let touched = |id: &String| set.changes.iter().any(|it| it.action == "Modify" && it.logical_id == *id);
        if !weights.rules.iter().any(touched) {
            return Ok(Outlook::Untouched);
        }
        let live = self.live(weights, stack).await?;
        Ok(match stack.parameters.get(&weights.parameter) {
            Some(value) if *value == live => Outlook::Right,
            Some(_) => Outlook::Differ(live),
            None => Outlook::New(live),
        })
    }

    /// The parameter's value for the target group that gets the requests now.
    async fn live(&self, weights: &Weights, stack: &Stack) -> Result<String> {
        let clients = self.clients();
        let resources = stack::resources(&clients.cloudformation, &stack.id).await?;
        let physical = |id: &str| {
            let found = resources.iter().find(|resource| resource.exists() && resource.logical_id == id);
            found.and_then(|resource| resource.physical_id.as_deref())
        };
        let (rule, path) = (weights.rules[0].as_str(), &self.desired.template.path);
        let unknown = |reason: String| {
            Failure::new(Exit::Failed, FailureKind::Guard, "which target group gets the requests is not known")
                .resource(format!("{rule} of stack {}", stack.name))
                .reason(reason)
                .hint(format!("correct Release.Weights in the metadata of {path}"))
        };
        let arn = physical(rule).ok_or_else(|| unknown("the stack has no such resource".to_owned()))?;
        let receivers = listener::receivers(clients, arn).await?;
        if receivers.len() > 1 {
            return Err(Failure::new(
                Exit::Failed,
                FailureKind::InProgress,
                "a deployment shifts traffic at this moment",
            )
            .resource(format!("{rule} of stack {}", stack.name))
            .reason("it sends requests to more than one target group, and the update would change their shares")
            .hint("wait until the deployment has ended, then repeat the command")
            .into());
        }
        let is_live = |group: &str| physical(group).is_some_and(|arn| receivers.first().is_some_and(|it| it == arn));
        let live = weights.values.iter().find(|(_, group)| is_live(group)).map(|(value, _)| value.clone());
        Ok(live.ok_or_else(|| unknown(format!("it sends them to none that {path} names")))?)
    }
}
