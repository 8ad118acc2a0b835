//! The secrets of an environment's container: whether they are there, and which versions of them.

use aws::secrets::{self, Described};
use config::deployment::{Environment, SECRET_REFERENCE, SecretReference, references};
use futures_util::future::join_all;
use model::outcome::{Exit, Failure, FailureKind};
use model::template::Template;

use crate::container;
use crate::session::Session;

/// The template as it would be sent: with the secrets' versions, too, so that a new version is a change.
///
/// # Errors
/// Every secret that is not there, or whose reference cannot be used; a refused or lost call.
pub(crate) async fn as_sent(session: &Session<'_>, template: &Template) -> Result<Template, Vec<Failure>> {
    let Session { context, environment, .. } = session;
    let plain = Template::read(&template.path, template.file.clone()).expect("it was read before");
    let one = |failure| vec![failure];
    let service = &context.deployment.service;
    let mut additions = container::additions(&context.root, service, environment, template).map_err(one)?;
    // Before the needs of the environment are there, some references are not known; those are asked for afterwards.
    let known = environment.secrets.iter().filter(|(_, text)| references(text).next().is_none());
    let asked = known.map(|(name, text)| async move { Ok((name, described(session, name, text).await?)) });
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
    container::added(environment, &plain, &additions).map_err(one)
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
