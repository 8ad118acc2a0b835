//! `destroy`: deletes a stack.

use std::cmp::Reverse;

use anyhow::Result;
use config::deployment::Environment;
use futures_util::StreamExt;

use crate::context::Context;
use crate::engine::observe::{Observed, observe};
use crate::engine::turn_back;
use crate::retention;
use crate::session;
use crate::session::Session;
use aws::journal::inputs;
use aws::journal::lock::{self, Holder};
use aws::{ecr, stack};
use local::cli::Destroy;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::stack::Stack;
use model::status::{Answer, answer};

/// Exports that are asked about at a time.
const AT_ONCE: usize = 4;

pub(super) async fn run(name: &str, arguments: &Destroy, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let repository = &context.deployment.service.name;
    let mut question = format!("Delete stack {} in {} with everything in it", environment.stack, environment.region);
    if arguments.images {
        question.push_str(&format!(", and repository {repository} with every image in it"));
    }
    question.push('?');
    if !arguments.dry_run {
        ui.require_confirmation_possible(&question)?;
    }
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let Observed { stack, remembered, .. } = observe(clients, environment).await?;
    let wait = arguments.wait || arguments.dry_run;
    if let Some(held) = remembered.lock.as_ref().filter(|held| held.is_alive() && !wait) {
        return Err(lock::refusal(environment, held).into());
    }
    if arguments.images {
        refuse_shared_repository(&session).await?;
    }
    if let Some(stack) = &stack {
        refuse_needed(&session, stack).await?;
    }
    let mut removed = Vec::new();
    removed.extend(stack.as_ref().map(|stack| format!("stack {}", stack.name)));
    if arguments.images && ecr::find_repository(&clients.ecr, repository).await?.is_some() {
        removed.push(format!("repository {repository}"));
    }
    if arguments.images && removed.is_empty() && inputs::is_remembered(&clients.ssm, &environment.stack).await? {
        // An earlier removal did not finish.
        removed.push(format!("the records of stack {}", environment.stack));
    }
    if removed.is_empty() {
        ui.result("nothing to remove");
    } else if arguments.dry_run {
        ui.result(&format!("would remove {}", removed.join(" and ")));
    } else {
        if let Some(stack) = &stack {
            turn_back::check_deletable(environment, stack)?;
        }
        // Refused before the question, not after it.
        let in_progress = stack.as_ref().filter(|_| !arguments.wait).filter(|stack| is_in_progress(stack));
        if let Some(stack) = in_progress {
            return Err(operation_in_progress(stack, name).into());
        }
        if !ui.confirm(&question).await? {
            return Err(declined(&environment.stack).into());
        }
        let phase = ui.phase("lock");
        let run = model::job::run_url(&context.vars);
        let holder = Holder::this_run(&session::token(), &session.identity.arn, "destroy", None, run.as_deref());
        let lock =
            context.locks.take(&clients.ssm, environment, holder, arguments.wait, &|step| phase.report(step)).await?;
        // It may have changed before it was locked.
        let stack = stack::describe(&clients.cloudformation, &environment.stack).await?;
        if let Some(stack) = stack.as_ref().filter(|stack| is_in_progress(stack)) {
            return Err(operation_in_progress(stack, name).into());
        }
        if let Some(stack) = &stack {
            refuse_needed(&session, stack).await?;
        }
        lock.check(&|step| phase.report(step)).await?;
        phase.done(&environment.stack);
        if let Some(stack) = &stack {
            turn_back::tear_down(&session, environment, stack).await?;
            ui.note(|report| report.removed = Some(vec![format!("stack {}", stack.name)]));
        }
        if arguments.images {
            let deleted = ecr::delete_repository(&clients.ecr, repository).await;
            deleted.map_err(|error| match &stack {
                Some(stack) => partly_removed(&stack.name, &error),
                None => Failure::of(&error),
            })?;
            // Without images no release can be restored. The lock is kept until this is done.
            inputs::forget(&clients.ssm, &environment.stack).await.map_err(|error| match &stack {
                Some(stack) => partly_removed(&stack.name, &error),
                None => Failure::of(&error),
            })?;
        }
        context.locks.give_back(&lock).await;
        ui.result(&format!("removed {}", removed.join(" and ")));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}

fn is_in_progress(stack: &Stack) -> bool {
    answer(Some(&stack.status)) == Answer::Wait && stack.status != "DELETE_IN_PROGRESS"
}

/// Refuses to remove a repository that other environments use.
async fn refuse_shared_repository(session: &Session<'_>) -> Result<()> {
    let Session { context, environment, clients, .. } = session;
    let name = &context.deployment.service.name;
    let mut users = Vec::new();
    for other in retention::neighbours(session)? {
        if other.name == environment.name {
            continue;
        }
        // A stack that is only planned does not show its parameters yet, and the settings may call the image otherwise than
        // what is deployed.
        let is_image = |value: &String| value.contains(&format!("/{name}@")) || value.contains(&format!("/{name}:"));
        let runs_image = |stack: &Stack| {
            stack.image_uri(other).is_some()
                || stack.parameters.values().any(is_image)
                || stack.status == "REVIEW_IN_PROGRESS"
        };
        if stack::describe(&clients.cloudformation, &other.stack).await?.is_some_and(|stack| runs_image(&stack)) {
            users.push(other.name.as_str());
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, FailureKind::Shared, "other environments run images of this repository")
        .resource(format!("repository {name}"))
        .reason(format!("these have a stack: {}", users.join(", ")))
        .hint(format!("omit --images; cargo xtask prune {} removes images that are not needed", environment.name))
        .into())
}

/// Refuses to remove a stack that others build on.
async fn refuse_needed(session: &Session<'_>, stack: &Stack) -> Result<()> {
    let Session { context, environment, clients, ui, .. } = session;
    let (mut users, mut names) = (Vec::new(), Vec::new());
    let needs_it = |other: &&Environment| context.deployment.needs_of(other).contains(environment);
    for other in context.deployment.environments.values().filter(needs_it) {
        if other.instances {
            return Err(Failure::new(
                Exit::Failed,
                FailureKind::Instances,
                "whether others need the stack is not known",
            )
            .resource(format!("stack {}", stack.name))
            .reason(format!(
                "{} needs it and has many instances, stacks {}; there is no list of them",
                other.name,
                other.stacks()
            ))
            .hint("remove its instances, then take this environment out of its needs in deploy.toml")
            .into());
        }
        let there = Session::open(context, other, ui).await?;
        if let Some(found) = stack::describe(&there.clients.cloudformation, &other.stack).await? {
            users.push(format!("environment {} (stack {}) needs it", other.name, found.name));
            names.push(found.name);
        }
    }
    let client = &clients.cloudformation;
    let asked = stack.exports.iter().map(|export| async move { (export, stack::importers(client, export).await) });
    let answers: Vec<_> = futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await;
    for (export, importers) in answers {
        match importers {
            Ok(importers) => {
                users.extend(importers.iter().map(|name| format!("stack {name} imports its export {export}")));
                names.extend(importers);
            }
            Err(failure) if aws::is_denied(&failure) => {
                // CloudFormation deletes no export in use.
                ui.warn(&format!("which stacks import from {} is not known: {failure}", stack.name));
                break;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    let known = context.deployment.environments.values().filter(|other| names.contains(&other.stack));
    let mut known: Vec<&Environment> = known.collect();
    // What needs more is removed before what it needs.
    known.sort_by_key(|other| Reverse(context.deployment.needs_of(other).len()));
    let commands: Vec<String> = known.iter().map(|other| format!("cargo xtask destroy {}", other.name)).collect();
    Err(Failure::new(Exit::Failed, FailureKind::Needed, "other stacks build on this one")
        .resource(format!("stack {}", stack.name))
        .reason(users.join("\n"))
        .hint(if commands.is_empty() {
            "remove these stacks, or what they import, first".to_owned()
        } else {
            format!("remove them first: {}", commands.join(", "))
        })
        .into())
}

fn declined(what: &str) -> Failure {
    outcome::declined("the removal was declined", what).reason("nothing was removed")
}

fn partly_removed(stack: &str, error: &anyhow::Error) -> Failure {
    let failure = Failure::of(error);
    Failure { exit: Exit::NeedsHuman, message: format!("stack {stack} is removed, but {failure}"), ..failure }
}

fn operation_in_progress(stack: &Stack, environment: &str) -> Failure {
    Failure::new(Exit::Failed, FailureKind::InProgress, "an operation of the stack is in progress")
        .resource(format!("stack {}", stack.name))
        .reason(format!("it is {}", stack.status))
        .hint(format!("wait until it has ended (cargo xtask status {environment}), then repeat the command"))
}
