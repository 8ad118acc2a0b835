//! `run`: one command in a task of its own, with the image, variables, secrets, network and roles of the service.

use anyhow::Result;
use aws::ecs::one_off;
use aws::stack;
use config::deployment::Environment;
use model::one_off::{Changes, copy};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::ImageReference;
use model::report::Line;
use model::template::Template;

use super::deploy::{self, Target};
use super::events;
use crate::context::Context;
use crate::engine::consent;
use crate::one_off::{Place, exit_code, family};
use crate::preflight;
use crate::session::Session;
use local::cli::Run;
use local::ui::Ui;

pub(super) async fn run(arguments: &Run, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment)?;
    ui.about(environment);
    let image = arguments.image.as_deref().map(str::parse::<ImageReference>).transpose();
    let image = image.map_err(|error| Failure::new(Exit::Usage, FailureKind::Image, error.to_string()))?;
    let question = environment.protected.then(|| {
        format!("{} is protected. Run {:?} in {}?", environment.name, arguments.command.join(" "), environment.region)
    });
    consent::can_be_asked(question.as_deref(), ui)?;
    let phase = ui.phase("task");
    let prepared = async {
        let session = Session::open(context, environment, ui).await?;
        let (place, deployed) = place(&session).await?;
        let image = match &image {
            Some(image) => Some(other_image(&session, image, &deployed).await?),
            None => None,
        };
        consent::consent(question.as_deref(), environment, ui).await?;
        let definition = one_off::definition(&session.clients.signed, &place.definition).await?;
        Ok((session, place, definition, image))
    };
    let (session, place, definition, image) = context.interrupt.or(prepared).await?;
    let command = &arguments.command;
    // A signal waits for the answer: without it nobody would know which task to stop.
    let mut task = match image {
        Some(image) => {
            let changes = Changes { image: &image, command, additions: None };
            let copy = copy(&definition, &family(&environment.stack), &place.container, &changes);
            place.start_copy(&session, &copy, "run").await?
        }
        None => place.start(&session, (&place.definition, &definition), "run", Some(command)).await?,
    };
    if arguments.detach {
        ui.still_runs(None);
        phase.done(&format!("task {} was started", task.id()));
        task.follow_command().iter().for_each(|command| ui.line(&format!("follow it: {command}")));
        ui.result(&task.arn);
        return Ok(());
    }
    phase.line(&format!("task {}", task.id()));
    let mut show = |line: Line| {
        ui.result(&line.message);
        ui.note(|report| report.logs.get_or_insert_default().push(line));
    };
    let ended = task.ended_within(arguments.timeout, &context.interrupt, &phase, &mut show).await;
    let ended = ended.map_err(|error| match Failure::of(&error) {
        failure if failure.kind == FailureKind::Deadline => {
            failure.hint("--timeout AGE gives it longer; --detach does not wait for it").into()
        }
        _ => error,
    })?;
    let code = exit_code(&ended, &place.container, ui)?;
    phase.done(&format!("task {} ended with exit code {code}", ended.id));
    if code == 0 {
        return Ok(());
    }
    let exit = Exit::Command(u8::try_from(code).unwrap_or(u8::MAX));
    Err(Failure::new(exit, FailureKind::Command, format!("the command ended with exit code {code}"))
        .resource(format!("task {}", ended.id))
        .reason(ended.stop_reason())
        .into())
}

/// The image by digest, if the deployed template can run it.
async fn other_image(session: &Session<'_>, image: &ImageReference, deployed: &str) -> Result<String> {
    let environment = session.environment;
    let template = Template::read(&environment.template, deployed.to_owned())?;
    let platform = preflight::platform(environment, &template)?;
    let target = Target { image, environment: &environment.name, platform };
    // It is not deployed, so it gets no tag that keeps it.
    let image = deploy::runnable(session, target, environment.registry.as_deref(), true).await?;
    session.ui.note(|report| report.image = Some(image.to_string()));
    Ok(image.to_string())
}

/// Where the service's tasks run, and the deployed template.
async fn place(session: &Session<'_>) -> Result<(Place, String)> {
    let (environment, client) = (session.environment, &session.clients.cloudformation);
    let stack = stack::describe(client, &environment.stack).await?.ok_or_else(|| events::no_stack(environment))?;
    let body = stack::template_body(client, &stack.name).await?;
    let place = Place::of(session, &stack, &body).await?.ok_or_else(|| no_task(environment))?;
    if place.serves {
        return Ok((place, body));
    }
    Err(Failure::new(Exit::Failed, FailureKind::NoRelease, "no version of the service is released yet")
        .resource(format!("stack {}", stack.name))
        .reason("it has no service: its first release did not come to its end")
        .hint(format!("cargo xtask release {}", environment.name))
        .into())
}

/// A template that runs the image elsewhere than on ECS.
fn no_task(environment: &Environment) -> Failure {
    let Environment { name, stack, template, .. } = environment;
    Failure::new(Exit::Preflight, FailureKind::Task, format!("{name} runs no ECS tasks"))
        .resource(template)
        .reason(format!("the Metadata.Release.Container of stack {stack} names no task definition"))
        .hint(
            "on an EC2 instance: aws ssm start-session --target INSTANCE, and there sudo docker exec CONTAINER COMMAND; \
             or [service] before_release for what belongs to a release",
        )
}
