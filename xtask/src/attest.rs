//! An image's SBOM and provenance: attaching them in the registry, and checking them.

mod check;

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::session::Session;
use aws::ecr;
pub(crate) use check::{checks, require_valid};
use image::docker::login;
use image::oci::{self, Document, Registry};
use image::{git, sbom};
use model::attestation::Kind;
use model::credentials::Credentials;
use model::parameters::Platform;
use model::provenance::{self, Facts};
use model::reference::{Digest, ImageReference};

/// What an image was built from.
pub(crate) struct BuildOrigin<'a> {
    pub(crate) platform: Platform,
    /// The commit of a clean work tree.
    pub(crate) commit: Option<&'a str>,
    /// The image's content tag.
    pub(crate) content: &'a str,
}

/// The registry of an image of `environment`. Registries on this machine use plain HTTP, and so does an emulator, which serves
/// as ECR at its own address whatever the repository's URI says.
///
/// # Errors
/// A proxy or an `AWS_CA_BUNDLE` that cannot be used.
pub(crate) fn registry(
    context: &Context,
    environment: Option<&Environment>,
    image: &ImageReference,
    credentials: Option<Credentials>,
) -> Result<Registry> {
    let set = |name: &str| model::job::set(&context.vars, name);
    let endpoint = environment.and_then(|environment| {
        set("AWS_ENDPOINT_URL_ECR").or(environment.endpoint.as_deref()).or_else(|| set("AWS_ENDPOINT_URL"))
    });
    let emulator = endpoint.and_then(|url| url.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
    // Only ECR's host names are redirected to the emulator.
    let emulator = emulator.filter(|host| image.host == *host || image.host.contains(".dkr.ecr."));
    let plain = emulator.is_some() || is_loopback(&image.host);
    let at = ImageReference { host: emulator.unwrap_or(&image.host).to_owned(), ..image.clone() };
    Registry::new(&at, credentials, plain, &context.http()?)
}

/// As [`registry`], with credentials: ECR's for the environment's own registry and for the `named` one, for any other those
/// that `docker login` has stored. No other registry gets ECR's.
///
/// # Errors
/// A call to ECR or a credential helper fails.
pub(crate) async fn environment_registry(
    session: &Session<'_>,
    image: &ImageReference,
    named: Option<&str>,
) -> Result<Registry> {
    let Session { context, environment, clients, .. } = session;
    let host = image.host.as_str();
    let own = [named, environment.registry.as_deref()].contains(&Some(host))
        || ecr::find_repository(&clients.ecr, &image.repository)
            .await?
            .is_some_and(|repository| repository.is_at(host));
    let credentials =
        if own { Some(credentials(session, host).await?) } else { login::credentials(&context.vars, host).await? };
    registry(context, Some(environment), image, credentials)
}

/// Credentials for the environment's registry at `host`: those that `docker login` has stored for a registry other than ECR,
/// else ECR's.
///
/// # Errors
/// A call to ECR or a credential helper fails.
pub(crate) async fn credentials(session: &Session<'_>, host: &str) -> Result<Credentials> {
    let Session { context, environment, clients, .. } = session;
    let foreign = environment.endpoint.is_none() && !host.contains(".dkr.ecr.");
    let kept = if foreign { login::credentials(&context.vars, host).await? } else { None };
    match kept {
        Some(kept) => Ok(kept),
        None => ecr::credentials(&clients.ecr).await,
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the registry has SBOM and provenance of an image.
///
/// # Errors
/// A request to the registry fails.
pub(crate) async fn is_attested(registry: &Registry, image: &Digest) -> Result<bool> {
    for kind in Kind::ALL {
        if !registry.has(&kind.tag(image)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Attaches missing SBOM and provenance to an image; returns the number of attached documents.
///
/// # Errors
/// Cargo cannot list the packages, or a request to the registry fails.
pub(crate) async fn attach(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
    origin: &BuildOrigin<'_>,
) -> Result<usize> {
    if is_attested(registry, digest).await? {
        return Ok(0);
    }
    // Without git it is Cargo.toml's repository, without a commit.
    let sources = git::origin(&context.root).await.ok().flatten();
    let repository = provenance::source_repository(&context.vars, sources.as_deref());
    let lock = sbom::lock(context.workspace())?;
    let facts = Facts {
        image,
        repository: &repository,
        commit: origin.commit,
        lock: oci::digest(lock.as_bytes()).trim_start_matches("sha256:").to_owned(),
        platform: origin.platform.oci(),
        features: &context.deployment.service.features,
        content: origin.content,
    };
    let bytes = [
        sbom::write(context.workspace(), origin.platform, image).await?,
        provenance::statement(&context.vars, &facts).to_string().into_bytes(),
    ];
    let documents = Kind::ALL.into_iter().zip(bytes);
    let documents =
        documents.map(|(kind, bytes)| Document { kind: kind.media_type(), tag: kind.tag(digest), bytes }).collect();
    Ok(registry.attach(digest, documents).await?)
}

#[cfg(test)]
mod tests;
