//! What deploy.toml gives the container of an environment, and the template with it.

use std::path::Path;

use config::deployment::{Environment, Service};
use model::container::{self, Additions, VariableChange};
use model::outcome::{Exit, Failure, FailureKind};
use model::template::Template;
use serde_json::Value;

/// What the work tree gives the container of an environment. What AWS knows of the secrets is not in it yet.
///
/// # Errors
/// Permissions that cannot be read.
pub(crate) fn additions(
    root: &Path,
    service: &Service,
    environment: &Environment,
    template: &Template,
) -> Result<Additions, Failure> {
    // What runs no image has no command before it.
    let before = if template.runs_image(environment) { &service.before_release[..] } else { &[] };
    Ok(Additions::of(environment, permissions(root, environment)?, before))
}

/// What the text changes for its container, given the text that is deployed.
pub(crate) fn changes(deployed: Option<&str>, sent: &str) -> Vec<VariableChange> {
    let before = deployed.map(container::read).unwrap_or_default();
    container::changes(&before, &container::read(sent))
}

/// The template with these additions.
///
/// # Errors
/// Additions that the template cannot take.
pub(crate) fn added(
    environment: &Environment,
    template: &Template,
    additions: &Additions,
) -> Result<Template, Failure> {
    template.with_container(additions).map_err(|problem| {
        Failure::new(Exit::Preflight, FailureKind::Template, "what the container gets cannot be added to the template")
            .resource(format!("environments.{}.{}", environment.section(), problem.setting))
            .reason(problem.reason)
            .hint(problem.hint)
    })
}

/// The statements of the file that `permissions` names.
///
/// # Errors
/// A file that cannot be read, or every statement of it that cannot be used.
pub(crate) fn permissions(root: &Path, environment: &Environment) -> Result<Vec<Value>, Failure> {
    let Some(path) = &environment.permissions else { return Ok(Vec::new()) };
    let fail = |reason: String| {
        Failure::new(Exit::Preflight, FailureKind::Template, "the service's permissions cannot be used")
            .resource(format!("{path}, environments.{}.permissions", environment.section()))
            .reason(reason)
            .hint("it is a JSON list of {\"Effect\", \"Action\", \"Resource\"}: infra/README.md has an example")
    };
    let text = std::fs::read_to_string(root.join(path)).map_err(|error| fail(error.to_string()))?;
    container::read_permissions(&text).map_err(|refused| {
        let lines: Vec<String> = refused.iter().map(|one| format!("{} {}", one.place, one.reason)).collect();
        fail(lines.join("\n"))
    })
}
