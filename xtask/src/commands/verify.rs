//! `verify`: checks an image's SBOM and provenance, without changing anything.

use anyhow::Result;
use config::deployment::Environment;

use super::doctor;
use crate::attest;
use crate::context::Context;
use crate::doctor::CheckResult;
use crate::engine::observe::observe;
use crate::session::Session;
use image::docker::login;
use image::oci::Registry;
use local::cli::Verify;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::reference::{Digest, ImageReference, InvalidReference};

pub(super) async fn run(arguments: &Verify, context: &Context, ui: &Ui) -> Result<()> {
    let target = &arguments.target;
    let (image, registry) = match context.deployment.environments.get(target) {
        Some(environment) => running_image(context, environment, ui).await?,
        None if target.contains('/') => named_image(context, target, ui).await?,
        None => return context.environment(target).map(drop).map_err(Into::into),
    };
    let digest = resolve_digest(&registry, &image).await?;
    let image = image.pinned(&digest);
    let repository = arguments.repository.as_deref();
    let (checked, attestations) = attest::checks(context, &registry, &image, &digest, repository).await?;
    let mut checks = vec![CheckResult::Passed(image.to_string()).to_check("image")];
    checks.extend(checked.iter().map(|(name, finding)| CheckResult::from(finding.clone()).to_check(name)));
    doctor::print_checks(&checks, ui);
    ui.note(|report| {
        report.image = Some(image.to_string());
        report.digest = Some(digest.to_string());
        report.checks = Some(checks);
        report.attestations = Some(attestations);
    });
    let problems: Vec<Failure> = checked.into_iter().filter_map(|(_, finding)| finding.err()).collect();
    if problems.is_empty() { Ok(()) } else { Err(outcome::preflight(&problems).into()) }
}

/// The image that the environment's stack runs, and its registry.
async fn running_image(context: &Context, environment: &Environment, ui: &Ui) -> Result<(ImageReference, Registry)> {
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let seen = observe(&session.clients, environment).await?;
    let image = seen.stack.as_ref().and_then(|stack| stack.image_uri(environment)).ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Stack, "the environment runs no image")
            .resource(format!("stack {}", environment.stack))
            .hint(format!("cargo xtask status {}", environment.name))
    })?;
    let image: ImageReference = image.parse()?;
    let registry = attest::environment_registry(&session, &image, None).await?;
    Ok((image, registry))
}

/// An image given by name, and its registry. The credentials for ECR come from the environment whose registry it is, those
/// for any other registry from Docker's credential store.
async fn named_image(context: &Context, name: &str, ui: &Ui) -> Result<(ImageReference, Registry)> {
    let image: ImageReference = name
        .parse()
        .map_err(|error: InvalidReference| Failure::new(Exit::Usage, FailureKind::Image, error.to_string()))?;
    let environment = context.deployment.environments.values().find(|environment| is_at(environment, &image.host));
    let registry = match environment {
        Some(environment) => {
            let session = Session::open(context, environment, ui).await?;
            attest::environment_registry(&session, &image, None).await?
        }
        None => attest::registry(context, None, &image, login::credentials(&context.vars, &image.host).await?)?,
    };
    Ok((image, registry))
}

/// Whether a host is an environment's registry: the configured one, or ECR in its account and region
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>).
fn is_at(environment: &Environment, host: &str) -> bool {
    if environment.endpoint.is_some() || environment.registry.is_some() {
        return environment.registry.as_deref() == Some(host);
    }
    let mut parts = host.split('.');
    let (account, words) = (parts.next(), [parts.next(), parts.next(), parts.next()]);
    words == [Some("dkr"), Some("ecr"), Some(&environment.region)]
        && environment.account.as_deref().is_none_or(|own| account == Some(own))
}

/// The digest of an image that may be named by a tag.
async fn resolve_digest(registry: &Registry, image: &ImageReference) -> Result<Digest> {
    if let Some(digest) = &image.digest {
        return Ok(digest.clone());
    }
    let tag = image.tag.as_deref().unwrap_or_default();
    let stored = registry.manifest(tag).await?.ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Image, "the registry does not have the image")
            .resource(image.to_string())
    })?;
    stored.descriptor.digest.parse().map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_by_its_host() {
        let text = "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
                    \"t\"\n";
        let is = |lines: &str, host: &str| {
            let deployment = config::deployment::Deployment::parse("deploy.toml", &format!("{text}{lines}")).unwrap();
            is_at(&deployment.environments["dev"], host)
        };
        let host = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
        assert!(is("", host) && is("account = \"111122223333\"", host));
        assert!(!is("account = \"444455556666\"", host) && !is("", &host.replace("eu-central", "us-east")));
        assert!(!is("", "ghcr.io") && !is("registry = \"127.0.0.1:1\"", host));
        assert!(is("registry = \"127.0.0.1:1\"", "127.0.0.1:1"));
    }
}
