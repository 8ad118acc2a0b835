//! What must hold before anything expensive is done; every problem is found in one go.

use std::time::{Duration, SystemTime};

use config::deployment::Environment;

use crate::aws::{self, Clients, Identity};
use crate::cli::Proof;
use crate::context::Context;
use crate::docker::{self, Engine};
use crate::outcome::{self, Exit, Failure};
use crate::plan::{self, Platform};
use crate::stack;
use crate::template::Template;
use crate::ui::Ui;

/// Credentials that end sooner are warned of: a release may lose them half-way. Many kinds are renewed by themselves,
/// so it is no more than a warning.
const SHORT_CREDENTIALS: Duration = Duration::from_secs(15 * 60);

/// What a release needs, checked.
pub(crate) struct Ready {
    pub(crate) engine: Option<Engine>,
    pub(crate) clients: Clients,
    pub(crate) template: Template,
    pub(crate) platform: Platform,
}

/// Checks everything for a change of `environment`, with or without an engine.
///
/// # Errors
/// One failure that lists all problems.
pub(crate) async fn check(
    context: &Context,
    environment: &Environment,
    proof: &Proof,
    needs_engine: bool,
    ui: &Ui,
) -> Result<Ready, Failure> {
    let phase = ui.phase("preflight");
    let engine = async { if needs_engine { docker::connect(&context.vars).await.map(Some) } else { Ok(None) } };
    let (engine, account) = tokio::join!(engine, account(context, environment));
    let template = context.template(environment);
    let mut problems = Vec::new();
    if let Ok(template) = &template {
        let clients = account.as_ref().ok().map(|(clients, _)| clients);
        problems.extend(parameter_problems(context, environment, template, clients).await);
        if !proof.no_smoke {
            problems.extend(smoke_url_problem(environment, template, proof.smoke_url.as_deref()));
        }
    }
    let platform = template.as_ref().ok().map(|template| platform(environment, template));
    let (engine, account, template) =
        (note(engine, &mut problems), note(account, &mut problems), note(template, &mut problems));
    let platform = platform.and_then(|platform| note(platform, &mut problems));
    match (engine, account, template, platform) {
        (Some(engine), Some((clients, identity)), Some(template), Some(platform)) if problems.is_empty() => {
            phase.done(&describe(&identity, environment));
            if let Some(left) = time_left(&identity).filter(|left| *left < SHORT_CREDENTIALS) {
                ui.warn(&format!(
                    "the AWS credentials end in {} s, unless they are renewed by themselves",
                    left.as_secs()
                ));
            }
            Ok(Ready { engine, clients, template, platform })
        }
        _ => Err(outcome::preflight(&problems)),
    }
}

fn note<T>(result: Result<T, Failure>, problems: &mut Vec<Failure>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// Clients, and a caller that may be used for `environment`.
///
/// # Errors
/// No or ended credentials, or another account than the environment allows.
pub(crate) async fn account(context: &Context, environment: &Environment) -> Result<(Clients, Identity), Failure> {
    let clients = aws::clients(environment, &context.vars).await.map_err(|error| Failure::of(&error))?;
    let identity = aws::identity(&clients, &context.vars).await?;
    if let Some(allowed) = environment.account.as_ref().filter(|allowed| **allowed != identity.account) {
        return Err(Failure::new(Exit::Preflight, "account", "this is not the environment's account")
            .resource(format!("environment {}", environment.name))
            .reason(format!("deploy.toml allows {allowed}; {} is in {}", identity.arn, identity.account))
            .hint("choose the right AWS_PROFILE"));
    }
    Ok((clients, identity))
}

fn time_left(identity: &Identity) -> Option<Duration> {
    identity.expiry.map(|expiry| expiry.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Account, caller, region and how long the credentials last, in one line.
pub(crate) fn describe(identity: &Identity, environment: &Environment) -> String {
    let left = match time_left(identity) {
        Some(left) => format!("credentials for {} min", left.as_secs() / 60),
        None if identity.temporary => "credentials whose end is not known".to_owned(),
        None => "credentials without an end".to_owned(),
    };
    format!("account {} in {}, {}, {left}", identity.account, environment.region, identity.arn)
}

/// What is wrong with the parameters of deploy.toml. A value that an existing stack has need not stand there.
pub(crate) async fn parameter_problems(
    context: &Context,
    environment: &Environment,
    template: &Template,
    clients: Option<&Clients>,
) -> Vec<Failure> {
    let file = &environment.template;
    let problem = |name: String, reason: String, hint: String| {
        Failure::new(Exit::Preflight, "parameters", format!("parameter {name} cannot be used"))
            .resource(format!("environments.{}.parameters", environment.name))
            .reason(reason)
            .hint(hint)
    };
    let misplaced = plan::misplaced_parameters(template, environment).into_iter().map(|name| {
        let reason = if template.declares(&name) {
            "the tool sets it to the released image".to_owned()
        } else {
            format!("{file} does not declare it")
        };
        problem(name, reason, "remove it from deploy.toml".to_owned())
    });
    let mut missing = plan::missing_parameters(template, &context.deployment.service, environment);
    if let Some(clients) = clients.filter(|_| !missing.is_empty()) {
        // A stack that cannot be read now is asked again, and complained of, when it is deployed to.
        let stack = stack::describe(&clients.cloudformation, &environment.stack).await.ok().flatten();
        let kept = stack.map(|stack| stack.parameter_names()).unwrap_or_default();
        missing.retain(|name| !kept.contains(name));
    }
    let missing = missing.into_iter().map(|name| {
        let hint = format!("add {name} = \"…\" to [environments.{}.parameters]", environment.name);
        problem(name, format!("{file} has no default for it, and the stack no value"), hint)
    });
    misplaced.chain(missing).collect()
}

/// A smoke URL that names outputs which the template does not have would be noticed after the stack has changed.
pub(crate) fn smoke_url_problem(
    environment: &Environment,
    template: &Template,
    given: Option<&str>,
) -> Option<Failure> {
    let pattern = given.or(environment.smoke_url.as_deref())?;
    let any = template.outputs.iter().map(|name| (name.clone(), String::new())).collect();
    let name = plan::fill_outputs(pattern, &any).err()?;
    Some(
        Failure::new(Exit::Preflight, "smoke-url", format!("the smoke URL names an output {name} that there is not"))
            .resource(pattern)
            .reason(format!(
                "{} has {}",
                template.path,
                template.outputs.iter().cloned().collect::<Vec<_>>().join(", ")
            ))
            .hint("mend smoke_url in deploy.toml, or --smoke-url"),
    )
}

/// The platform of the environment's image.
///
/// # Errors
/// An `Architecture` that no image is built for.
pub(crate) fn platform(environment: &Environment, template: &Template) -> Result<Platform, Failure> {
    plan::platform(environment, template).map_err(|architecture| {
        Failure::new(Exit::Preflight, "platform", format!("no image can be built for {architecture}"))
            .resource(format!("environments.{}.parameters.Architecture", environment.name))
            .hint("use x86_64 or arm64")
    })
}
