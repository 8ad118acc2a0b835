//! Publishes an artifact as an image in the registry.

use std::sync::Mutex;

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::attest::{self, BuildOrigin};
use crate::preflight::Ready;
use crate::session::Session;
use aws::ecr::{self, Repository, StoredImage};
use image::artifact::Artifact;
use image::docker::push::{self, Pushed};
use image::docker::{Owner, megabytes};
use local::build;
use local::ui::Phase;
use model::credentials::Credentials;
use model::reference::{Digest, ImageReference};

/// What the registry has before anything is pushed.
#[derive(Debug, Default)]
pub(crate) struct RegistryState {
    pub(crate) repository: Option<Repository>,
    /// The image with the requested tag.
    pub(crate) stored: Option<StoredImage>,
}

/// An image that can be deployed.
pub(crate) struct PublishedImage {
    /// By digest.
    pub(crate) image: ImageReference,
    pub(crate) pushed: Pushed,
}

/// A compiled service.
pub(crate) struct Compiled<'a> {
    pub(crate) artifact: Artifact,
    /// The tag of its sources.
    pub(crate) source_tag: Option<&'a str>,
    /// The commit of a clean work tree.
    pub(crate) commit: Option<&'a str>,
}

/// The tag that names a commit.
fn commit_tag(commit: &str) -> String {
    format!("commit-{}", commit.get(..12).unwrap_or(commit))
}

/// Whether it is known already if there is a repository.
#[derive(Debug)]
pub(crate) enum KnownRepository {
    /// Not known.
    No,
    /// Known; `None` if there is none.
    Yes(Option<Repository>),
}

impl KnownRepository {
    /// A repository at a given host is known without asking for it.
    pub(crate) fn at(registry: Option<&str>, name: &str) -> Self {
        registry.map_or(Self::No, |host| Self::Yes(Some(Repository::at(host, name))))
    }
}

/// Reads whether the registry has an image with the tag, and the repository unless it is known.
///
/// # Errors
/// A call to ECR fails.
pub(crate) async fn find_image(
    session: &Session<'_>,
    tag: Option<&str>,
    known: KnownRepository,
) -> Result<RegistryState> {
    let (client, name) = (&session.clients.ecr, &session.context.deployment.service.name);
    let stored = async { if let Some(tag) = tag { ecr::find_image(client, name, tag).await } else { Ok(None) } };
    let repository = async {
        match known {
            KnownRepository::Yes(repository) => Ok(repository),
            KnownRepository::No => ecr::find_repository(client, name).await,
        }
    };
    let (repository, stored) = tokio::try_join!(repository, stored)?;
    Ok(RegistryState { repository, stored })
}

/// Publishes the artifact with its SBOM and provenance. What the registry has already is neither built nor pushed again.
///
/// The tags that tell a later run that nothing needs to be compiled come last. After an interruption before that, the next run
/// finds no such tag, compiles the same content again, and attaches what is missing.
///
/// # Errors
/// The Docker engine, the registry or ECR fails.
pub(crate) async fn publish(
    ready: &Ready<'_>,
    compiled: Compiled<'_>,
    found: RegistryState,
    registry: Option<&str>,
) -> Result<PublishedImage> {
    let session = &ready.session;
    let Session { context, ui, .. } = session;
    let name = &context.deployment.service.name;
    let Compiled { artifact, source_tag, commit } = compiled;
    let tag = artifact.tag.clone();
    let origin = BuildOrigin { platform: ready.platform, commit, content: &tag };
    let login = RegistryLogin { session, registry };
    if let (Some(repository), Some(stored)) = (&found.repository, &found.stored) {
        let image = repository.image(&tag, registry).pinned(&stored.digest);
        ui.phase("image").skipped(&format!("the registry has {name}:{tag}"));
        // The registry's image has the content that was just compiled, so missing attestations can be added.
        let credentials = login.credentials().await?;
        attach_missing(session, &image, &stored.digest, credentials, &origin).await?;
        if let Some(tag) = source_tag {
            // Other sources gave the same image: the tag saves the next run from compiling them.
            ecr::add_tag(&session.clients.ecr, name, stored, tag).await?;
        }
        ui.phase("push").skipped(stored.digest.as_str());
        return Ok(PublishedImage { image, pushed: Pushed::default() });
    }
    let engine = ready.engine.as_ref().map_err(Clone::clone)?;
    let owner = Owner::new(&context.root, name);
    // The repository is prepared while the image is built, so that a refusal shows early.
    let ((image, _), (repository, credentials)) =
        tokio::try_join!(build::build_image(artifact, engine, &owner, ui), open(&found, &login))?;
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
    // If the tag is taken, another run has pushed the same content at the same time.
    let pushed = push(&target, &phase).await?;
    phase.doing("asking the registry for the digest");
    let ask = async |credentials: Credentials| push::registry_digest(&engine.docker, &target, &credentials).await;
    let digest = login.renewed(&credentials, ask).await?;
    let layers = format!("layers: {} pushed, {} already there", pushed.layers, pushed.layers_present);
    phase.done(&format!("{}, {}, {layers}", digest, megabytes(pushed.bytes)));
    let published = target.pinned(&digest);
    let attach = async |credentials| attach_missing(session, &published, &digest, credentials, &origin).await;
    login.renewed(&credentials, attach).await?;
    // A tag that is taken stays with the first image of the commit.
    let names: Vec<String> = source_tag.map(str::to_owned).into_iter().chain(commit.map(commit_tag)).collect();
    if !names.is_empty() {
        let phase = ui.phase("name");
        let targets: Vec<ImageReference> = names.iter().map(|tag| repository.image(tag, registry)).collect();
        try_join_all(targets.iter().map(|target| push(target, &phase))).await?;
        phase.done(&names.join(", "));
    }
    Ok(PublishedImage { image: published, pushed })
}

/// Attaches missing SBOM and provenance.
async fn attach_missing(
    session: &Session<'_>,
    image: &ImageReference,
    digest: &Digest,
    credentials: Credentials,
    origin: &BuildOrigin<'_>,
) -> Result<()> {
    let Session { context, environment, ui, .. } = session;
    let phase = ui.phase("attest");
    let registry = attest::registry(context, Some(environment), image, Some(credentials))?;
    match attest::attach(context, &registry, image, digest, origin).await? {
        0 => phase.skipped("the image has its SBOM and provenance"),
        _ => phase.done("SBOM and provenance are attached"),
    }
    Ok(())
}

/// The source of the registry's credentials.
struct RegistryLogin<'a> {
    session: &'a Session<'a>,
    /// The registry's host, if it is not ECR's.
    registry: Option<&'a str>,
}

impl RegistryLogin<'_> {
    async fn credentials(&self) -> Result<Credentials> {
        match self.registry {
            Some(host) => attest::credentials(self.session, host).await,
            None => ecr::credentials(&self.session.clients.ecr).await,
        }
    }

    /// Makes a call with the credentials, and repeats it once with new ones if they have expired.
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

/// The repository with a lifecycle policy, created if there is none, and its credentials.
async fn open(found: &RegistryState, login: &RegistryLogin<'_>) -> Result<(Repository, Credentials)> {
    let Session { context, clients, ui, .. } = login.session;
    let (client, name) = (&clients.ecr, &context.deployment.service.name);
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
