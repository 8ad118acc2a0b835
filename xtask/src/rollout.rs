//! Brings a stack to what is wanted: look, settle, propose, consent, execute, the end of it.
//!
//! Knows nothing of where an image comes from. Whether it answers is asked where a deployment waits for that.

mod conclusion;
mod doubt;
mod execute;
mod gate;
mod outlook;
mod propose;
mod settle;
mod turn_back;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use config::deployment::{Environment, Service};

use crate::diagnose;
use crate::ui::Ui;
use aws::Clients;
use aws::journal;
use aws::journal::Remembered;
use aws::journal::inputs::Inputs;
use aws::stack;
use aws::stack::Watch;
use aws::stack::events;
use aws::stack::follow;
pub(crate) use conclusion::{blame, conclude};
use doubt::Doubt;
pub(crate) use execute::{bring, execute};
pub(crate) use gate::Asker;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters as plan;
use model::parameters::Value;
use model::record::Outcome;
use model::reference::ImageReference;
use model::stack::Stack;
use model::status;
use model::status::Answer;
use model::template::{CONTAINER_URI, Template};
pub(crate) use outlook::{Outlook, deployed_body, effective};
pub(crate) use propose::{Proposal, TAG, Wish, propose};
pub(crate) use settle::{Manners, settle};
pub(crate) use turn_back::{recover, turn_back};

/// How long what was seen is taken for true.
const FRESH: Duration = Duration::from_secs(10);

/// What a stack is to become.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) image: ImageReference,
    pub(crate) template: Template,
    pub(crate) origin: Origin<'a>,
}

/// Where the parameters come from.
#[derive(Debug, Clone)]
pub(crate) enum Origin<'a> {
    Settings(&'a Service),
    /// An earlier release.
    Recorded(BTreeMap<String, Value>),
}

/// What one look at AWS finds.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) stack: Option<Stack>,
    pub(crate) remembered: Remembered,
    /// When that was, by the clock on the wall: a machine may sleep while somebody is asked.
    at: SystemTime,
}

impl Seen {
    /// The stack, if something can be deployed into it as it is.
    pub(crate) fn settled(&self) -> Option<&Stack> {
        existing(self.stack.as_ref())
    }

    /// What is known after something was done about it.
    pub(crate) fn with(&self, stack: Option<Stack>, remembered: Remembered) -> Self {
        Self { stack, remembered, ..self.clone() }
    }

    /// Whether it is too long ago to act on.
    pub(crate) fn is_old(&self) -> bool {
        self.at.elapsed().is_ok_and(|elapsed| elapsed > FRESH)
    }
}

/// A stack to update, in contrast to one that is yet to be created.
pub(crate) fn existing(stack: Option<&Stack>) -> Option<&Stack> {
    stack.filter(|stack| status::answer(Some(&stack.status)) == Answer::Update)
}

impl Wanted<'_> {
    /// The parameters to send, given the stack that there is.
    pub(crate) fn parameters(&self, existing: Option<&Stack>) -> BTreeMap<String, Value> {
        let mut values = match &self.origin {
            Origin::Settings(service) => {
                let names = existing.map(Stack::parameter_names).unwrap_or_default();
                plan::parameters(&self.template, service, self.environment, &self.image, &names)
            }
            Origin::Recorded(values) => {
                let mut values = values.clone();
                // A value that nobody was told cannot be had from a stack that is gone.
                values.retain(|name, value| match (value, existing) {
                    (Value::Is(_), _) => true,
                    (Value::Previous, existing) => existing.is_some_and(|stack| stack.parameters.contains_key(name)),
                });
                values.insert(CONTAINER_URI.to_owned(), Value::Is(self.image.to_string()));
                values
            }
        };
        plan::redeploy(&self.template, existing.map(|stack| &stack.parameters), &mut values);
        values
    }
}

/// Looks at the stack and at what is remembered of it.
///
/// # Errors
/// What AWS says.
pub(crate) async fn look(clients: &Clients, environment: &Environment) -> Result<Seen> {
    let (stack, remembered) = tokio::try_join!(
        stack::describe(&clients.cloudformation, &environment.stack),
        journal::read_journal(&clients.ssm, &environment.stack)
    )?;
    Ok(Seen { stack, remembered, at: SystemTime::now() })
}

/// Whether the stack already is what is wanted: parameters and template are the same.
///
/// # Errors
/// What AWS says.
pub(crate) async fn is_current(clients: &Clients, wanted: &Wanted<'_>, seen: &Seen) -> Result<bool> {
    let Some(stack) = seen.settled() else { return Ok(false) };
    if wanted.template.is_dynamic || !has_all(stack, &wanted.parameters(Some(stack))) {
        return Ok(false);
    }
    if is_recorded(seen, &wanted.template) {
        return Ok(true);
    }
    is_of(clients, stack, &wanted.template).await
}

/// Whether a stack has these parameters and this template.
///
/// # Errors
/// What AWS says.
pub(crate) async fn is_made_of(
    clients: &Clients,
    stack: &Stack,
    template: &Template,
    parameters: &BTreeMap<String, Value>,
) -> Result<bool> {
    Ok(has_all(stack, parameters) && is_of(clients, stack, template).await?)
}

async fn is_of(clients: &Clients, stack: &Stack, template: &Template) -> Result<bool> {
    let body = stack::template_body(&clients.cloudformation, &stack.name).await?;
    Ok(body.trim() == template.body.trim())
}

/// Whether the newest record is of the stack as it stands, made from this template. Nobody has changed it since then, so
/// CloudFormation need not be asked for the template.
pub(crate) fn is_recorded(seen: &Seen, template: &Template) -> bool {
    let (Some(stack), Some(last)) = (&seen.stack, &seen.remembered.last) else { return false };
    last.outcome == Outcome::Succeeded
        && last.stack_updated.is_some()
        && last.stack_updated == stack.updated
        && Some(last.image.as_str()) == stack.container_uri()
        && last.inputs == Inputs::of(stack, template).hash()
}

/// Whether the stack already has every value that would be sent.
fn has_all(stack: &Stack, parameters: &BTreeMap<String, Value>) -> bool {
    parameters.iter().all(|(name, value)| match value {
        Value::Is(value) => stack.parameters.get(name) == Some(value),
        Value::Previous => true,
    })
}

/// A name that no other run has: time and process, as a change set may be named.
pub(crate) fn token() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("xtask-{millis}-{}", std::process::id())
}

/// What is asked before a protected environment changes.
pub(crate) fn question(environment: &Environment) -> String {
    format!("{} is protected. Change stack {} in {}?", environment.name, environment.stack, environment.region)
}

/// Asks before a protected environment changes.
///
/// # Errors
/// A no, or nobody to ask.
pub(crate) async fn consent(environment: &Environment, ui: &Ui) -> Result<()> {
    if !environment.protected || ui.confirm(&question(environment)).await? {
        return Ok(());
    }
    let declined = outcome::declined("the change was declined", format!("stack {}", environment.stack));
    Err(declined.reason("the stack was not changed").into())
}

/// Makes sure that CloudFormation lets the stack be deleted; to be asked before anybody is.
///
/// # Errors
/// Termination protection, with the command that switches it off.
pub(crate) fn check_deletable(environment: &Environment, stack: &Stack) -> Result<(), Failure> {
    if !stack.has_termination_protection {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        FailureKind::TerminationProtection,
        format!("stack {} cannot be deleted", stack.name),
    )
    .resource(format!("stack {}", stack.name))
    .reason("its termination protection is on")
    .hint(stack::unprotect(&stack.name, Some(&environment.region))))
}

/// Deletes the environment's stack and follows it to its end.
///
/// # Errors
/// A stack that cannot be deleted.
pub(crate) async fn tear_down(clients: &Clients, environment: &Environment, stack: &Stack, ui: &Ui) -> Result<()> {
    let (client, token) = (&clients.cloudformation, token());
    let phase = ui.phase("stack");
    let mark = events::mark(client, &stack.id).await;
    ui.still_runs(Some(format!(
        "stack {} is being deleted and goes on without this tool; the same command follows it",
        stack.name
    )));
    let role = environment.execution_role.as_deref();
    let doubt = Doubt::of(stack::delete(client, stack, role, &token).await, &phase, ui)?;
    let watch = Watch {
        deleting: true,
        tokens: vec![token],
        in_doubt: doubt.exists(),
        ..Watch::of(&stack.id, Some(stack), mark)
    };
    let followed = follow::to_end(clients, watch, &|step| phase.report(step)).await?;
    ui.still_runs(None);
    doubt.resolve(&followed)?;
    let status = followed.stack.as_ref().map_or("DELETE_COMPLETE", |stack| stack.status.as_str());
    if status == "DELETE_COMPLETE" {
        phase.done(&format!("{} deleted", stack.name));
        return Ok(());
    }
    let failure =
        Failure::new(Exit::NeedsHuman, FailureKind::Stuck, format!("stack {} is not deleted ({status})", stack.name))
            .hint(format!("remove what holds it, then cargo xtask destroy {}", environment.name));
    let failure = blame(failure, &stack.name, &followed);
    Err(diagnose::explain(clients, environment, None, &stack.id, &followed, failure).await.into())
}
