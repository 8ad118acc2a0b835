//! What an environment builds on: its needs are brought up to date before it, and their outputs go into its settings.
//!
//! A need is deployed as `deploy` does it, with its own plan and question. One whose template runs an image is used as it
//! is, since nothing says which image it should run.

use std::collections::BTreeMap;

use anyhow::Result;
use aws::stack;
use config::deployment::{Environment, Reference, Setting};
use config::suggestion;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::record::Change;
use model::report::Need;
use model::stack::Stack;
use model::template::Template;

use crate::context::Context;
use crate::engine::observe::{base, existing};
use crate::engine::{Operation, consent};
use crate::preflight;
use crate::session::Session;
use crate::without_image::{self, Prepared};
use local::cli::Conduct;
use local::ui::Ui;

/// The stacks of needs that can be built on, by environment.
type Stacks = BTreeMap<String, Stack>;

/// What is known of an environment's needs without changing them.
pub(crate) struct Foresight {
    /// The environment with the outputs that there are in its settings.
    pub(crate) environment: Environment,
    /// What a release would do to its needs first, a line each.
    pub(crate) steps: Vec<String>,
    /// Outputs that are known only once these steps are done.
    pub(crate) open: Vec<Failure>,
}

impl Foresight {
    /// The environment, with every output that its settings name.
    ///
    /// # Errors
    /// Outputs that are not known yet.
    pub(crate) fn complete(self) -> Result<Environment> {
        if self.open.is_empty() { Ok(self.environment) } else { Err(outcome::preflight(&self.open).into()) }
    }
}

/// The needs that may be changed by a release of the environment: those that run no image, and whose
/// `execution_role` in deploy.toml is the environment's. Naming the same role is how a need agrees to that.
///
/// # Errors
/// The template of such a need cannot be read.
pub(crate) fn changed_needs<'a>(
    context: &'a Context,
    environment: &Environment,
) -> Result<Vec<&'a Environment>, Failure> {
    let role = environment.execution_role.as_ref();
    let mut changed = Vec::new();
    for need in context.deployment.needs_of(environment) {
        if role.is_some() && need.execution_role.as_ref() == role && !context.other_template(need)?.runs_image(need) {
            changed.push(need);
        }
    }
    Ok(changed)
}

/// Brings the needs of an environment up to date, or says what would be done; returns the environment with their outputs.
/// `None` after a dry run that can see no further. `own` checks the environment itself as far as that goes without these
/// outputs: what stops it anyway, such as another account's credentials, stops it before a need is changed.
///
/// # Errors
/// What the check finds, a need that cannot be brought up to date, by name, or an output that does not exist. Nothing of the environment itself
/// is changed then.
pub(crate) async fn bring_up_to_date(
    context: &Context,
    environment: &Environment,
    conduct: &Conduct,
    dry_run: bool,
    own: impl AsyncFnOnce() -> Result<()>,
    ui: &Ui,
) -> Result<Option<Environment>> {
    if dry_run {
        let Foresight { environment, mut steps, open } = foresee_needs(context, environment, ui).await?;
        if !open.is_empty() {
            let names: Vec<&str> = open.iter().filter_map(|open| open.resource.as_deref()).collect();
            steps.push(format!("then {}, which cannot be checked yet without {}", environment.name, names.join(", ")));
        }
        if !steps.is_empty() {
            ui.result(&steps.join("\n"));
            ui.note(|report| report.plan = Some(steps));
        }
        return Ok(Some(environment).filter(|_| open.is_empty()));
    }
    let needs = readable_needs(context, environment, true)?;
    if !needs.is_empty() {
        context.interrupt.or(own()).await?;
    }
    let mut stacks = Stacks::new();
    for (need, template) in needs {
        let done = bring(context, need, template, &stacks, conduct, ui).await;
        note_need(ui, need);
        let stack = done.map_err(|error| {
            let (need, environment) = (&need.name, &environment.name);
            Failure::of(&error).note(format!("{environment} needs {need}; nothing of {environment} was changed"))
        });
        stacks.insert(need.name.clone(), name_changed_needs(stack.map_err(Into::into), ui)?);
    }
    Ok(Some(name_changed_needs(filled(environment, &stacks), ui)?))
}

/// Reads the needs of an environment and what a release would do to them.
///
/// # Errors
/// A need that could not be brought up to date either, or an output that it will not have.
pub(crate) async fn foresee_needs(context: &Context, environment: &Environment, ui: &Ui) -> Result<Foresight> {
    context.interrupt.or(foresee_each(context, environment, ui)).await
}

async fn foresee_each(context: &Context, environment: &Environment, ui: &Ui) -> Result<Foresight> {
    let (mut stacks, mut steps) = (Stacks::new(), Vec::new());
    let mut late: Vec<&Environment> = Vec::new();
    for (need, template) in readable_needs(context, environment, false)? {
        let _wait = ui.waiting(format!("the stack of {}, which {} needs", need.name, environment.name));
        if template.runs_image(need) {
            stacks.insert(need.name.clone(), as_it_is(context, need, ui).await?);
            note_need(ui, need);
            continue;
        }
        let is_open = !unknown(need, &stacks, &late)?.is_empty();
        let (there, is_current) = if is_open {
            (found(context, need, ui).await?, false)
        } else {
            compared(context, &partly_filled(need, &stacks), template, ui).await?
        };
        let there = base(there.as_ref()).cloned();
        let change = match &there {
            Some(_) if is_current => Change::None,
            Some(_) => Change::Update,
            None => Change::Create,
        };
        ui.note(|report| report.change = Some(change));
        note_need(ui, need);
        if change != Change::None {
            let Environment { name, stack, template, .. } = need;
            steps.push(format!(
                "{} stack {stack} of {template}, for {name}, which {} needs",
                change.as_str(),
                environment.name
            ));
            late.push(need);
        }
        stacks.extend(there.map(|stack| (need.name.clone(), stack)));
    }
    let open = unknown(environment, &stacks, &late)?;
    Ok(Foresight { environment: partly_filled(environment, &stacks), steps, open })
}

/// The outputs that an environment's settings name and that come only with the change of a need.
///
/// # Errors
/// Outputs that do not come at all.
fn unknown(environment: &Environment, stacks: &Stacks, late: &[&Environment]) -> Result<Vec<Failure>> {
    let (mut open, mut wrong) = (Vec::new(), Vec::new());
    for (setting, reference) in environment.references() {
        let Err(failure) = output(environment, setting, &reference, stacks) else { continue };
        let is_late = late.iter().any(|need| need.name == reference.environment);
        if is_late { open.push(failure) } else { wrong.push(failure) }
    }
    if wrong.is_empty() { Ok(open) } else { Err(outcome::preflight(&wrong).into()) }
}

/// The stack of a need that runs no image, and whether it is current.
async fn compared(context: &Context, need: &Environment, template: Template, ui: &Ui) -> Result<(Option<Stack>, bool)> {
    let Prepared { session, desired, observed } = without_image::prepare(context, need, template, ui).await?;
    let conduct = Conduct::default();
    let operation =
        Operation { session: &session, desired, conduct: &conduct, question: None, planned: false, release: None };
    let is_current = operation.is_current(&observed).await?;
    Ok((observed.stack, is_current))
}

async fn found(context: &Context, need: &Environment, ui: &Ui) -> Result<Option<Stack>> {
    let session = Session::open(context, need, ui).await?;
    stack::describe(&session.clients.cloudformation, &need.stack).await
}

/// Adds to a failure which needs have been changed before it.
///
/// # Errors
/// The failure.
pub(crate) fn name_changed_needs<T>(result: Result<T>, ui: &Ui) -> Result<T> {
    result.map_err(|error| {
        let mut failure = Failure::of(&error);
        ui.note(|report| {
            let changed = report.needs.iter().filter(|need| need.change.is_some_and(|change| change != Change::None));
            let words = changed.map(|need| format!("stack {} of {} was changed before", need.stack, need.environment));
            failure.notes.extend(words.filter(|word| !failure.notes.contains(word)).collect::<Vec<_>>());
        });
        failure.into()
    })
}

/// The needs in order, each with its template; all of what is wrong with them in this work tree at once, and with the
/// environment itself where `and_own` says so.
fn readable_needs<'a>(
    context: &'a Context,
    environment: &Environment,
    and_own: bool,
) -> Result<Vec<(&'a Environment, Template)>> {
    let (mut needs, mut problems) = (Vec::new(), Vec::new());
    if and_own && !environment.needs.is_empty() {
        match context.other_template(environment) {
            Ok(template) => problems.extend(preflight::misplaced_parameters(environment, &template)),
            Err(failure) => problems.push(failure),
        }
    }
    for need in context.deployment.needs_of(environment) {
        match context.other_template(need) {
            Ok(template) => needs.push((need, template)),
            Err(failure) => problems.push(failure),
        }
    }
    for (own, template) in needs.iter().filter(|(need, template)| !template.runs_image(need)) {
        problems.extend(preflight::misplaced_parameters(own, template));
    }
    for one in needs.iter().map(|(need, _)| *need).chain([environment]) {
        for (setting, reference) in one.references() {
            let of = needs.iter().find(|(need, _)| need.name == reference.environment);
            // What a transform adds is not in the text; what runs an image is as it was deployed.
            let sure = of.filter(|(need, template)| !template.is_dynamic && !template.runs_image(need));
            if let Some((_, template)) = sure.filter(|(_, template)| !template.outputs.contains(reference.output)) {
                let outputs = template.outputs.iter().map(String::as_str).collect::<Vec<_>>();
                problems.push(no_output(one, setting, &reference, &template.path, &outputs));
            }
        }
    }
    if problems.is_empty() { Ok(needs) } else { Err(outcome::preflight(&problems).into()) }
}

/// Brings one need up to date.
async fn bring(
    context: &Context,
    need: &Environment,
    template: Template,
    stacks: &Stacks,
    conduct: &Conduct,
    ui: &Ui,
) -> Result<Stack> {
    let phase = ui.phase("need");
    phase.doing(&format!("the stack of {}", need.name));
    if template.runs_image(need) {
        let stack = context.interrupt.or(as_it_is(context, need, ui)).await?;
        phase.skipped(&format!("{}: stack {} runs an image and is used as it is", need.name, stack.name));
        return Ok(stack);
    }
    let own = filled(need, stacks)?;
    let prepared = without_image::prepare(context, &own, template, ui);
    let Prepared { session, desired, observed } = context.interrupt.or(prepared).await?;
    ui.detail(&format!("            {}", session.describe()));
    phase.done(&format!("{}: stack {}", need.name, own.stack));
    let question = consent::question(&own);
    let mut operation = Operation { session: &session, desired, conduct, question, planned: false, release: None };
    operation.run(&observed).await
}

/// The stack of a need that runs an image.
async fn as_it_is(context: &Context, need: &Environment, ui: &Ui) -> Result<Stack> {
    let found = found(context, need, ui).await?;
    let Some(stack) = existing(found.as_ref()) else {
        let state = found.map_or_else(|| "it does not exist".to_owned(), |stack| format!("it is {}", stack.status));
        return Err(Failure::new(Exit::Preflight, FailureKind::NoStack, "a stack that is needed cannot be built on")
            .resource(format!("stack {}", need.stack))
            .reason(format!("{state}, and which image it should run is not said"))
            .hint(format!("cargo xtask release {}", need.name))
            .into());
    };
    Ok(stack.clone())
}

/// Moves what the report says of a need to the list of needs.
fn note_need(ui: &Ui, need: &Environment) {
    ui.note(|report| {
        let entry = Need {
            environment: need.name.clone(),
            stack: need.stack.clone(),
            change: report.change.take(),
            changes: report.changes.take(),
            cost: report.cost.take(),
        };
        report.eta = None;
        report.needs.push(entry);
    });
}

/// The environment with the outputs that are known; other references stay as they are.
fn partly_filled(environment: &Environment, stacks: &Stacks) -> Environment {
    environment.with_outputs(|reference| stacks.get(reference.environment)?.outputs.get(reference.output).cloned())
}

/// The environment with the outputs that its settings name.
fn filled(environment: &Environment, stacks: &Stacks) -> Result<Environment> {
    let missing =
        |(setting, reference): (Setting<'_>, Reference<'_>)| output(environment, setting, &reference, stacks).err();
    let problems: Vec<Failure> = environment.references().filter_map(missing).collect();
    if problems.is_empty() { Ok(partly_filled(environment, stacks)) } else { Err(outcome::preflight(&problems).into()) }
}

/// The output that a setting names.
fn output<'a>(
    environment: &Environment,
    setting: Setting<'_>,
    reference: &Reference<'_>,
    stacks: &'a Stacks,
) -> Result<&'a str, Failure> {
    let Some(stack) = stacks.get(reference.environment) else {
        let other = reference.environment;
        return Err(open(environment, setting)
            .reason(format!("the stack of {other}, whose output {} it is, does not exist yet", reference.output))
            .hint(format!("cargo xtask deploy {other}")));
    };
    stack.outputs.get(reference.output).map(String::as_str).ok_or_else(|| {
        let outputs = stack.outputs.keys().map(String::as_str).collect::<Vec<_>>();
        no_output(environment, setting, reference, &format!("stack {}", stack.name), &outputs)
    })
}

fn no_output(
    environment: &Environment,
    setting: Setting<'_>,
    reference: &Reference<'_>,
    of: &str,
    outputs: &[&str],
) -> Failure {
    let name = reference.output;
    let meant = suggestion(name, outputs.iter().copied());
    let known = if outputs.is_empty() { "none".to_owned() } else { outputs.join(", ") };
    open(environment, setting)
        .reason(format!("{of} has no output {name}; it has {known}{meant}"))
        .hint(format!("fix {{{}.{name}}} in deploy.toml", reference.environment))
}

fn open(environment: &Environment, setting: Setting<'_>) -> Failure {
    let Setting { table, name, .. } = setting;
    let (kind, what) = match table {
        "env" => (FailureKind::Settings, "variable"),
        "secrets" => (FailureKind::Secrets, "secret"),
        _ => (FailureKind::Parameters, "parameter"),
    };
    Failure::new(Exit::Preflight, kind, format!("{what} {name} cannot be used"))
        .resource(format!("environments.{}.{table}.{name}", environment.section()))
}
