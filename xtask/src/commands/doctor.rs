//! `doctor`: everything that a release needs, looked at without changing anything.

use std::process::Stdio;

use anyhow::Result;
use config::deployment::Environment;
use tokio::process::Command;

use crate::context::Context;
use crate::docker;
use crate::outcome::{self, Failure};
use crate::plan::Platform;
use crate::preflight;
use crate::report::Check;
use crate::rollout::{self, Seen};
use crate::status::{self, Answer};
use crate::template::CONTAINER_URI;
use crate::ui::{Paint, Ui};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    context.report(|report| report.environment = Some(environment.name.clone()));
    let (engine, account) = tokio::join!(docker::connect(&context.vars), preflight::account(context, environment));
    let clients = account.as_ref().ok().map(|(clients, _)| clients.clone());
    let found = async {
        let clients = clients.as_ref()?;
        Some(rollout::look(clients, environment).await.map_err(|error| Failure::of(&error)))
    };
    let found = found.await;
    let known = found.as_ref().and_then(|found| found.as_ref().ok()).and_then(|seen| seen.stack.as_ref());
    let mut findings = vec![("docker", engine.map(|engine| format!("version {} at {}", engine.version, engine.host)))];
    let template = match context.other_template(environment) {
        Ok(template) if !template.declares(CONTAINER_URI) => {
            findings.push(("template", Ok(format!("{}, runs no image: deploy without --image", template.path))));
            let problems = preflight::misplaced_parameters(environment, &template);
            findings.push(("parameters", none_of(&problems, "the template has every one")));
            None
        }
        _ => Some(context.template(environment)),
    };
    match template {
        Some(Ok(template)) => {
            findings.push(("template", Ok(format!("{}, {} bytes", template.path, template.body.len()))));
            let problems = preflight::parameter_problems(context, environment, &template, known);
            findings.push(("parameters", none_of(&problems, "every one has a value")));
            if let Some(problem) = preflight::smoke_url_problem(environment, &template, None) {
                findings.push(("smoke url", Err(problem)));
            }
            // Which platform is wanted, only the template tells.
            match preflight::platform(environment, &template) {
                Ok(platform) => findings.push(("target", target(platform, context).await)),
                Err(failure) => findings.push(("target", Err(failure))),
            }
        }
        Some(Err(failure)) => findings.push(("template", Err(failure))),
        None => {}
    }
    findings.push(("account", account.map(|(_, identity)| preflight::describe(&identity, environment))));
    if let Some(found) = found {
        findings.push(("stack", found.and_then(|seen| stack(&seen, environment))));
    }
    let mut problems = Vec::new();
    let mut checks = Vec::new();
    for (name, finding) in findings {
        checks.push(check(name, &finding));
        problems.extend(finding.err());
    }
    show(&checks, ui);
    context.report(|report| report.checks = Some(checks));
    if problems.is_empty() { Ok(()) } else { Err(outcome::preflight(&problems).into()) }
}

/// Shows what was looked at, a line each.
pub(super) fn show(checks: &[Check], ui: &Ui) {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default().max(11);
    for check in checks {
        let mark = if check.ok { ui.paint_result(Paint::Green, "ok") } else { ui.paint_result(Paint::Red, "!!") };
        ui.result(&format!("{mark} {:<width$} {}", check.name, check.detail));
    }
}

/// What was found, as a line of the result.
pub(super) fn check(name: &'static str, finding: &Result<String, Failure>) -> Check {
    match finding {
        Ok(detail) => Check { name, ok: true, detail: detail.clone(), hint: None },
        Err(failure) => {
            let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Check { name, ok: false, detail: format!("{failure}{reason}"), hint: failure.hint.clone() }
        }
    }
}

fn none_of(problems: &[Failure], otherwise: &str) -> Result<String, Failure> {
    if problems.is_empty() { Ok(otherwise.to_owned()) } else { Err(outcome::preflight(problems)) }
}

/// Whether a release could be deployed into the stack as it is.
fn stack(seen: &Seen, environment: &Environment) -> Result<String, Failure> {
    let name = &environment.stack;
    let status = seen.stack.as_ref().map(|stack| stack.status.as_str());
    let state = status.unwrap_or_default();
    let held = seen.remembered.lock.as_ref().filter(|held| held.lives());
    let held = held.map(|held| format!("; held by {}", held.holder)).unwrap_or_default();
    match status::answer(status) {
        Answer::Create => Ok(format!("{name} will be created{held}")),
        Answer::Update => Ok(format!("{name} is {state}{held}")),
        Answer::Wait => Ok(format!("{name} is {state}; a release waits for its end{held}")),
        Answer::Recreate => Ok(format!("{name} is {state}; a release asks to delete it and create it again")),
        Answer::Refuse(refusal) => {
            let message = format!("stack {name} is {state}; nothing can be deployed into it");
            let hint = refusal.hint(name, &environment.name, &environment.region);
            Err(Failure::new(outcome::Exit::Preflight, "stack-state", message).hint(hint))
        }
    }
}

/// Whether this machine can compile for the image's platform, or leaves that to the engine.
async fn target(platform: Platform, context: &Context) -> Result<String, Failure> {
    if !platform.is_host() {
        return Ok("the engine compiles, in the stage `builder` of docker/Dockerfile".to_owned());
    }
    let fail = |reason: String, hint: String| {
        Failure::new(outcome::Exit::Preflight, "target", "this machine cannot compile the service")
            .resource(platform.triple())
            .reason(reason)
            .hint(hint)
    };
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", platform.triple()])
        .current_dir(&context.root)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| fail(format!("rustc: {error}"), "install Rust: https://rustup.rs".to_owned()))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && std::path::Path::new(&folder).is_dir() {
        Ok(format!("{} is installed", platform.triple()))
    } else {
        Err(fail(
            "its standard library is not installed".to_owned(),
            format!("rustup target add {}", platform.triple()),
        ))
    }
}
