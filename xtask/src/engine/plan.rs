//! What a change would be: CloudFormation's change set, what it would lose, what it costs and how long it may take.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use aws::Clients;
use aws::stack;
use aws::stack::change_set::{self, ChangeSet, Prepared, Request};
use aws_sdk_cloudformation::Client;
use model::cost::{self, CostDifference};
use model::eta::Eta;
use model::stack::Stack;
use model::{guard, parameters};

use super::Operation;
use super::desired::{Desired, effective};
use super::observe::{Observed, deployed_body, existing};
use crate::ui::{Paint, Phase, Ui};

/// The tag that every stack of this tool has, and by CloudFormation its resources.
pub(crate) const TAG: (&str, &str) = ("managed-by", "xtask");

/// A proposal, and what it means for the bill and for the time that it takes.
pub(crate) struct PricedProposal {
    pub(crate) proposal: Proposal,
    pub(crate) cost: Option<CostDifference>,
    pub(crate) eta: Option<Eta>,
}

/// A change that can be carried out.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) set: ChangeSet,
    /// Whether there is no stack yet.
    pub(crate) create: bool,
    /// The stack as it is before the change; the empty one of a first change set counts as none.
    pub(crate) before: Option<Stack>,
    /// Whether it was reviewed as a plan: then it stays where it is, however this run ends.
    pub(crate) planned: bool,
}

impl Proposal {
    /// Takes it back, unless it is a plan's.
    pub(crate) async fn abandon(&self, client: &Client) {
        if !self.planned {
            take_back(client, &self.set, self.before.is_none()).await;
        }
    }
}

impl Operation<'_> {
    /// Has a change set made for the settled stack, and shows what it would do, cost and take; `None` where nothing would
    /// change. Whatever else it ends with, also an interruption, leaves nothing behind.
    ///
    /// # Errors
    /// A refusal of CloudFormation's or of the guard.
    pub(crate) async fn plan(&self, settled: &Observed, phase: &Phase<'_>) -> Result<Option<PricedProposal>> {
        let Some(proposal) = self.propose(settled, &self.conduct.allow, phase).await? else { return Ok(None) };
        // What cannot be known is left out, since nothing depends on it.
        let cost = difference(self.clients(), &self.desired, &proposal, settled).await.ok().flatten();
        let eta = settled.remembered.eta(if proposal.create { "create" } else { "update" });
        cost.iter().for_each(|cost| phase.line(&cost.to_string()));
        eta.iter().for_each(|eta| phase.line(&eta.to_string()));
        Ok(Some(PricedProposal { proposal, cost, eta }))
    }

    /// As [`Operation::plan`], without cost and time; `allow` names the precious resources that may be lost.
    pub(super) async fn propose(
        &self,
        settled: &Observed,
        allow: &[String],
        phase: &Phase<'_>,
    ) -> Result<Option<Proposal>> {
        let (client, ui) = (&self.clients().cloudformation, self.ui());
        let Desired { environment, template, .. } = &self.desired;
        let before = settled.stack.clone();
        let existing = existing(before.as_ref());
        let create = existing.is_none();
        let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
        tags.insert(TAG.0.to_owned(), TAG.1.to_owned());
        let (token, stack, role) = (token(), &environment.stack, environment.execution_role.as_deref());
        let watch = parameters::watch(template, environment, existing.map(|stack| &stack.outputs))?;
        let parameters = self.desired.parameters();
        let request = Request { stack, create, role, template, parameters, watch, tags: &tags, token: &token };
        let interrupt = &self.session.context.interrupt;
        let set = match change_set::prepare(client, &request, interrupt, &|step| phase.report(step)).await {
            Ok(Prepared::Ready(set)) => set,
            Ok(Prepared::Empty) => return Ok(None),
            Err(error) => {
                abandon(client, stack, None, before.is_none().then_some(role)).await;
                return Err(error);
            }
        };
        show(&set, phase, ui);
        let moved = template.gate.as_ref().map(|gate| gate.rules.as_slice()).unwrap_or_default();
        if let Err(failure) = guard::check(stack, &set.changes, moved, allow) {
            take_back(client, &set, before.is_none()).await;
            return Err(failure.into());
        }
        Ok(Some(Proposal { set, create, before, planned: false }))
    }
}

/// A name that no other run has: time and process, as a change set may be named.
pub(crate) fn token() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("xtask-{millis}-{}", std::process::id())
}

async fn difference(
    clients: &Clients,
    desired: &Desired<'_>,
    proposal: &Proposal,
    observed: &Observed,
) -> Result<Option<CostDifference>> {
    let before = proposal.before.as_ref().filter(|_| !proposal.create);
    let body = deployed_body(clients, desired.environment, before, observed, &desired.template).await?;
    let now = body.as_deref().zip(before).map(|(body, stack)| (body, &stack.parameters));
    let after = effective(desired.parameters(), before);
    Ok(cost::change(now, (&desired.template.body, &after), &desired.environment.region))
}

async fn take_back(client: &Client, set: &ChangeSet, first: bool) {
    abandon(client, &set.stack_id, Some(&set.id), first.then_some(set.role.as_deref())).await;
}

/// Takes back what was asked for and is not executed: the change set, and the empty stack that a `first` one makes, with
/// the role that it was asked for with. What cannot be taken back does no harm, and must not hide why it came to this.
async fn abandon(client: &Client, stack: &str, set: Option<&str>, first: Option<Option<&str>>) {
    if let Some(set) = set {
        drop(change_set::discard(client, set, stack).await);
    }
    if let Some(role) = first
        && let Ok(Some(left)) = stack::describe(client, stack).await
        && left.status == "REVIEW_IN_PROGRESS"
    {
        drop(stack::delete(client, &left, role, &token()).await);
    }
}

/// Shows what would change, a line each, and the role that CloudFormation would use.
fn show(set: &ChangeSet, phase: &Phase<'_>, ui: &Ui) {
    if let Some(role) = &set.role {
        phase.line(&format!("CloudFormation works as {role}"));
    }
    for change in &set.changes {
        let replacement = match change.replacement.as_deref() {
            Some("True") => ui.paint(Paint::Yellow, "  replaced"),
            Some("Conditional") => "  perhaps replaced".to_owned(),
            _ => String::new(),
        };
        phase.line(&format!("{:<6} {} ({}){replacement}", change.action, change.logical_id, change.resource_type));
    }
}
