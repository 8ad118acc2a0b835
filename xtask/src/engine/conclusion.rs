//! What a stack's end means for the command.

use config::deployment::Environment;

use aws::stack::follow::Followed;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::ImageReference;
use model::stack::Stack;
use model::status::Ending;

/// Turns a stack's end into a result.
pub(crate) fn conclude(environment: &Environment, followed: &Followed) -> Result<Stack, Failure> {
    let (exit, kind, what, hint) = match (followed.ending, &followed.stack) {
        (Ending::Done, Some(stack)) if stack.status != "DELETE_COMPLETE" => return Ok(stack.clone()),
        (Ending::RolledBack, _) => (
            Exit::RolledBack,
            FailureKind::RolledBack,
            "failed and is rolled back; the previous release runs",
            format!("fix the cause, then repeat the command; cargo xtask status {} shows what runs", environment.name),
        ),
        (Ending::RolledBackToNothing, _) => (
            Exit::RolledBack,
            FailureKind::RolledBack,
            "could not be created; what had been created is gone",
            format!("fix the cause, then repeat the command with --yes; or cargo xtask destroy {}", environment.name),
        ),
        (Ending::Done, _) | (Ending::Stuck, None) => (
            Exit::NeedsHuman,
            FailureKind::Gone,
            "is gone: someone deleted it meanwhile",
            "find out who deleted it, then repeat the command".to_owned(),
        ),
        (Ending::Stuck, Some(_)) => (
            Exit::NeedsHuman,
            FailureKind::Stuck,
            "failed and could not be rolled back",
            format!("cargo xtask status {}; then repeat the command, which names the way out", environment.name),
        ),
    };
    let status = followed.stack.as_ref().map(|stack| format!(" ({})", stack.status)).unwrap_or_default();
    let failure = Failure::new(exit, kind, format!("stack {} {what}{status}", environment.stack)).hint(hint);
    Err(blame(failure, &environment.stack, followed))
}

/// Adds the first real cause to a stack's failure.
pub(crate) fn blame(failure: Failure, stack: &str, followed: &Followed) -> Failure {
    let otherwise = followed.stack.as_ref().and_then(|stack| stack.status_reason.clone());
    let stack_id = followed.stack.as_ref().map(|stack| stack.id.as_str()).unwrap_or_default();
    match model::stack::first_cause(&followed.events, stack_id) {
        Some(cause) => failure
            .resource(format!("{} ({})", cause.logical_id, cause.resource_type))
            .reason(cause.reason.clone().or(otherwise).unwrap_or_else(|| cause.status.clone())),
        None => failure
            .resource(format!("stack {stack}"))
            .reason(otherwise.unwrap_or_else(|| "CloudFormation gave no reason".to_owned())),
    }
}

/// Our execution came too late: what was followed was another release's.
pub(super) fn superseded(environment: &Environment, stack: &Stack, image: &ImageReference) -> Failure {
    let runs = stack.image_uri(environment).unwrap_or("another image");
    Failure::new(Exit::NeedsHuman, FailureKind::Superseded, format!("another release took stack {}", stack.name))
        .resource(&stack.id)
        .reason(format!("it runs {runs}, not {image}"))
        .hint("repeat the command when the other release is done")
}
