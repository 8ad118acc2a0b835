//! Checks an image's SBOM and provenance: that they exist, describe the image, and name the expected sources.

use anyhow::Result;

use crate::context::Context;
use image::oci::{Attached, Registry};
use image::{git, sbom};
use model::attestation::{Attestation, Kind};
use model::outcome::{self, Exit, Failure, FailureKind};
use model::provenance::{self, Provenance};
use model::reference::{Digest, ImageReference};

/// The checks, by name.
type Checked = Vec<(&'static str, Result<String, Failure>)>;

/// Checks SBOM and provenance. `repository` is the expected source repository; by default it is that of the work tree.
///
/// # Errors
/// A request to the registry fails.
pub(crate) async fn checks(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
    repository: Option<&str>,
) -> Result<(Checked, Vec<Attestation>)> {
    let find = async |kind: Kind| registry.attached(digest, kind.media_type(), &kind.tag(digest)).await;
    let (sboms, statements) = tokio::try_join!(find(Kind::Sbom), find(Kind::Provenance))?;
    let (mut checked, mut attestations) = (Checked::new(), Vec::new());
    match first_valid(&sboms, |attached| check_sbom(attached, context, digest)) {
        None => checked.push(("sbom", Err(not_attached(Kind::Sbom, image)))),
        Some((attached, found)) => {
            attestations.extend(
                found.as_ref().ok().map(|summary| Attestation {
                    packages: Some(summary.packages),
                    ..attestation(Kind::Sbom, attached)
                }),
            );
            checked.push(("sbom", found.map(|summary| format!("CycloneDX, packages: {}", summary.packages))));
        }
    }
    match first_valid(&statements, |attached| check_statement(attached, digest)) {
        None => checked.push(("provenance", Err(not_attached(Kind::Provenance, image)))),
        Some((attached, Err(problem))) => {
            checked.push(("provenance", Err(problem)));
            attestations.push(attestation(Kind::Provenance, attached));
        }
        Some((attached, Ok(provenance))) => {
            let wanted = match repository {
                Some(repository) => Ok(repository.to_owned()),
                None => {
                    let origin = git::origin(&context.root).await;
                    origin.map(|origin| provenance::source_repository(&context.vars, origin.as_deref()))
                }
            };
            let run = provenance.run.as_ref().map(|run| format!(", {run}")).unwrap_or_default();
            checked.push(("provenance", Ok(format!("built by {}{run}", provenance.builder))));
            checked.push(("repository", wanted.and_then(|wanted| built_from(&provenance, &wanted))));
            checked.push(("commit", known_commit(context, &provenance).await));
            attestations.push(Attestation {
                builder: Some(provenance.builder),
                repository: Some(provenance.repository),
                commit: provenance.commit,
                run: provenance.run,
                ..attestation(Kind::Provenance, attached)
            });
        }
    }
    Ok((checked, attestations))
}

/// As [`checks`], and fails with all problems at once.
///
/// # Errors
/// The problems, or a failed request to the registry.
pub(crate) async fn require_valid(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
) -> Result<Vec<Attestation>> {
    let (checked, attestations) = checks(context, registry, image, digest, None).await?;
    let problems: Vec<Failure> = checked.into_iter().filter_map(|(_, finding)| finding.err()).collect();
    if problems.is_empty() { Ok(attestations) } else { Err(outcome::preflight(&problems).into()) }
}

fn attestation(kind: Kind, attached: &Attached) -> Attestation {
    let digest = attached.digest.clone();
    Attestation { kind, digest, packages: None, builder: None, repository: None, commit: None, run: None }
}

/// The first valid document, or else the first one with its problem.
fn first_valid<T>(
    attached: &[Attached],
    check: impl Fn(&Attached) -> Result<T, Failure>,
) -> Option<(&Attached, Result<T, Failure>)> {
    let mut checked: Vec<_> = attached.iter().map(|one| (one, check(one))).collect();
    let good = checked.iter().position(|(_, found)| found.is_ok()).unwrap_or_default();
    (!checked.is_empty()).then(|| checked.swap_remove(good))
}

fn fail(message: String, attached: Option<&Attached>) -> Failure {
    let failure = Failure::new(Exit::Preflight, FailureKind::Attestation, message);
    attached.map_or(failure.clone(), |attached| failure.resource(attached.digest.clone()))
}

fn not_attached(kind: Kind, image: &ImageReference) -> Failure {
    let what = match kind {
        Kind::Sbom => "SBOM",
        Kind::Provenance => "provenance",
    };
    fail(format!("the image has no {what}"), None)
        .resource(image.to_string())
        .reason("it was pushed by other means, or before releases attached it")
        .hint("cargo xtask release builds it from its sources and attaches what is missing")
}

fn check_sbom(attached: &Attached, context: &Context, digest: &Digest) -> Result<sbom::Summary, Failure> {
    let fail = |message: &str| fail(message.to_owned(), Some(attached));
    let summary = sbom::summary(&attached.bytes).ok_or_else(|| fail("the SBOM is not CycloneDX JSON"))?;
    let name = &context.deployment.service.name;
    if summary.name != *name {
        let reason = format!("it names {:?} and not {name:?}", summary.name);
        return Err(fail("the SBOM describes another service").reason(reason));
    }
    if summary.version != digest.as_str() {
        let reason = format!("it names {} and not {digest}", summary.version);
        return Err(fail("the SBOM describes another image").reason(reason));
    }
    Ok(summary)
}

fn check_statement(attached: &Attached, digest: &Digest) -> Result<Provenance, Failure> {
    let fail = |message: &str| fail(message.to_owned(), Some(attached));
    let provenance = provenance::read(&attached.bytes).ok_or_else(|| fail("the provenance is not SLSA version 1"))?;
    let wanted = digest.as_str().trim_start_matches("sha256:");
    if !provenance.digests.iter().any(|one| one == wanted) {
        let reason = format!("it is about {} and not {wanted}", provenance.digests.join(", "));
        return Err(fail("the provenance describes another image").reason(reason));
    }
    Ok(provenance)
}

/// Whether sources and builder belong to the expected repository. A build on a developer's machine has no builder address.
fn built_from(provenance: &Provenance, wanted: &str) -> Result<String, Failure> {
    let fail = |found: &str| {
        fail("the image was built from another repository".to_owned(), None)
            .resource(found)
            .reason(format!("expected {wanted}"))
            .hint("to deploy it anyway, name its repository: --repository, or git's remote origin")
    };
    if !provenance::is_same(&provenance.repository, wanted) {
        return Err(fail(&provenance.repository));
    }
    let page = provenance::page(wanted).unwrap_or_else(|| wanted.to_owned());
    let of_repository = |builder: &str| {
        let (builder, wanted) = (builder.to_lowercase(), page.to_lowercase());
        builder.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/'))
    };
    if provenance.builder != provenance::LOCAL && !of_repository(&provenance.builder) {
        return Err(fail(&provenance.builder));
    }
    Ok(provenance.repository.clone())
}

/// Whether the clone has the commit. A failure of git or a shallow history does not count as a yes.
async fn known_commit(context: &Context, provenance: &Provenance) -> Result<String, Failure> {
    let Some(commit) = &provenance.commit else {
        return Err(fail("the image was built from a work tree with uncommitted changes".to_owned(), None)
            .reason("its provenance names no commit")
            .hint("commit, and release again"));
    };
    if git::knows(&context.root, commit).await? {
        return Ok(commit.clone());
    }
    if git::is_shallow(&context.root).await? {
        return Err(fail("the image's commit cannot be checked".to_owned(), None)
            .resource(commit)
            .reason("this clone is shallow: its history is cut off, and it does not have the commit")
            .hint("git fetch --unshallow; in a job on GitHub, fetch-depth: 0 for actions/checkout"));
    }
    Err(fail("the image was built from a commit that is not in this clone".to_owned(), None)
        .resource(commit)
        .hint("git fetch --all"))
}

#[cfg(test)]
mod tests;
