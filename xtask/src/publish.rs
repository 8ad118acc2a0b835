//! From an artifact to an image in the registry that has a digest.

use std::sync::Mutex;

use anyhow::Result;
use config::deployment::Environment;
use futures_util::future::try_join_all;

use crate::attest;
use crate::attest::Origin;
use crate::build;
use crate::context::Context;
use crate::preflight::Ready;
use crate::ui::{Phase, Ui};
use aws::Clients;
use aws::ecr;
use aws::ecr::{Repository, StoredImage};
use image::artifact::Artifact;
use image::docker::push;
use image::docker::push::Pushed;
use image::docker::{Owner, megabytes};
use model::credentials::Credentials;
use model::reference::{Digest, ImageReference};

/// What the registry has of a release before anything is pushed.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) repository: Option<Repository>,
    /// Of the image under the tag that was asked for.
    pub(crate) stored: Option<StoredImage>,
}

/// An image that a stack can be given.
pub(crate) struct Published {
    /// By digest.
    pub(crate) image: ImageReference,
    pub(crate) pushed: Pushed,
}

/// What is published, and for whom.
pub(crate) struct Source<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) artifact: Artifact,
    /// Names the sources it was compiled from.
    pub(crate) source_tag: Option<&'a str>,
    /// The commit of a clean work tree.
    pub(crate) commit: Option<&'a str>,
}

/// The tag that names a commit.
fn commit_tag(commit: &str) -> String {
    format!("commit-{}", commit.get(..12).unwrap_or(commit))
}

/// Whether the repository was asked for already.
#[derive(Debug)]
pub(crate) enum Known {
    /// Not yet.
    Not,
    /// It was, or it need not be; `None` where there is none.
    Repository(Option<Repository>),
}

impl Known {
    /// Of a repository at a host that is said, which need not be asked for.
    pub(crate) fn at(registry: Option<&str>, name: &str) -> Self {
        registry.map_or(Self::Not, |host| Self::Repository(Some(Repository::at(host, name))))
    }
}

/// Asks whether the registry has an image under `tag`, and about the repository unless that is known.
///
/// # Errors
/// What AWS says.
pub(crate) async fn look(clients: &Clients, name: &str, tag: Option<&str>, known: Known) -> Result<Registry> {
    let client = &clients.ecr;
    let stored = async { if let Some(tag) = tag { ecr::find_image(client, name, tag).await } else { Ok(None) } };
    let repository = async {
        match known {
            Known::Repository(repository) => Ok(repository),
            Known::Not => ecr::find_repository(client, name).await,
        }
    };
    let (repository, stored) = tokio::try_join!(repository, stored)?;
    Ok(Registry { repository, stored })
}

/// Brings the artifact into the registry, with its bill of materials and provenance: nothing is built or pushed that is
/// there already.
///
/// The tags by which a later run knows that nothing needs to be compiled come last. Whoever is cut short before that finds
/// the image without them, compiles the same content, and attaches what is missing.
///
/// # Errors
/// What engine, registry or AWS say.
pub(crate) async fn publish(
    context: &Context,
    ready: &Ready<'_>,
    source: Source<'_>,
    found: Registry,
    registry: Option<&str>,
    ui: &Ui,
) -> Result<Published> {
    let name = &context.deployment.service.name;
    let Source { environment, artifact, source_tag, commit } = source;
    let tag = artifact.tag.clone();
    let origin = Origin { platform: ready.platform, commit, content: &tag };
    let login = RegistryLogin { context, environment, clients: &ready.session.clients, registry };
    if let (Some(repository), Some(stored)) = (&found.repository, &found.stored) {
        let image = repository.image(&tag, registry).pinned(&stored.digest);
        ui.phase("image").skipped(&format!("the registry has {name}:{tag}"));
        // Compiled just now, it is what the registry has: what is missing there may be told of it.
        let credentials = login.credentials().await?;
        attach(context, environment, &image, &stored.digest, credentials, &origin, ui).await?;
        if let Some(tag) = source_tag {
            // Other sources, the same image: next time nobody need compile to know that.
            ecr::add_tag(&ready.session.clients.ecr, name, stored, tag).await?;
        }
        ui.phase("push").skipped(stored.digest.as_str());
        return Ok(Published { image, pushed: Pushed::default() });
    }
    let engine = ready.engine.as_ref().map_err(Clone::clone)?;
    let owner = Owner::new(&context.root, name);
    // The registry is opened while the image is built: a refusal shows before minutes are spent.
    let ((image, _), (repository, credentials)) =
        tokio::try_join!(build::image(artifact, engine, &owner, ui), open(ready, name, &found, &login, ui))?;
    let credentials = Mutex::new(credentials);
    let phase = ui.phase("push");
    let target = repository.image(&tag, registry);
    let push = async |target: &ImageReference, phase: &Phase<'_>| {
        let once = async |credentials: Credentials| {
            push::push(&engine.docker, &image.reference, target, &credentials, &|step| phase.report(step)).await
        };
        match login.renewed(&credentials, once).await {
            Err(error) if push::is_tag_taken(&error) => Ok(Pushed::default()),
            ended => ended,
        }
    };
    // Where the tag is taken, someone released the same content at the same moment; it names it, whoever pushed.
    let pushed = push(&target, &phase).await?;
    phase.doing("asking the registry for the digest");
    let ask = async |credentials: Credentials| push::digest(&engine.docker, &target, &credentials).await;
    let digest = login.renewed(&credentials, ask).await?;
    let layers = format!("layers: {} pushed, {} already there", pushed.layers, pushed.layers_present);
    phase.done(&format!("{digest}, {}, {layers}", megabytes(pushed.bytes)));
    let published = target.pinned(&digest);
    let bring = async |credentials| attach(context, environment, &published, &digest, credentials, &origin, ui).await;
    login.renewed(&credentials, bring).await?;
    // A tag that is taken names the first image of this commit, and stays with it.
    let names: Vec<String> = source_tag.map(str::to_owned).into_iter().chain(commit.map(commit_tag)).collect();
    if !names.is_empty() {
        let phase = ui.phase("name");
        let targets: Vec<ImageReference> = names.iter().map(|tag| repository.image(tag, registry)).collect();
        try_join_all(targets.iter().map(|target| push(target, &phase))).await?;
        phase.done(&names.join(", "));
    }
    Ok(Published { image: published, pushed })
}

/// Attaches to the image what it lacks.
async fn attach(
    context: &Context,
    environment: &Environment,
    image: &ImageReference,
    digest: &Digest,
    credentials: Credentials,
    origin: &Origin<'_>,
    ui: &Ui,
) -> Result<()> {
    let phase = ui.phase("attest");
    let registry = attest::registry(context, Some(environment), image, Some(credentials))?;
    match attest::attach(context, &registry, image, digest, origin).await? {
        0 => phase.skipped("the image has its bill of materials and provenance"),
        _ => phase.done("bill of materials and provenance are attached"),
    }
    Ok(())
}

/// Where the registry's password comes from.
struct RegistryLogin<'a> {
    context: &'a Context,
    environment: &'a Environment,
    clients: &'a Clients,
    /// The registry's host, where it is not the one of the repository in ECR.
    registry: Option<&'a str>,
}

impl RegistryLogin<'_> {
    async fn credentials(&self) -> Result<Credentials> {
        match self.registry {
            Some(host) => attest::credentials(self.context, self.environment, self.clients, host).await,
            None => ecr::credentials(&self.clients.ecr).await,
        }
    }

    /// Does something with the password, and once more with a new one where it has expired meanwhile.
    async fn renewed<T>(
        &self,
        current: &Mutex<Credentials>,
        call: impl AsyncFn(Credentials) -> Result<T>,
    ) -> Result<T> {
        let credentials = current.lock().expect("no holder panics").clone();
        match call(credentials).await {
            Err(error) if push::is_expired(&error) => {
                let renewed = self.credentials().await?;
                *current.lock().expect("no holder panics") = renewed.clone();
                call(renewed).await
            }
            ended => ended,
        }
    }
}

/// The repository, made if need be, with a lifecycle policy; and a password for it.
async fn open(
    ready: &Ready<'_>,
    name: &str,
    found: &Registry,
    login: &RegistryLogin<'_>,
    ui: &Ui,
) -> Result<(Repository, Credentials)> {
    let client = &ready.session.clients.ecr;
    let repository = async {
        match &found.repository {
            Some(repository) => {
                if let Some(failure) = ecr::ensure_policy(client, name).await {
                    let why = failure.reason.as_deref().unwrap_or_default();
                    ui.warn(&format!("repository {name} may have no lifecycle policy: {failure}: {why}"));
                }
                Ok(repository.clone())
            }
            None => {
                let phase = ui.phase("registry");
                let repository = ecr::create_repository(client, name).await?;
                phase.done(&format!("repository {name} created: immutable tags, scanned on push"));
                Ok(repository)
            }
        }
    };
    tokio::try_join!(repository, login.credentials())
}
