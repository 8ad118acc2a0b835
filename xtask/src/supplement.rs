//! Brings a stack that runs no image to what its template and parameters say: what comes before a release, or stands
//! beside it.
//!
//! There is nothing to prove and nothing to go back to by number; CloudFormation's own rollback is what there is.

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::rollout;
use crate::rollout::{Manners, Wish};
use crate::ui::Ui;
use aws::Clients;
use model::outcome;
use model::parameters::Value;
use model::record::Change;
use model::stack::Stack;
use model::template::Template;

/// A stack without an image, and what it is to become.
pub(crate) struct Supplement<'a> {
    pub(crate) context: &'a Context,
    pub(crate) clients: &'a Clients,
    pub(crate) environment: &'a Environment,
    pub(crate) template: &'a Template,
    /// The parameters to send, given the stack that can be updated.
    pub(crate) parameters: &'a dyn Fn(Option<&Stack>) -> BTreeMap<String, Value>,
    pub(crate) manners: Manners<'a>,
    /// What is asked before anything changes; `None` asks nothing.
    pub(crate) question: Option<&'a str>,
    pub(crate) ui: &'a Ui,
}

impl Supplement<'_> {
    /// What a dry run says, and the stack where nothing would change. `parts` are lines of the caller's own.
    ///
    /// # Errors
    /// What AWS says.
    pub(crate) async fn foretell(&self, found: Option<&Stack>, parts: Vec<String>) -> Result<Option<Stack>> {
        if let Some(stack) = self.current(found).await? {
            return Ok(Some(stack));
        }
        let verb = if rollout::existing(found).is_some() { "update" } else { "create" };
        let mut plan = vec![format!("{verb} stack {} of {}", self.environment.stack, self.environment.template)];
        plan.extend(parts);
        self.ui.result(&plan.join("\n"));
        self.ui.note(|report| report.plan = Some(plan));
        Ok(None)
    }

    /// Brings the stack there: settle, propose, ask, apply.
    ///
    /// # Errors
    /// A no, a refusal of CloudFormation's or of the guard, or a stack that failed.
    pub(crate) async fn bring(&self, found: Option<Stack>) -> Result<Option<Stack>> {
        let Self { context, clients, environment, template, parameters, manners, question, ui } = *self;
        if let Some(stack) = self.current(found.as_ref()).await? {
            return Ok(Some(stack));
        }
        let before = rollout::settle(context, clients, environment, found, manners, ui).await?;
        let phase = ui.phase("stack");
        let values = parameters(rollout::existing(before.as_ref()));
        let wish = Wish { environment, template, parameters: values, before: before.clone(), allow: manners.allow };
        let Some(proposal) = rollout::propose(context, clients, wish, &phase, ui).await? else {
            phase.skipped(&format!("{} is already current", environment.stack));
            ui.note(|report| report.change = Some(Change::None));
            return Ok(before);
        };
        if let Some(question) = question {
            let agreed = context.interrupt.or(ui.confirm(question)).await;
            if !matches!(agreed, Ok(true)) {
                proposal.abandon(&clients.cloudformation).await;
                agreed?;
                let declined = outcome::declined("the change was declined", format!("stack {}", environment.stack));
                return Err(declined.reason("nothing was changed").into());
            }
        }
        let (change, done) = if proposal.create { (Change::Create, "created") } else { (Change::Update, "updated") };
        let stack = rollout::bring(context, clients, (environment, template), &proposal, &phase, ui).await?;
        phase.done(&format!("{} {done}", stack.name));
        ui.note(|report| report.change = Some(change));
        Ok(Some(stack))
    }

    /// The stack, if it is already what it is to become.
    async fn current(&self, found: Option<&Stack>) -> Result<Option<Stack>> {
        let Some(stack) = rollout::existing(found) else { return Ok(None) };
        let values = (self.parameters)(Some(stack));
        let look = rollout::is_made_of(self.clients, stack, self.template, &values);
        if !self.context.interrupt.or(look).await? {
            return Ok(None);
        }
        self.ui.phase("stack").skipped(&format!("{} is already current", stack.name));
        self.ui.note(|report| report.change = Some(Change::None));
        Ok(Some(stack.clone()))
    }
}
