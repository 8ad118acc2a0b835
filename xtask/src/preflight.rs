//! What must hold before anything expensive is done; every problem is found in one go.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use config::deployment::Environment;
use config::similar;

use crate::container_secrets;
use crate::context::Context;
use crate::engine::bucket;
use crate::engine::observe::{Observed, base, observe};
use crate::session::Session;
use crate::sign_in;
use aws::journal::lock;
use image::docker::{self, Engine};
use local::cli::Proof;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::parameters as plan;
use model::parameters::{Platform, RefusedValue};
use model::reference::ImageReference;
use model::stack::Stack;
use model::template::evaluate::Pseudo;
use model::template::{Template, unwatchable};

/// Credentials that end sooner are warned of: a release may lose them half-way. Many kinds are renewed by themselves,
/// so it is no more than a warning.
pub(crate) const SHORT_CREDENTIALS: Duration = Duration::from_secs(15 * 60);

/// Seconds that a release takes at least where nothing is known of earlier ones.
const SHORTEST_RELEASE: f64 = 60.0;

/// What a release needs, checked.
pub(crate) struct Ready<'a> {
    /// Needed to build and push; an image that the registry has can be released without.
    pub(crate) engine: Result<Engine, Failure>,
    pub(crate) session: Session<'a>,
    pub(crate) template: Template,
    pub(crate) platform: Platform,
    /// Stack and journal as they were found.
    pub(crate) observed: Observed,
}

/// What is checked.
pub(crate) struct Check<'a> {
    pub(crate) context: &'a Context,
    pub(crate) environment: &'a Environment,
    pub(crate) proof: &'a Proof,
    /// Whether to wait for the environment lock.
    pub(crate) wait: bool,
    /// Whether a Docker engine may be needed.
    pub(crate) engine: bool,
    /// Whether the template of the work tree is what is deployed.
    pub(crate) own_template: bool,
}

/// Checks an environment before its needs are changed, as far as that goes without their outputs and the Docker engine.
///
/// # Errors
/// As for [`check`].
pub(crate) async fn check_ahead(
    context: &Context,
    environment: &Environment,
    proof: &Proof,
    wait: bool,
    ui: &Ui,
) -> Result<()> {
    let all = Check { context, environment, proof, wait, engine: false, own_template: true };
    check(all, async |_, _| Ok(()), ui).await.map(drop)
}

/// Checks everything for a change of an environment, and reads its state at AWS meanwhile; `also` reads what else is needed.
///
/// # Errors
/// One failure that lists all problems; an environment that is locked; or a refused or lost call.
pub(crate) async fn check<'a, T>(
    check: Check<'a>,
    also: impl AsyncFnOnce(&Session<'a>, &Template) -> Result<T>,
    ui: &'a Ui,
) -> Result<(Ready<'a>, T)> {
    let Check { context, environment, proof, wait, engine, own_template } = check;
    let phase = ui.phase("preflight");
    let connect = async {
        if !engine {
            return Err(no_engine());
        }
        let _wait = ui.waiting("the Docker engine's version");
        docker::connect(&context.vars).await
    };
    phase.doing("AWS, which account the credentials are of");
    let (connected, account) = tokio::join!(connect, Session::open(context, environment, ui));
    let template = context.template(environment);
    let platform = template.as_ref().ok().map(|template| platform(environment, template));
    let mut problems = Vec::new();
    if let Some(template) = template.as_ref().ok().filter(|_| own_template) {
        problems.extend(misplaced_parameters(environment, template));
        if !proof.no_smoke {
            problems.extend(smoke_url_problem(environment, template, proof.smoke_url.as_deref()));
        }
        if account.is_err() {
            problems.extend(missing_parameters(context, environment, template, None));
            problems.extend(value_problems(context, environment, template, None));
        }
    }
    if engine && account.is_err() {
        // Whether it is needed cannot be found out, so it is reported with the rest.
        problems.extend(connected.as_ref().err().cloned());
    }
    let (account, template) = (note(account, &mut problems), note(template, &mut problems));
    let platform = platform.and_then(|platform| note(platform, &mut problems));
    let (Some(session), Some(template), Some(platform)) = (account, template, platform) else {
        return Err(outcome::preflight(&problems).into());
    };
    if own_template && !environment.secrets.is_empty() {
        phase.doing("the secrets at AWS");
    }
    let sent = if own_template { container_secrets::as_sent(&session, &template).await } else { Ok(template.clone()) };
    let template = sent.unwrap_or_else(|found| {
        problems.extend(found);
        template
    });
    phase.doing("the stack, its releases and its lock at AWS, and the image in the registry");
    let bucket = async {
        let found = if own_template { bucket::check_bucket(&session, &template).await } else { Ok(None) };
        Ok(found.map_err(|error| Failure::of(&error)))
    };
    let (seen, also, bucket) =
        tokio::try_join!(observe(&session.clients, environment), also(&session, &template), bucket)?;
    problems.extend(bucket.err());
    if own_template {
        let stack = base(seen.stack.as_ref());
        problems.extend(missing_parameters(context, environment, &template, stack));
        let at_aws = AtAws { stack, account: Some(&session.identity.account) };
        problems.extend(value_problems(context, environment, &template, Some(at_aws)));
        let value = |name: &str| plan::value(environment, &template, stack.map(|stack| &stack.parameters), name);
        problems.extend(sign_in_problem(context, value).filter(|_| !proof.no_smoke));
        problems.extend(watch_problem(environment, &template, stack));
    }
    problems.extend(short_lived(&session, &seen));
    if !problems.is_empty() {
        return Err(outcome::preflight(&problems).into());
    }
    if let Some(held) = seen.remembered.lock.as_ref().filter(|held| held.is_alive() && !wait) {
        return Err(lock::refusal(environment, held).into());
    }
    phase.done(&session.describe());
    connected.iter().flat_map(|engine| &engine.warnings).for_each(|warning| ui.warn(warning));
    if own_template {
        repeated_keys(&template).for_each(|repeated| ui.warn(&repeated));
    }
    if let Some(left) = session.time_left().filter(|left| *left < SHORT_CREDENTIALS) {
        ui.warn(&format!("the AWS credentials end in {} s, unless they are renewed by themselves", left.as_secs()));
    }
    Ok((Ready { session, engine: connected, template, platform, observed: seen }, also))
}

/// Credentials that are not renewed and expire before a release like the last ones would end.
pub(crate) fn short_lived(session: &Session<'_>, seen: &Observed) -> Option<Failure> {
    let left = session.time_left().filter(|_| session.identity.fixed)?;
    let kind = if seen.settled().is_some() { "update" } else { "create" };
    let expected = seen.remembered.eta(kind).map_or(0.0, |eta| eta.typical_seconds).max(SHORTEST_RELEASE);
    (left.as_secs_f64() < expected).then(|| {
        Failure::new(Exit::Preflight, FailureKind::Credentials, "the AWS credentials end before the release would")
            .resource(&session.identity.arn)
            .reason(format!("they end in {} s, and it may take {expected:.0} s", left.as_secs()))
            .hint("get new ones, for example: aws sso login, then aws configure export-credentials --format env")
    })
}

fn no_engine() -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Docker, "this command does not use a Docker engine")
}

fn note<T>(result: Result<T, Failure>, problems: &mut Vec<Failure>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// What AWS shows of an environment.
#[derive(Clone, Copy)]
pub(crate) struct AtAws<'a> {
    /// The stack that a change would start from.
    pub(crate) stack: Option<&'a Stack>,
    pub(crate) account: Option<&'a str>,
}

/// What is wrong with the parameters of deploy.toml. A value that an existing stack has need not stand there.
pub(crate) fn parameter_problems(
    context: &Context,
    environment: &Environment,
    template: &Template,
    at_aws: Option<AtAws<'_>>,
) -> Vec<Failure> {
    let mut problems = misplaced_parameters(environment, template);
    problems.extend(missing_parameters(context, environment, template, at_aws.and_then(|seen| seen.stack)));
    problems.extend(value_problems(context, environment, template, at_aws));
    problems
}

pub(crate) fn misplaced_parameters(environment: &Environment, template: &Template) -> Vec<Failure> {
    let file = &environment.template;
    let problem = |name: String| {
        let problem = parameter_problem(environment, &name);
        if template.declares(&name) {
            return problem.reason("the tool sets it by itself").hint("remove it from deploy.toml");
        }
        let problem = problem.reason(format!("{file} does not declare it"));
        match similar(&name, template.parameters.keys().map(String::as_str)) {
            Some(similar) => problem.hint(format!("did you mean {similar}? Otherwise remove it from deploy.toml")),
            None => problem.hint("remove it from deploy.toml"),
        }
    };
    plan::misplaced_parameters(template, environment).into_iter().map(problem).collect()
}

/// Values that CloudFormation would refuse. Where nothing was read from AWS, only those of deploy.toml are judged, each by
/// itself: the stack may have the others.
pub(crate) fn value_problems(
    context: &Context,
    environment: &Environment,
    template: &Template,
    at_aws: Option<AtAws<'_>>,
) -> Vec<Failure> {
    let stack = at_aws.and_then(|seen| seen.stack);
    let previous = stack.map(Stack::parameter_names).unwrap_or_default();
    let sent = plan::foreseen(template, &context.deployment.service, environment, &previous);
    let account = at_aws.and_then(|seen| seen.account);
    let known = Pseudo { region: &environment.region, account, stack: Some(&environment.stack) };
    let is_given = |refusal: &RefusedValue| match refusal {
        RefusedValue::Parameter { name, .. } => plan::setting(environment, name).is_some(),
        RefusedValue::Rule { .. } | RefusedValue::TaskSize { .. } => false,
    };
    let image = &environment.image_parameter;
    let refusals = plan::refusals(template, image, &sent, stack.map(|stack| &stack.parameters), known);
    let refusals = refusals.into_iter().filter(|refusal| at_aws.is_some() || is_given(refusal));
    refusals.map(|refusal| value_problem(environment, template, stack, refusal)).collect()
}

/// An image whose name the template does not accept.
pub(crate) fn image_problem(environment: &Environment, template: &Template, image: &ImageReference) -> Option<Failure> {
    let parameter = &environment.image_parameter;
    let sent = BTreeMap::from([(parameter.clone(), plan::Value::Is(image.to_string()))]);
    let refusals = plan::refusals(template, parameter, &sent, None, environment.region.as_str());
    refusals.into_iter().find_map(|refusal| match refusal {
        RefusedValue::Parameter { name, reason } if name == *parameter => Some(
            Failure::new(Exit::Preflight, FailureKind::Image, "the template does not accept this image")
                .resource(image.to_string())
                .reason(reason)
                .hint(format!("name another image, or change the parameter {parameter} of {}", template.path)),
        ),
        _ => None,
    })
}

fn value_problem(
    environment: &Environment,
    template: &Template,
    stack: Option<&Stack>,
    refusal: RefusedValue,
) -> Failure {
    let fail = |message: String| Failure::new(Exit::Preflight, FailureKind::Parameters, message);
    let section = format!("environments.{}.parameters", environment.section());
    match refusal {
        RefusedValue::Parameter { name, reason } => {
            let problem = parameter_problem(environment, &name).reason(reason);
            if let Some(setting) = plan::setting(environment, &name) {
                return problem.resource(setting).hint("change it in deploy.toml");
            }
            let is_kept = stack.is_some_and(|stack| stack.parameters.contains_key(&name));
            let of = if is_kept { "the value that the stack has" } else { "the default" };
            let resource = format!("{of}, in {}", if is_kept { &environment.stack } else { &template.path });
            problem.resource(resource).hint(format!("add {name} = \"…\" to [{section}]"))
        }
        RefusedValue::Rule { name, description } => fail(format!("the parameters break the template's rule {name}"))
            .resource(section)
            .reason(description.unwrap_or_else(|| format!("an assertion of it in {} does not hold", template.path)))
            .hint("change them in deploy.toml"),
        RefusedValue::TaskSize { logical_id, reason } => fail(format!("Fargate does not run tasks of {logical_id}"))
            .resource(section)
            .reason(reason)
            .place(template.place(&logical_id))
            .hint("change the parameters for CPU and memory in deploy.toml"),
    }
}

/// Keys that the template has twice, as warnings.
pub(crate) fn repeated_keys(template: &Template) -> impl Iterator<Item = String> {
    template.document.repeated.iter().map(|repeated| format!("{}: {repeated}", template.path))
}

fn missing_parameters(
    context: &Context,
    environment: &Environment,
    template: &Template,
    stack: Option<&Stack>,
) -> Vec<Failure> {
    let kept = stack.map(Stack::parameter_names).unwrap_or_default();
    let missing = plan::missing_parameters(template, &context.deployment.service, environment).into_iter();
    missing.filter(|name| !kept.contains(name)).map(|name| missing_parameter(environment, &name)).collect()
}

/// A parameter that has no value.
pub(crate) fn missing_parameter(environment: &Environment, name: &str) -> Failure {
    parameter_problem(environment, name)
        .reason(format!("{} has no default for it, and the stack no value", environment.template))
        .hint(format!("add {name} = \"…\" to [environments.{}.parameters]", environment.section()))
}

fn parameter_problem(environment: &Environment, name: &str) -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Parameters, format!("parameter {name} cannot be used"))
        .resource(format!("environments.{}.parameters", environment.section()))
}

/// Alarms that are to be watched while a deployment may pause. A stack that is created is not watched.
pub(crate) fn watch_problem(environment: &Environment, template: &Template, stack: Option<&Stack>) -> Option<Failure> {
    let previous = Some(&stack?.parameters);
    let value = |name: &String| Some((name.clone(), plan::value(environment, template, previous, name)?));
    unwatchable(template, environment, &template.parameters.keys().filter_map(value).collect())
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
        Failure::new(
            Exit::Preflight,
            FailureKind::SmokeUrl,
            format!("the smoke URL names an output {name} that does not exist"),
        )
        .resource(pattern)
        .reason(format!("{} has {}", template.path, template.outputs.iter().cloned().collect::<Vec<_>>().join(", ")))
        .hint("fix smoke_url in deploy.toml, or --smoke-url"),
    )
}

/// An API that will ask for tokens of users who are not this tool's to make; `value` is what a parameter will be.
pub(crate) fn sign_in_problem(context: &Context, value: impl Fn(&str) -> Option<String>) -> Option<Failure> {
    let given = |name: &str| value(name).filter(|value| !value.is_empty());
    let foreign = given("Authorizer").is_some_and(|kind| kind == "COGNITO") && given("UserPoolArn").is_some();
    (foreign && context.smoke_token().is_none()).then(|| sign_in::no_user(given("AuthorizationScopes").as_deref()))
}

/// The platform of the environment's image.
///
/// # Errors
/// An `Architecture` that no image is built for.
pub(crate) fn platform(environment: &Environment, template: &Template) -> Result<Platform, Failure> {
    plan::platform(environment, template).map_err(|architecture| {
        Failure::new(Exit::Preflight, FailureKind::Platform, format!("no image can be built for {architecture}"))
            .resource(format!("environments.{}.parameters.Architecture", environment.section()))
            .hint("use x86_64 or arm64")
    })
}
