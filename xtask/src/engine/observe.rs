//! What AWS shows of a stack and its releases.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use aws::journal::inputs::Inputs;
use aws::journal::{self, Remembered};
use aws::{Clients, stack};
use config::deployment::Environment;
use model::container::{self, Container};
use model::record::Outcome;
use model::stack::Stack;
use model::status::{self, Answer};
use model::template::Template;

/// How long an observation counts as current.
const FRESH: Duration = Duration::from_secs(10);

/// A stack and its newest release, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) stack: Option<Stack>,
    pub(crate) remembered: Remembered,
    /// When that was, by the clock on the wall: a machine may sleep while a question is open.
    at: SystemTime,
}

impl Observed {
    /// The stack, if something can be deployed into it as it is.
    pub(crate) fn settled(&self) -> Option<&Stack> {
        existing(self.stack.as_ref())
    }

    /// What is known after something was done about it; a lock that was seen is this run's own by now.
    pub(crate) fn with(&self, stack: Option<Stack>) -> Self {
        Self { stack, remembered: Remembered { lock: None, ..self.remembered.clone() }, at: self.at }
    }

    /// Whether it is too long ago to act on.
    pub(crate) fn is_old(&self) -> bool {
        self.at.elapsed().is_ok_and(|elapsed| elapsed > FRESH)
    }
}

/// Reads the stack and its journal.
///
/// # Errors
/// A refused or lost call.
pub(crate) async fn observe(clients: &Clients, environment: &Environment) -> Result<Observed> {
    let (stack, remembered) = tokio::try_join!(
        stack::describe(&clients.cloudformation, &environment.stack),
        journal::read_journal(&clients.ssm, &environment.stack)
    )?;
    Ok(Observed { stack, remembered, at: SystemTime::now() })
}

/// Reads a stack that has no journal.
///
/// # Errors
/// A refused or lost call.
pub(crate) async fn observe_stack(clients: &Clients, environment: &Environment) -> Result<Observed> {
    let stack = stack::describe(&clients.cloudformation, &environment.stack).await?;
    Ok(Observed { stack, remembered: Remembered::default(), at: SystemTime::now() })
}

/// A stack to update, in contrast to one that is yet to be created.
pub(crate) fn existing(stack: Option<&Stack>) -> Option<&Stack> {
    stack.filter(|stack| status::answer(Some(&stack.status)) == Answer::Update)
}

/// The stack that a change would start from, in whatever state; one that is dead would be created again.
pub(crate) fn base(stack: Option<&Stack>) -> Option<&Stack> {
    stack.filter(|stack| !matches!(status::answer(Some(&stack.status)), Answer::Create | Answer::Recreate))
}

/// Whether the newest record is of the stack as it is, made from this template. Nobody has changed it since then, so
/// CloudFormation need not be asked for the template.
pub(crate) fn is_recorded(environment: &Environment, observed: &Observed, template: &Template) -> bool {
    let (Some(stack), Some(last)) = (&observed.stack, &observed.remembered.last) else { return false };
    last.outcome == Outcome::Succeeded
        && last.stack_updated.is_some()
        && last.stack_updated == stack.updated
        && stack.image(environment).is_some_and(|image| last.image.parse() == Ok(image))
        && last.inputs == Inputs::of(environment, stack, template).hash()
}

/// The template that a stack was made from; that of the work tree where the newest record says so. `None` without a stack.
///
/// # Errors
/// A refused or lost call.
pub(crate) async fn deployed_body(
    clients: &Clients,
    environment: &Environment,
    stack: Option<&Stack>,
    observed: &Observed,
    template: &Template,
) -> Result<Option<String>> {
    Ok(match stack {
        Some(_) if is_recorded(environment, observed, template) => Some(template.body.clone()),
        Some(stack) => Some(stack::template_body(&clients.cloudformation, &stack.id).await?),
        None => None,
    })
}

/// What the deployed service has; `None` where nothing is deployed.
///
/// # Errors
/// A refused or lost call.
pub(crate) async fn deployed_container(clients: &Clients, environment: &Environment) -> Result<Option<Container>> {
    let client = &clients.cloudformation;
    let found = stack::describe(client, &environment.stack).await?;
    match base(found.as_ref()) {
        Some(stack) => Ok(Some(container::read(&stack::template_body(client, &stack.id).await?))),
        None => Ok(None),
    }
}
