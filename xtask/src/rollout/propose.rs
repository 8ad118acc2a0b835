//! Asks CloudFormation what would change, shows it, and makes sure that nothing precious is lost.

use anyhow::Result;
use aws_sdk_cloudformation::Client;

use super::{Wanted, token};
use crate::aws::Clients;
use crate::context::Context;
use crate::guard;
use crate::outcome::{Exit, Failure};
use crate::plan;
use crate::stack::change_set::{self, Change, ChangeSet, Prepared, Request};
use crate::stack::{self, Stack};
use crate::ui::{Paint, Phase, Ui};

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
            abandon(client, &self.set.stack_id, Some(&self.set.id), self.before.is_none()).await;
        }
    }
}

/// What is asked for.
pub(crate) struct Wish<'a> {
    pub(crate) wanted: &'a Wanted<'a>,
    /// The settled stack.
    pub(crate) before: Option<Stack>,
    /// Precious resources that may be lost.
    pub(crate) allow: &'a [String],
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
    let Wish { wanted, before, allow } = wish;
    let client = &clients.cloudformation;
    let existing = super::existing(before.as_ref());
    let (create, parameters) = (existing.is_none(), wanted.parameters(existing));
    let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.insert("managed-by".to_owned(), "xtask".to_owned());
    let (token, stack) = (token(), &wanted.environment.stack);
    let template = &wanted.template;
    let watch = plan::watch(template, wanted.environment, existing.map(|stack| &stack.outputs))?;
    let request = Request { stack, create, template, parameters: &parameters, watch, tags: &tags, token: &token };
    let set = match context.interrupt.or(change_set::prepare(client, &request)).await {
        Ok(Prepared::Ready(set)) => set,
        Ok(Prepared::Empty) => return Ok(None),
        Err(error) => {
            let made = Some(token.as_str()).filter(|_| is_interruption(&error));
            abandon(client, stack, made, before.is_none()).await;
            return Err(error);
        }
    };
    show(&set.changes, phase, ui);
    if let Err(failure) = guard::check(stack, &set.changes, allow) {
        abandon(client, &set.stack_id, Some(&set.id), before.is_none()).await;
        return Err(failure.into());
    }
    Ok(Some(Proposal { set, create, before, planned: false }))
}

fn is_interruption(error: &anyhow::Error) -> bool {
    Failure::of(error).exit == Exit::Interrupted
}

/// Takes back what was asked for and is not executed: the change set, and the empty stack that a first one makes. What
/// cannot be taken back does no harm, and must not hide why it came to this.
async fn abandon(client: &Client, stack: &str, set: Option<&str>, first: bool) {
    if let Some(set) = set {
        drop(change_set::discard(client, set, stack).await);
    }
    if first
        && let Ok(Some(left)) = stack::describe(client, stack).await
        && left.status == "REVIEW_IN_PROGRESS"
    {
        drop(stack::delete(client, &left, &token()).await);
    }
}

/// Shows what would change, a line each.
fn show(changes: &[Change], phase: &Phase<'_>, ui: &Ui) {
    for change in changes {
        let replacement = match change.replacement.as_deref() {
            Some("True") => ui.paint(Paint::Yellow, "  replaced"),
            Some("Conditional") => "  perhaps replaced".to_owned(),
            _ => String::new(),
        };
        phase.line(&format!("{:<6} {} ({}){replacement}", change.action, change.logical_id, change.resource_type));
    }
}
