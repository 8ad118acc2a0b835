//! What an image brings along: its bill of materials and its provenance, attached in the registry and held against what
//! is expected of it.

mod check;

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use aws::Clients;
use aws::ecr;
pub(crate) use check::{checks, verified};
use image::docker::login;
use image::oci;
use image::oci::Document;
use image::oci::Registry;
use image::{git, sbom};
use model::attestation::Kind;
use model::credentials::Credentials;
use model::parameters::Platform;
use model::provenance;
use model::provenance::Facts;
use model::reference::{Digest, ImageReference};

/// What an image was built from.
pub(crate) struct Origin<'a> {
    pub(crate) platform: Platform,
    /// The commit of a clean work tree.
    pub(crate) commit: Option<&'a str>,
    /// The tag that names the image's content.
    pub(crate) content: &'a str,
}

/// The registry of an image of `environment`. What is on this machine speaks HTTP; so does an emulator, which plays ECR's
/// registry at its own address whatever the repository's URI says.
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
    // Only AWS's own names lead elsewhere than they say.
    let emulator = emulator.filter(|host| image.host == *host || image.host.contains(".dkr.ecr."));
    let plain = emulator.is_some() || is_loopback(&image.host);
    let at = ImageReference { host: emulator.unwrap_or(&image.host).to_owned(), ..image.clone() };
    Registry::new(&at, credentials, plain, &context.http()?)
}

/// As [`registry`], with a password: ECR's for the environment's own registry and for the one that is `named`, and for any
/// other what `docker login` has kept. Nobody else gets ECR's.
///
/// # Errors
/// What AWS says.
pub(crate) async fn of_environment(
    context: &Context,
    environment: &Environment,
    clients: &Clients,
    image: &ImageReference,
    named: Option<&str>,
) -> Result<Registry> {
    let host = image.host.as_str();
    let own = [named, environment.registry.as_deref()].contains(&Some(host))
        || ecr::find(&clients.ecr, &image.repository).await?.is_some_and(|repository| repository.is_at(host));
    let credentials = if own {
        Some(credentials(context, environment, clients, host).await?)
    } else {
        login::credentials(&context.vars, host).await?
    };
    registry(context, Some(environment), image, credentials)
}

/// User and password for the environment's registry at `host`: what `docker login` has kept for one that is not ECR's, else
/// ECR's.
///
/// # Errors
/// What AWS or a credential helper says.
pub(crate) async fn credentials(
    context: &Context,
    environment: &Environment,
    clients: &Clients,
    host: &str,
) -> Result<Credentials> {
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

/// Whether the registry has all that an image brings along.
///
/// # Errors
/// What the registry says.
pub(crate) async fn is_attested(registry: &Registry, image: &Digest) -> Result<bool> {
    for kind in Kind::ALL {
        if !registry.has(&kind.tag(image)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Attaches to an image what it lacks; answers how many documents that were.
///
/// # Errors
/// A cargo that does not tell what it compiles, or what the registry says.
pub(crate) async fn attach(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
    origin: &Origin<'_>,
) -> Result<usize> {
    if is_attested(registry, digest).await? {
        return Ok(0);
    }
    // Where git cannot say, it is the repository that Cargo.toml names, of no commit.
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
