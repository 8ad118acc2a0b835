//! What a change means for the bill and for whoever waits: told before it is confirmed.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Proposal, Seen, Wanted, is_recorded};
use crate::ui::Phase;
use aws::Clients;
use aws::stack;
use model::cost;
use model::cost::Difference;
use model::eta::Eta;
use model::parameters::Value;
use model::stack::Stack;
use model::template::Template;

/// Cost and time of a change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outlook {
    pub(crate) cost: Option<Difference>,
    pub(crate) eta: Option<Eta>,
}

impl Outlook {
    /// Works both out; what cannot be known is left out, since nothing depends on it.
    pub(crate) async fn of(clients: &Clients, wanted: &Wanted<'_>, proposal: &Proposal, seen: &Seen) -> Self {
        let kind = if proposal.create { "create" } else { "update" };
        let cost = difference(clients, wanted, proposal, seen).await.ok().flatten();
        Self { cost, eta: seen.remembered.eta(kind) }
    }

    /// A line for each that is known.
    pub(crate) fn show(&self, phase: &Phase<'_>) {
        if let Some(cost) = &self.cost {
            phase.line(&cost.to_string());
        }
        if let Some(eta) = &self.eta {
            phase.line(&eta.to_string());
        }
    }

    /// As a plan tells it.
    pub(crate) fn told(&self) -> BTreeMap<String, serde_json::Value> {
        let cost = self.cost.as_ref().map(serde_json::to_value).and_then(Result::ok);
        let eta = self.eta.as_ref().map(serde_json::to_value).and_then(Result::ok);
        [("cost", cost), ("eta", eta)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

async fn difference(
    clients: &Clients,
    wanted: &Wanted<'_>,
    proposal: &Proposal,
    seen: &Seen,
) -> Result<Option<Difference>> {
    let before = proposal.before.as_ref().filter(|_| !proposal.create);
    let body = deployed_body(clients, before, seen, &wanted.template).await?;
    let now = body.as_deref().zip(before).map(|(body, stack)| (body, &stack.parameters));
    let after = effective(wanted.parameters(before), before);
    Ok(cost::change(now, (&wanted.template.body, &after), &wanted.environment.region))
}

/// The template that a stack was made from; that of the work tree where the newest record says so. `None` without a stack.
///
/// # Errors
/// What AWS says.
pub(crate) async fn deployed_body(
    clients: &Clients,
    stack: Option<&Stack>,
    seen: &Seen,
    template: &Template,
) -> Result<Option<String>> {
    Ok(match stack {
        Some(_) if is_recorded(seen, template) => Some(template.body.clone()),
        Some(stack) => Some(stack::template_body(&clients.cloudformation, &stack.id).await?),
        None => None,
    })
}

/// Parameters as they will be; what is not said has the template's default.
pub(crate) fn effective(sent: BTreeMap<String, Value>, before: Option<&Stack>) -> BTreeMap<String, String> {
    let value = |(name, value): (String, Value)| match value {
        Value::Is(value) => Some((name, value)),
        Value::Previous => before?.parameters.get(&name).cloned().map(|value| (name, value)),
    };
    sent.into_iter().filter_map(value).collect()
}
