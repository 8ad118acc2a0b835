//! What deploy.toml gives the container of an environment: read from the work tree, completed by what AWS knows of the
//! secrets, and added to the template.

use aws::secrets::{self, Described};
use config::deployment::{Environment, SECRET_REFERENCE, SecretReference, references};
use futures_util::future::join_all;
use model::container::{self, Additions, VariableChange};
use model::outcome::{Exit, Failure, FailureKind};
use model::template::Template;
use serde_json::Value;

use crate::context::Context;
use crate::session::Session;

/// The template with what the work tree says of its container. What AWS knows of the secrets is not in it yet.
///
/// # Errors
/// Permissions that cannot be read, or additions that the template cannot take.
pub(crate) fn as_written(
    context: &Context,
    environment: &Environment,
    template: &Template,
) -> Result<Template, Failure> {
    let additions =
        Additions::of(environment, permissions(context, environment)?, before(context, environment, template));
    added(environment, template, &additions)
}

/// The template as it would be sent: with the secrets' versions, too, so that a new version is a change.
///
/// # Errors
/// Every secret that is not there, or whose reference cannot be used; a refused or lost call.
pub(crate) async fn as_sent(session: &Session<'_>, template: &Template) -> Result<Template, Vec<Failure>> {
    let Session { context, environment, .. } = session;
    let plain = Template::read(&template.path, template.file.clone()).expect("it was read before");
    let one = |failure| vec![failure];
    let permissions = permissions(context, environment).map_err(one)?;
    let mut additions = Additions::of(environment, permissions, before(context, environment, template));
    let asked =
        environment.secrets.iter().map(|(name, text)| async move { Ok((name, described(session, name, text).await?)) });
    let (mut problems, mut found) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(one) => found.push(one),
            Err(failure) => problems.push(failure),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for (name, Described { version, key, .. }) in found {
        if let Some(secret) = additions.secrets.get_mut(name) {
            (secret.version, secret.key) = (version, key);
        }
    }
    added(environment, &plain, &additions).map_err(one)
}

/// What AWS knows of a secret of deploy.toml.
///
/// # Errors
/// One that is not there, or whose reference cannot be used; a refused or lost call.
pub(crate) async fn described(session: &Session<'_>, name: &str, text: &str) -> Result<Described, Failure> {
    let Session { environment, clients, identity, .. } = session;
    let problem = |reason: String| secret_problem(environment, name).reason(reason);
    let Some(reference) = SecretReference::parse(text) else {
        let what = if references(text).next().is_some() { "is not known yet" } else { "is none" };
        return Err(problem(format!("its reference {what}; it has to be {SECRET_REFERENCE}")));
    };
    let found = secrets::describe(clients, &identity.account, &reference).await?;
    found.ok_or_else(|| {
        problem(format!("{reference} does not exist, or has no value")).hint(missing(environment, name, &reference))
    })
}

/// What the text changes for its container, given the text that is deployed.
pub(crate) fn changes(deployed: Option<&str>, sent: &str) -> Vec<VariableChange> {
    let before = deployed.map(container::read).unwrap_or_default();
    container::changes(&before, &container::read(sent))
}

/// A secret of an environment that cannot be used.
pub(crate) fn secret_problem(environment: &Environment, name: &str) -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Secrets, format!("secret {name} cannot be used"))
        .resource(format!("environments.{}.secrets.{name}", environment.section()))
}

/// What to do where a secret is not there.
fn missing(environment: &Environment, name: &str, reference: &SecretReference) -> String {
    match reference {
        SecretReference::Parameter(_) => format!("cargo xtask secret set {} {name}", environment.section()),
        SecretReference::Secret { .. } => {
            "store its value in Secrets Manager, or correct the reference in deploy.toml".to_owned()
        }
    }
}

fn added(environment: &Environment, template: &Template, additions: &Additions) -> Result<Template, Failure> {
    template.with_container(additions).map_err(|problem| {
        Failure::new(Exit::Preflight, FailureKind::Template, "what the container gets cannot be added to the template")
            .resource(format!("environments.{}.{}", environment.section(), problem.setting))
            .reason(problem.reason)
            .hint(problem.hint)
    })
}

/// The command before a release; a template that runs no image has none.
fn before<'a>(context: &'a Context, environment: &Environment, template: &Template) -> &'a [String] {
    if template.runs_image(environment) { &context.deployment.service.before_release } else { &[] }
}

/// The statements of the file that `permissions` names.
///
/// # Errors
/// A file that cannot be read, or every statement of it that cannot be used.
pub(crate) fn permissions(context: &Context, environment: &Environment) -> Result<Vec<Value>, Failure> {
    let Some(path) = &environment.permissions else { return Ok(Vec::new()) };
    let fail = |reason: String| {
        Failure::new(Exit::Preflight, FailureKind::Template, "the service's permissions cannot be used")
            .resource(format!("{path}, environments.{}.permissions", environment.section()))
            .reason(reason)
            .hint("it is a JSON list of {\"Effect\", \"Action\", \"Resource\"}: infra/README.md has an example")
    };
    let text = std::fs::read_to_string(context.root.join(path)).map_err(|error| fail(error.to_string()))?;
    container::read_permissions(&text).map_err(|refused| {
        let lines: Vec<String> = refused.iter().map(|one| format!("{} {}", one.place, one.reason)).collect();
        fail(lines.join("\n"))
    })
}
