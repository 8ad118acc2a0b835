//! Asks CloudFormation what would change, shows it, and makes sure that nothing precious is lost.

use std::collections::BTreeMap;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use config::deployment::Environment;

use super::{Wanted, existing, token};
use crate::context::Context;
use crate::ui::{Paint, Phase, Ui};
use aws::Clients;
use aws::stack;
use aws::stack::change_set;
use aws::stack::change_set::{ChangeSet, Prepared, Request};
use model::guard;
use model::parameters as plan;
use model::parameters::Value;
use model::stack::Stack;
use model::template::Template;

/// The tag that every stack of this tool has, and by CloudFormation its resources.
pub(crate) const TAG: (&str, &str) = ("managed-by", "xtask");

/// A change that can be carried out.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) set: ChangeSet,
    /// Whether there is no stack yet.
    pub(crate) create: bool,
    /// The stack as it is before the change; the empty one of a first change set counts as none.
    pub(crate) before: Option<Stack>,
    /// Whether it was reviewed as a plan: then it stays where it is, whatever becomes of this run.
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

/// What is asked for.
pub(crate) struct Wish<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) template: &'a Template,
    pub(crate) parameters: BTreeMap<String, Value>,
    /// The settled stack.
    pub(crate) before: Option<Stack>,
    /// Precious resources that may be lost.
    pub(crate) allow: &'a [String],
}

impl Wanted<'_> {
    /// What to ask for, given the settled stack.
    pub(crate) fn wish<'a>(&'a self, before: Option<Stack>, allow: &'a [String]) -> Wish<'a> {
        let parameters = self.parameters(existing(before.as_ref()));
        Wish { environment: self.environment, template: &self.template, parameters, before, allow }
    }
}

/// Has a change set made and shows it; `None` where nothing would change.
///
/// Whatever else it ends with, also an interruption, leaves nothing behind.
///
/// # Errors
/// A refusal of CloudFormation's or of the guard.
pub(crate) async fn propose(
    context: &Context,
    clients: &Clients,
    wish: Wish<'_>,
    phase: &Phase<'_>,
    ui: &Ui,
) -> Result<Option<Proposal>> {
    let Wish { environment, template, parameters, before, allow } = wish;
    let client = &clients.cloudformation;
    let existing = existing(before.as_ref());
    let create = existing.is_none();
    let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.insert(TAG.0.to_owned(), TAG.1.to_owned());
    let (token, stack, role) = (token(), &environment.stack, environment.execution_role.as_deref());
    let watch = plan::watch(template, environment, existing.map(|stack| &stack.outputs))?;
    let parameters = &parameters;
    let request = Request { stack, create, role, template, parameters, watch, tags: &tags, token: &token };
    let set = match change_set::prepare(client, &request, &context.interrupt, &|step| phase.report(step)).await {
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

/// Shows what would change, a line each, and as whom CloudFormation would work.
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
