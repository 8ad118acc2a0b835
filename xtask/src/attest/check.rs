//! Whether what an image brings along is there, is about it, and says what is expected.

use anyhow::Result;

use crate::context::Context;
use image::oci::Attached;
use image::oci::Registry;
use image::{git, sbom};
use model::attestation::{Attestation, Kind};
use model::outcome;
use model::outcome::{Exit, Failure, FailureKind};
use model::provenance;
use model::provenance::Provenance;
use model::reference::{Digest, ImageReference};

/// What was looked at, by name.
type Checked = Vec<(&'static str, Result<String, Failure>)>;

/// Looks at what an image brings along. `repository` is the one that it must come from; `None` takes that of the work
/// tree.
///
/// # Errors
/// What the registry says.
pub(crate) async fn checks(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
    repository: Option<&str>,
) -> Result<(Checked, Vec<Attestation>)> {
    let find = async |kind: Kind| registry.attached(digest, kind.media_type(), &kind.tag(digest)).await;
    let (boms, statements) = tokio::try_join!(find(Kind::Sbom), find(Kind::Provenance))?;
    let (mut checked, mut attestations) = (Checked::new(), Vec::new());
    match first(&boms, |attached| bom(attached, context, digest)) {
        None => checked.push(("sbom", Err(missing(Kind::Sbom, image)))),
        Some((attached, found)) => {
            attestations.extend(
                found
                    .as_ref()
                    .ok()
                    .map(|summary| Attestation { packages: Some(summary.packages), ..of(Kind::Sbom, attached) }),
            );
            checked.push(("sbom", found.map(|summary| format!("CycloneDX, packages: {}", summary.packages))));
        }
    }
    match first(&statements, |attached| statement(attached, digest)) {
        None => checked.push(("provenance", Err(missing(Kind::Provenance, image)))),
        Some((attached, Err(problem))) => {
            checked.push(("provenance", Err(problem)));
            attestations.push(of(Kind::Provenance, attached));
        }
        Some((attached, Ok(told))) => {
            let wanted = match repository {
                Some(repository) => Ok(repository.to_owned()),
                None => {
                    let origin = git::origin(&context.root).await;
                    origin.map(|origin| provenance::source_repository(&context.vars, origin.as_deref()))
                }
            };
            let run = told.run.as_ref().map(|run| format!(", {run}")).unwrap_or_default();
            checked.push(("provenance", Ok(format!("built by {}{run}", told.builder))));
            checked.push(("repository", wanted.and_then(|wanted| from(&told, &wanted))));
            checked.push(("commit", commit(context, &told).await));
            attestations.push(Attestation {
                builder: Some(told.builder),
                repository: Some(told.repository),
                commit: told.commit,
                run: told.run,
                ..of(Kind::Provenance, attached)
            });
        }
    }
    Ok((checked, attestations))
}

/// As [`checks`], and a failure that lists all that is not as expected.
///
/// # Errors
/// That, or what the registry says.
pub(crate) async fn verified(
    context: &Context,
    registry: &Registry,
    image: &ImageReference,
    digest: &Digest,
) -> Result<Vec<Attestation>> {
    let (checked, attestations) = checks(context, registry, image, digest, None).await?;
    let problems: Vec<Failure> = checked.into_iter().filter_map(|(_, finding)| finding.err()).collect();
    if problems.is_empty() { Ok(attestations) } else { Err(outcome::preflight(&problems).into()) }
}

fn of(kind: Kind, attached: &Attached) -> Attestation {
    let digest = attached.digest.clone();
    Attestation { kind, digest, packages: None, builder: None, repository: None, commit: None, run: None }
}

/// The first that is as it should be, or else the first with what is wrong with it.
fn first<T>(
    attached: &[Attached],
    look: impl Fn(&Attached) -> Result<T, Failure>,
) -> Option<(&Attached, Result<T, Failure>)> {
    let mut looked: Vec<_> = attached.iter().map(|one| (one, look(one))).collect();
    let good = looked.iter().position(|(_, found)| found.is_ok()).unwrap_or_default();
    (!looked.is_empty()).then(|| looked.swap_remove(good))
}

fn fail(message: String, attached: Option<&Attached>) -> Failure {
    let failure = Failure::new(Exit::Preflight, FailureKind::Attestation, message);
    attached.map_or(failure.clone(), |attached| failure.resource(attached.digest.clone()))
}

fn missing(kind: Kind, image: &ImageReference) -> Failure {
    let what = match kind {
        Kind::Sbom => "bill of materials",
        Kind::Provenance => "provenance",
    };
    fail(format!("the image has no {what}"), None)
        .resource(image.to_string())
        .reason("it was pushed by other means, or before releases attached it")
        .hint("cargo xtask release builds it from its sources and attaches what is missing")
}

fn bom(attached: &Attached, context: &Context, digest: &Digest) -> Result<sbom::Summary, Failure> {
    let fail = |message: &str| fail(message.to_owned(), Some(attached));
    let summary =
        sbom::summary(&attached.bytes).ok_or_else(|| fail("the bill of materials is not CycloneDX in JSON"))?;
    let name = &context.deployment.service.name;
    if summary.name != *name {
        let reason = format!("it names {:?} and not {name:?}", summary.name);
        return Err(fail("the bill of materials is of another service").reason(reason));
    }
    if summary.version != digest.as_str() {
        let reason = format!("it names {} and not {digest}", summary.version);
        return Err(fail("the bill of materials is of another image").reason(reason));
    }
    Ok(summary)
}

fn statement(attached: &Attached, digest: &Digest) -> Result<Provenance, Failure> {
    let fail = |message: &str| fail(message.to_owned(), Some(attached));
    let told = provenance::read(&attached.bytes).ok_or_else(|| fail("the provenance is not SLSA's, version 1"))?;
    let wanted = digest.as_str().trim_start_matches("sha256:");
    if !told.digests.iter().any(|one| one == wanted) {
        let reason = format!("it is about {} and not {wanted}", told.digests.join(", "));
        return Err(fail("the provenance is of another image").reason(reason));
    }
    Ok(told)
}

/// Whether sources and builder are of the repository that is expected. A builder that nobody vouches for has no address.
fn from(told: &Provenance, wanted: &str) -> Result<String, Failure> {
    let fail = |found: &str| {
        fail("the image was built from another repository".to_owned(), None)
            .resource(found)
            .reason(format!("expected is {wanted}"))
            .hint("if it should be deployed all the same, name its repository: --repository, or git's remote origin")
    };
    if !provenance::is_same(&told.repository, wanted) {
        return Err(fail(&told.repository));
    }
    let page = provenance::page(wanted).unwrap_or_else(|| wanted.to_owned());
    let of_repository = |builder: &str| {
        let (builder, wanted) = (builder.to_lowercase(), page.to_lowercase());
        builder.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('/'))
    };
    if told.builder != provenance::LOCAL && !of_repository(&told.builder) {
        return Err(fail(&told.builder));
    }
    Ok(told.repository.clone())
}

/// Whether the clone has the commit. What git cannot answer, or a history that is cut off, is not taken for a yes.
async fn commit(context: &Context, told: &Provenance) -> Result<String, Failure> {
    let Some(commit) = &told.commit else {
        return Err(fail("the image was built from a work tree with uncommitted changes".to_owned(), None)
            .reason("its provenance names no commit")
            .hint("commit, and release again"));
    };
    if git::knows(&context.root, commit).await? {
        return Ok(commit.clone());
    }
    if git::is_shallow(&context.root).await? {
        return Err(fail("it cannot be checked which commit the image was built from".to_owned(), None)
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
