//! What a change would be: CloudFormation's change set, what it would lose, what it costs and how long it may take.

use std::collections::BTreeMap;

use anyhow::Result;
use aws::stack;
use aws::stack::change_set::{self, ChangeSet, Prepared, Request, Text};
use aws_sdk_cloudformation::Client;
use config::deployment::Environment;
use model::cost::{self, CostDifference};
use model::eta::Eta;
use model::parameters::{Value, Watch};
use model::stack::Stack;
use model::template::evaluate::Pseudo;
use model::template::{Shifting, shifting, unwatchable};
use model::{guard, parameters};

use super::desired::{Desired, effective};
use super::observe::{Observed, deployed_body, existing};
use super::weights::Outlook;
use super::{Operation, bucket};
use crate::container;
use crate::session::token;
use local::ui::{Paint, Phase, Ui};

/// The tag that every stack of this tool has, and by CloudFormation its resources.
pub(crate) const TAG: (&str, &str) = ("managed-by", "xtask");

/// Up to how many resources of a new stack are listed.
const SHOWN_RESOURCES: usize = 5;

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
    /// What the stack needs before it, in an update of its own.
    pub(crate) realign: Option<Realign>,
}

/// The weights that listener rules have, where the stack's parameter has others.
#[derive(Debug, Clone)]
pub(crate) struct Realign {
    /// The parameter's value for them.
    pub(crate) live: String,
    /// What the proposal may lose, which is made again after that.
    pub(super) allow: Vec<String>,
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
        let account = &self.session.identity.account;
        let body = self.deployed(&proposal, settled).await.ok().flatten();
        let cost = difference(account, &self.desired, &proposal, body.as_deref());
        let container = container::changes(body.as_deref(), &self.desired.template.body);
        container.iter().for_each(|change| phase.line(&change.to_string()));
        self.ui().note(|report| report.container = container);
        self.command_before().and_then(|words| model::one_off::step(&self.desired.template, words)).iter().for_each(
            |step| {
                phase.line(step);
            },
        );
        let eta = settled.remembered.eta(if proposal.create { "create" } else { "update" });
        cost.iter().for_each(|cost| phase.line(&cost.to_string()));
        eta.iter().for_each(|eta| phase.line(&eta.to_string()));
        Ok(Some(PricedProposal { proposal, cost, eta }))
    }

    /// The deployed template, where the proposal changes one.
    pub(super) async fn deployed(&self, proposal: &Proposal, observed: &Observed) -> Result<Option<String>> {
        let before = proposal.before.as_ref().filter(|_| !proposal.create);
        deployed_body(self.clients(), self.desired.environment, before, observed, &self.desired.template).await
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
        let mut parameters = self.desired.parameters().clone();
        let Some(mut set) = self.create_change_set(before.as_ref(), &parameters, phase).await? else { return Ok(None) };
        let outlook = match self.session.context.interrupt.or(self.outlook(&set, existing)).await {
            Ok(outlook) => outlook,
            Err(error) => {
                take_back(client, &set, before.is_none()).await;
                return Err(error);
            }
        };
        let realign = match outlook {
            Outlook::Differ(live) if !template.weights.iter().flat_map(|it| &it.rules).all(|id| allow.contains(id)) => {
                Some(Realign { live, allow: allow.to_vec() })
            }
            Outlook::Differ(live) | Outlook::New(live) => {
                take_back(client, &set, false).await;
                parameters.extend(template.weights.iter().map(|it| (it.parameter.clone(), Value::Is(live.clone()))));
                let Some(again) = self.create_change_set(before.as_ref(), &parameters, phase).await? else {
                    return Ok(None);
                };
                set = again;
                None
            }
            Outlook::Untouched | Outlook::Right => None,
        };
        show(&set, create, phase, ui);
        let after = effective(&parameters, existing);
        if create && let Some(Shifting { service, strategy, .. }) = shifting(template, &after, &environment.region) {
            phase.line(&format!(
                "the first deployment of {service} shifts no traffic, for there is no earlier version: {strategy} applies \
                 from the next one on; this one is verified when it is complete"
            ));
        }
        let moved = guard::moved(template, existing.map(|stack| &stack.parameters));
        if let Err(failure) = guard::check(&environment.stack, &set.changes, &moved, allow) {
            take_back(client, &set, before.is_none()).await;
            return Err(failure.into());
        }
        Ok(Some(Proposal { set, create, before, planned: false, realign }))
    }

    /// Has a change set made with these parameters; `None` where nothing would change.
    pub(super) async fn create_change_set(
        &self,
        before: Option<&Stack>,
        parameters: &BTreeMap<String, Value>,
        phase: &Phase<'_>,
    ) -> Result<Option<ChangeSet>> {
        let client = &self.clients().cloudformation;
        let Desired { environment, template, .. } = &self.desired;
        let existing = existing(before);
        let create = existing.is_none();
        let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
        tags.insert(TAG.0.to_owned(), TAG.1.to_owned());
        let (token, stack, role) = (token(), &environment.stack, environment.execution_role.as_deref());
        let watch = self.alarms(&effective(parameters, existing), existing, phase)?;
        let interrupt = &self.session.context.interrupt;
        // What an interruption leaves in the bucket expires by itself.
        let url = interrupt.or(bucket::upload(self.session, environment, template)).await?;
        let text = url.as_deref().map_or(Text::Sent, Text::At);
        let request = Request { stack, create, role, template, text, parameters, watch, tags: &tags, token: &token };
        match change_set::prepare(client, &request, interrupt, &|step| phase.report(step)).await {
            Ok(Prepared::Ready(set)) => Ok(Some(set)),
            Ok(Prepared::Empty) => Ok(None),
            Err(error) => {
                abandon(client, stack, None, before.is_none().then_some(role)).await;
                Err(error)
            }
        }
    }

    /// The alarms to watch during the change, which leads to the parameters `after`.
    fn alarms(&self, after: &BTreeMap<String, String>, existing: Option<&Stack>, phase: &Phase<'_>) -> Result<Watch> {
        let Desired { environment, template, .. } = &self.desired;
        let outputs = existing.map(|stack| &stack.outputs);
        // A stack that is created is not watched.
        let Some(problem) = existing.and_then(|_| unwatchable(template, environment, after)) else {
            return Ok(parameters::watch(template, environment, outputs)?);
        };
        if self.release.as_ref().is_none_or(|release| release.back_to.is_none()) {
            return Err(problem.into());
        }
        // The way back from a bad version must not depend on settings that belong to another one.
        phase.line(&format!("alarms are not watched: {problem}"));
        let unwatched = Environment { watch_minutes: 0, ..(*environment).clone() };
        Ok(parameters::watch(template, &unwatched, outputs)?)
    }
}

fn difference(account: &str, desired: &Desired<'_>, proposal: &Proposal, body: Option<&str>) -> Option<CostDifference> {
    let before = proposal.before.as_ref().filter(|_| !proposal.create);
    let now = body.zip(before).map(|(body, stack)| (body, &stack.parameters));
    let after = effective(desired.parameters(), before);
    let Environment { region, stack, .. } = desired.environment;
    let known = Pseudo { region, account: Some(account), stack: Some(stack) };
    cost::change(now, (&desired.template.body, &after), known)
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

/// Shows what would change, a line each; of a new stack with many resources their number. With `--verbose` everything,
/// and the role that CloudFormation would use.
fn show(set: &ChangeSet, create: bool, phase: &Phase<'_>, ui: &Ui) {
    if let Some(role) = &set.role {
        ui.detail(&format!("            CloudFormation works as {role}"));
    }
    // What makes up a new stack is shown when it is made.
    if create && set.changes.len() > SHOWN_RESOURCES {
        phase.line(&format!("{:<6} {} resources", "Add", set.changes.len()));
    }
    for change in &set.changes {
        let replacement = match change.replacement.as_deref() {
            Some("True") => ui.paint(Paint::Yellow, "  replaced"),
            Some("Conditional") => "  perhaps replaced".to_owned(),
            _ => String::new(),
        };
        let line = format!("{:<6} {} ({}){replacement}", change.action, change.logical_id, change.resource_type);
        if create && set.changes.len() > SHOWN_RESOURCES {
            ui.detail(&format!("            {line}"));
        } else {
            phase.line(&line);
        }
    }
}
