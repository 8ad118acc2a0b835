//! `doctor`: everything that a release needs, looked at without changing anything.

use std::process::Stdio;

use anyhow::Result;
use config::deployment::Environment;
use tokio::process::Command;

use crate::context::Context;
use crate::docker;
use crate::outcome::{self, Failure};
use crate::plan::{self, Platform};
use crate::preflight;
use crate::report::Check;
use crate::ui::{Paint, Ui};

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    context.report(|report| report.environment = Some(environment.name.clone()));
    let template = context.template(environment);
    let platform = template.as_ref().ok().and_then(|template| plan::platform(environment, template).ok());
    let (engine, target, account) =
        tokio::join!(docker::connect(&context.vars), target(platform, context), account(context, environment));
    let engine = engine.map(|engine| format!("version {} at {}", engine.version, engine.host));
    let parameters = template.as_ref().ok().map(|template| {
        match preflight::parameter_problems(context, environment, template).as_slice() {
            [] => Ok("every one has a value".to_owned()),
            problems => Err(outcome::preflight(problems)),
        }
    });
    let template = template.map(|template| format!("{}, {} bytes", template.path, template.body.len()));
    let mut findings = vec![("docker", engine), ("target", target), ("template", template)];
    findings.extend(parameters.map(|parameters| ("parameters", parameters)));
    findings.push(("account", account));
    let mut problems = Vec::new();
    let mut checks = Vec::new();
    for (name, finding) in findings {
        checks.push(check(name, &finding));
        problems.extend(finding.err());
    }
    for check in &checks {
        let mark = if check.ok { ui.paint(Paint::Green, "ok") } else { ui.paint(Paint::Red, "!!") };
        ui.result(&format!("{mark} {:<11} {}", check.name, check.detail));
    }
    context.report(|report| report.checks = Some(checks));
    if problems.is_empty() { Ok(()) } else { Err(outcome::preflight(&problems).into()) }
}

fn check(name: &'static str, finding: &Result<String, Failure>) -> Check {
    match finding {
        Ok(detail) => Check { name, ok: true, detail: detail.clone(), hint: None },
        Err(failure) => {
            let reason = failure.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Check { name, ok: false, detail: format!("{failure}{reason}"), hint: failure.hint.clone() }
        }
    }
}

async fn account(context: &Context, environment: &Environment) -> Result<String, Failure> {
    let (_, identity) = preflight::account(context, environment).await?;
    Ok(preflight::describe(&identity, environment))
}

/// Whether this machine can compile for the image's platform, or leaves that to the engine.
async fn target(platform: Option<Platform>, context: &Context) -> Result<String, Failure> {
    let Some(platform) = platform.filter(|platform| platform.is_host()) else {
        return Ok("the engine compiles, in the stage `builder` of docker/Dockerfile".to_owned());
    };
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
