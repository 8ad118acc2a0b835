//! `rollback`: an earlier release again, with its image, template and parameters, and the same proof.

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::{Operation, ReleaseOptions, back, bucket, consent};
use crate::preflight::{self, Check};
use crate::session::Session;
use aws::journal;
use local::cli::Rollback;
use local::ui::Ui;
use model::history::{self, StackState};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Value;
use model::record::{Outcome, Record};
use model::stack::Stack;

pub(super) async fn run(arguments: &Rollback, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment.environment)?;
    ui.about(environment);
    let Rollback { proof, conduct, dry_run, .. } = arguments;
    let question = consent::question(environment);
    consent::can_be_asked(question.as_deref().filter(|_| !dry_run), ui)?;
    let check =
        Check { context, environment, proof, wait: conduct.wait || *dry_run, engine: false, own_template: false };
    let also =
        async |session: &Session<'_>, _: &_| journal::list_releases(&session.clients.ssm, &environment.stack).await;
    let (ready, records) = context.interrupt.or(preflight::check(check, also, ui)).await?;
    let target = choose(&records, arguments.release, ready.observed.stack.as_ref(), environment)?.clone();
    let (image, template, inputs) =
        context.interrupt.or(back::fetch(&ready.session.clients, &target, environment)).await?;
    context.interrupt.or(bucket::check_bucket(&ready.session, &template)).await?;
    if !proof.no_smoke
        && let Some(problem) = preflight::smoke_url_problem(environment, &template, proof.smoke_url.as_deref())
    {
        return Err(problem.into());
    }
    let stack = ready.observed.stack.as_ref();
    let value = |name: &str| match inputs.values().remove(name)? {
        Value::Is(value) => Some(value),
        Value::Previous => stack?.parameters.get(name).cloned(),
    };
    if let Some(problem) = preflight::sign_in_problem(context, value).filter(|_| !proof.no_smoke) {
        return Err(problem.into());
    }
    let hidden = inputs.hidden();
    if !hidden.is_empty() {
        ui.warn(&format!("secret parameters keep the values that the stack has now: {}", hidden.join(", ")));
    }
    let step = format!("go back to release {} of {}: {image}", target.number, target.at);
    ui.line(&ui.shown(&step));
    if let Some(words) = model::one_off::command(&template, &context.deployment.service.before_release) {
        ui.warn(&format!(
            "before_release is `{}`: a rollback does not run it, and turns no migration back",
            words.join(" ")
        ));
    }
    if *dry_run {
        let steps: Vec<String> = bucket::upload_step(&ready.session, &template).into_iter().chain([step]).collect();
        ui.result(&steps.join("\n"));
        ui.note(|report| report.plan = Some(steps));
        return Ok(());
    }
    let release = ReleaseOptions {
        proof,
        doing: format!("rollback to release {}", target.number),
        commit: target.commit.clone(),
        back_to: Some(target.origin()),
        before: &[],
        keep_failed: true,
    };
    let source = ParameterSource::Recorded(inputs.values());
    let mut operation = Operation {
        session: &ready.session,
        desired: Desired::new(environment, Some(image), template, source, stack),
        conduct,
        question,
        planned: false,
        release: Some(release),
    };
    operation.run(&ready.observed).await.map(drop)
}

/// The release to go back to.
fn choose<'a>(
    records: &'a [Record],
    number: Option<i64>,
    stack: Option<&'a Stack>,
    environment: &Environment,
) -> Result<&'a Record, Failure> {
    let status = format!("cargo xtask status {} shows the releases one can go back to", environment.name);
    let fail = |reason: String| {
        Failure::new(Exit::Failed, FailureKind::NoRelease, "there is no such release to go back to")
            .resource(format!("stack {}", environment.stack))
            .reason(reason)
            .hint(&status)
    };
    let Some(number) = number else {
        let earlier = history::rollback_targets(records, StackState::of(environment, stack));
        return earlier
            .first()
            .copied()
            .ok_or_else(|| fail("no good release came before the one that runs".to_owned()));
    };
    match records.iter().find(|record| record.number == number) {
        Some(record) if record.outcome == Outcome::Succeeded => Ok(record),
        Some(record) => Err(fail(format!("release {number} did not succeed: it is {:?}", record.outcome))),
        None => Err(fail(format!("release {number} is not remembered"))),
    }
}
