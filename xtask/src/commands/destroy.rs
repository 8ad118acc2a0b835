//! `destroy`: remove a stack, or what `release --local` started.

use crate::engine;
use crate::engine::observe::observe;
use crate::engine::turn_back;
use anyhow::Result;
use config::deployment::Environment;

use crate::cli::Destroy;
use crate::context::Context;
use crate::engine::observe::Observed;
use crate::local;
use crate::local::Turn;
use crate::retention;
use crate::session::Session;
use crate::ui::Ui;
use aws::ecr;
use aws::journal::inputs;
use aws::journal::lock;
use aws::journal::lock::Holder;
use aws::stack;
use aws::{Clients, Identity};
use image::docker::Owner;
use image::docker::build;
use image::docker::build::Images;
use image::docker::container;
use image::docker::container::Containers;
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::Stack;
use model::status::{Answer, answer};

pub(super) async fn run(arguments: &Destroy, context: &Context, ui: &Ui) -> Result<()> {
    match &arguments.environment {
        Some(environment) => remote(environment, arguments, context, ui).await,
        None => from_engine(arguments, context, ui).await,
    }
}

async fn remote(name: &str, arguments: &Destroy, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let repository = &context.deployment.service.name;
    let mut question = format!("Delete stack {} in {} with all it holds", environment.stack, environment.region);
    if arguments.images {
        question.push_str(&format!(", and repository {repository} with every image in it"));
    }
    question.push('?');
    if !arguments.dry_run {
        ui.must_be_able_to_ask(&question)?;
    }
    let session = Session::open(context, environment, ui).await?;
    let Session { clients, identity, .. } = &session;
    let Observed { stack, remembered, .. } = observe(&clients, environment).await?;
    let wait = arguments.wait || arguments.dry_run;
    if let Some(held) = remembered.lock.as_ref().filter(|held| held.is_alive() && !wait) {
        return Err(lock::refusal(environment, held).into());
    }
    if arguments.images && !arguments.dry_run {
        spare_neighbours(context, &clients, environment, &identity).await?;
    }
    let mut removed = Vec::new();
    removed.extend(stack.as_ref().map(|stack| format!("stack {}", stack.name)));
    if arguments.images && ecr::find_repository(&clients.ecr, repository).await?.is_some() {
        removed.push(format!("repository {repository}"));
    }
    if arguments.images && removed.is_empty() && inputs::is_remembered(&clients.ssm, &environment.stack).await? {
        // An earlier removal was stopped before its end.
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
        // Nobody is asked about what would then be refused.
        let at_work = stack.as_ref().filter(|_| !arguments.wait).filter(|stack| is_at_work(stack));
        if let Some(stack) = at_work {
            return Err(busy(stack, name).into());
        }
        if !ui.confirm(&question).await? {
            return Err(declined(&environment.stack).into());
        }
        let phase = ui.phase("lock");
        let run = model::job::run_url(&context.vars);
        let holder = Holder::this_run(&engine::token(), &identity.arn, "destroy", None, run.as_deref());
        let lock =
            context.locks.take(&clients.ssm, environment, holder, arguments.wait, &|step| phase.report(step)).await?;
        // Others may have changed it until it was locked.
        let stack = stack::describe(&clients.cloudformation, &environment.stack).await?;
        if let Some(stack) = stack.as_ref().filter(|stack| is_at_work(stack)) {
            return Err(busy(stack, name).into());
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
                Some(stack) => half_done(&stack.name, &error),
                None => Failure::of(&error),
            })?;
            // Without images there is nothing to go back to. The lock stays for as long as this is going on.
            inputs::forget(&clients.ssm, &environment.stack).await.map_err(|error| match &stack {
                Some(stack) => half_done(&stack.name, &error),
                None => Failure::of(&error),
            })?;
        }
        context.locks.give_back(&lock).await;
        ui.result(&format!("removed {}", removed.join(" and ")));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}

fn is_at_work(stack: &Stack) -> bool {
    answer(Some(&stack.status)) == Answer::Wait && stack.status != "DELETE_IN_PROGRESS"
}

/// The repository is shared: others' images are not removed with it.
async fn spare_neighbours(
    context: &Context,
    clients: &Clients,
    environment: &Environment,
    identity: &Identity,
) -> Result<()> {
    let mut in_need = Vec::new();
    for other in retention::neighbours(context, environment, identity)? {
        if other.name != environment.name && stack::describe(&clients.cloudformation, &other.stack).await?.is_some() {
            in_need.push(other.name.as_str());
        }
    }
    if in_need.is_empty() {
        return Ok(());
    }
    let name = &context.deployment.service.name;
    Err(Failure::new(Exit::Failed, FailureKind::Shared, "other environments run images of this repository")
        .resource(format!("repository {name}"))
        .reason(format!("these have a stack: {}", in_need.join(", ")))
        .hint(format!("leave out --images; cargo xtask prune {} removes what nobody needs", environment.name))
        .into())
}

fn declined(what: &str) -> Failure {
    outcome::declined("the removal was declined", what).reason("nothing was removed")
}

fn half_done(stack: &str, error: &anyhow::Error) -> Failure {
    let failure = Failure::of(error);
    Failure { exit: Exit::NeedsHuman, message: format!("stack {stack} is removed, but {failure}"), ..failure }
}

fn busy(stack: &Stack, environment: &str) -> Failure {
    Failure::new(Exit::Failed, FailureKind::InProgress, "an operation of the stack is in progress")
        .resource(format!("stack {}", stack.name))
        .reason(format!("it is {}", stack.status))
        .hint(format!("wait for its end (cargo xtask status {environment}), then repeat the command"))
}

async fn from_engine(arguments: &Destroy, context: &Context, ui: &Ui) -> Result<()> {
    ui.note(|report| report.environment = Some("local".to_owned()));
    let service = &context.deployment.service.name;
    let question = format!("Remove the local containers of {service}?");
    if !arguments.dry_run {
        ui.must_be_able_to_ask(&question)?;
    }
    let engine = crate::build::engine(&context.vars, ui).await?;
    let owner = Owner::new(&context.root, service);
    let find = async || {
        let containers = container::list(&engine.docker, &owner).await?;
        let images = if arguments.images { build::list(&engine.docker, &owner).await? } else { Images::default() };
        anyhow::Ok((containers, images))
    };
    let named = |containers: &Containers, images: &Images| -> Vec<String> {
        let containers = containers.own.iter().map(|own| format!("container {}", own.name));
        containers.chain(images.own.iter().map(|image| format!("image {image}"))).collect()
    };
    let phase = ui.phase("look");
    phase.doing("the engine's list of containers and images");
    let (containers, images) = find().await?;
    phase.done(&format!(
        "{} containers and {} image names are of this checkout",
        containers.own.len(),
        images.own.len()
    ));
    containers.others.iter().filter(|other| local::is_gone(other)).for_each(|other| ui.line(&local::abandoned(other)));
    images.kept.iter().for_each(|kept| ui.line(&format!("kept: {kept}")));
    let mut removed = named(&containers, &images);
    if removed.is_empty() {
        ui.result("nothing to remove");
    } else if arguments.dry_run {
        ui.result(&format!("would remove {}", removed.join(", ")));
    } else {
        if !ui.confirm(&question).await? {
            return Err(declined(service).into());
        }
        // A release may have replaced a container meanwhile.
        let _turn = Turn::take(&context.root, &context.interrupt, ui).await?;
        let phase = ui.phase("remove");
        phase.doing("the engine's list of containers and images");
        let (containers, images) = find().await?;
        removed = named(&containers, &images);
        for container in &containers.own {
            phase.doing(&format!("removing container {}", container.name));
            container::remove(&engine.docker, &container.id).await?;
        }
        for image in &images.own {
            phase.doing(&format!("removing image {image}"));
            build::remove(&engine.docker, image).await?;
        }
        phase.done("what this checkout had on the engine");
        ui.result(&format!("removed {}", removed.join(", ")));
    }
    ui.note(|report| report.removed = Some(removed));
    Ok(())
}
