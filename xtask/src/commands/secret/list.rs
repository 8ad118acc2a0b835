//! `secret list`: the secrets that deploy.toml names, and those that are stored and that it does not name.

use std::collections::BTreeMap;

use anyhow::Result;
use aws::secrets::{self, Described};
use config::deployment::{Environment, SecretReference};
use futures_util::future::try_join_all;
use model::container::Container;
use model::outcome::Failure;
use model::report::Secret;

use super::is_of;
use crate::context::Context;
use crate::engine::observe::deployed_container;
use crate::needs;
use crate::session::Session;
use local::ui::Ui;

/// A secret with what is known of it.
struct Listed {
    secret: Secret,
    /// What is known at AWS, in words; `None` where there is no value.
    at_aws: Option<String>,
}

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    // Secrets are for all instances; what runs is of one.
    let is_instance = name.contains('/');
    let environment = if is_instance { context.environment(name)? } else { context.section(name)? };
    ui.about(environment);
    let environment = &with_outputs(context, environment, ui).await?;
    let session = Session::open(context, environment, ui).await?;
    let path = environment.secrets_path();
    let service = async {
        if environment.instances { Ok(None) } else { deployed_container(&session.clients, environment).await }
    };
    let stored = async { Ok(secrets::list(&session.clients, &path).await?) };
    let (stored, service) = tokio::try_join!(stored, service)?;
    let mut stored: BTreeMap<String, Described> = stored.into_iter().collect();
    let declared: Vec<(&String, &String, Option<Described>)> = environment
        .secrets
        .iter()
        .map(|(name, text)| {
            let parameter = SecretReference::parse(text).and_then(|reference| reference.parameter().map(str::to_owned));
            (name, text, parameter.and_then(|parameter| stored.remove(&parameter)))
        })
        .collect();
    let asked = declared.into_iter().map(|(name, text, known)| describe(&session, name, text, known));
    let mut all: Vec<Listed> = try_join_all(asked).await?;
    all.extend(stored.into_iter().map(|(parameter, described)| {
        let name = parameter.rsplit('/').next().unwrap_or_default();
        listed(name, &parameter, false, Some(described))
    }));
    all.iter_mut().for_each(|one| one.secret.deployed = deployed(service.as_ref(), &one.secret));
    all.sort_by(|one, other| one.secret.name.cmp(&other.secret.name));
    if all.is_empty() {
        ui.line(&format!("{name} has no secrets; cargo xtask secret set {} NAME stores one", environment.section()));
    }
    let width = all.iter().map(|one| one.secret.name.len()).max().unwrap_or_default();
    for one in &all {
        ui.result(&format!("{:<width$}  {}", one.secret.name, state(one, environment, service.is_some())));
    }
    ui.note(|report| report.secrets = Some(all.into_iter().map(|one| one.secret).collect()));
    Ok(())
}

/// The environment with the outputs that its references name, as far as they are known.
async fn with_outputs(context: &Context, environment: &Environment, ui: &Ui) -> Result<Environment> {
    let mut of_secrets = environment.clone();
    of_secrets.parameters.clear();
    of_secrets.env.clear();
    let refers = of_secrets.references().next().is_some();
    Ok(if refers { needs::foresee_needs(context, &of_secrets, ui).await?.environment } else { of_secrets })
}

/// What AWS knows of a secret of deploy.toml.
async fn describe(session: &Session<'_>, name: &str, text: &str, known: Option<Described>) -> Result<Listed, Failure> {
    let reference = SecretReference::parse(text).filter(|_| known.is_none());
    let described = match reference {
        Some(reference) => secrets::describe(&session.clients, &session.identity.account, &reference).await?,
        None => known,
    };
    Ok(listed(name, text, true, described))
}

fn listed(name: &str, reference: &str, declared: bool, described: Option<Described>) -> Listed {
    let at_aws = described.as_ref().map(Described::in_words);
    let described = described.unwrap_or_default();
    let secret = Secret {
        name: name.to_owned(),
        reference: reference.to_owned(),
        declared,
        encrypted: at_aws.is_some().then_some(described.is_encrypted),
        changed: described.written(),
        version: described.version,
        deployed: None,
    };
    Listed { secret, at_aws }
}

/// The version that the running service has of a secret, from where it is now.
fn deployed(service: Option<&Container>, secret: &Secret) -> Option<String> {
    let service = service?;
    let is_it = |(name, reference): &(&String, &String)| match secret.declared {
        true => **name == secret.name && **reference == secret.reference,
        false => is_of(reference, &secret.reference),
    };
    let (name, _) = service.secrets.iter().find(is_it)?;
    service.versions.get(name).cloned()
}

/// What is known of a secret, in words.
fn state(listed: &Listed, environment: &Environment, is_deployed: bool) -> String {
    let Listed { secret, at_aws } = listed;
    let Secret { name, reference, declared, encrypted, deployed, .. } = secret;
    let section = environment.section();
    let Some(at_aws) = at_aws else {
        return match SecretReference::parse(reference) {
            None => format!("its reference is not known yet ({reference})"),
            Some(SecretReference::Parameter(_)) => {
                format!("has no value: cargo xtask secret set {section} {name} ({reference})")
            }
            Some(SecretReference::Secret { .. }) => format!("has no value ({reference})"),
        };
    };
    let mut known = vec![at_aws.clone()];
    known.extend((*encrypted == Some(false)).then(|| "not encrypted".to_owned()));
    known.extend((!declared).then(|| "not in deploy.toml".to_owned()));
    known.extend(match deployed {
        Some(_) if secret.is_current() => Some("the service has it".to_owned()),
        Some(version) => Some(format!("the service has version {version} until the next release")),
        None if *declared && is_deployed => Some("the service gets it with the next release".to_owned()),
        None => None,
    });
    format!("{} ({reference})", known.join("; "))
}
