//! An image's provenance: an in-toto statement with SLSA's predicate, version 1.
//!
//! Pure: no I/O and no client. Unknown facts are left out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::job;
use crate::reference::ImageReference;

/// Media type of the document (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).
pub const KIND: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// <https://slsa.dev/spec/v1.0/provenance>
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The page that documents the build and its parameters.
const BUILD: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/supply-chain.md#how-an-image-is-built");
/// An unverifiable builder: the machine of the tool's user.
pub const LOCAL: &str = "urn:xtask:builder:local";

/// The file with the compiled packages and their checksums.
pub const LOCK: &str = "Cargo.lock";

/// What is known of a build.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// By digest.
    pub image: &'a ImageReference,
    /// From [`source_repository`].
    pub repository: &'a str,
    /// The commit of a clean work tree.
    pub commit: Option<&'a str>,
    /// SHA-256 of `Cargo.lock`.
    pub lock: String,
    pub platform: &'a str,
    pub features: &'a [String],
    /// The image's content tag.
    pub content: &'a str,
}

/// The facts of a statement that are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Of the images that it is about, without `sha256:`.
    pub digests: Vec<String>,
    pub builder: String,
    pub repository: String,
    pub commit: Option<String>,
    /// The page of the run.
    pub run: Option<String>,
}

/// The repository of the sources: from GitHub's variables, from git's origin, or from Cargo.toml.
pub fn source_repository(vars: &BTreeMap<String, String>, origin: Option<&str>) -> String {
    let pipeline = job::of_job(vars, "GITHUB_REPOSITORY").map(|name| format!("{}/{name}", server(vars)));
    pipeline.or_else(|| page(origin?)).unwrap_or_else(|| env!("CARGO_PKG_REPOSITORY").to_owned())
}

/// The URL of a repository's page, from any form of git's address, without a password. `None` for a folder.
pub fn page(address: &str) -> Option<String> {
    let address = address.trim();
    let (host, path) = match Url::parse(address) {
        Ok(url) if ["http", "https", "ssh", "git"].contains(&url.scheme()) => {
            let port = url.port().filter(|_| url.scheme().starts_with("http"));
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            (format!("{}{port}", url.host_str()?), url.path().to_owned())
        }
        Ok(_) => return None,
        // As `ssh` takes it: USER@HOST:PATH.
        Err(_) => {
            let (host, path) = address.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            (host.rsplit('@').next()?.to_owned(), path.to_owned())
        }
    };
    let path = path.trim_matches('/').trim_end_matches(".git");
    (!host.is_empty() && !path.is_empty()).then(|| format!("https://{host}/{path}"))
}

/// Whether both name the same repository: the usual hosts ignore case.
pub fn is_same(one: &str, other: &str) -> bool {
    let same = |text: &str| page(text).unwrap_or_else(|| text.to_owned()).to_lowercase();
    same(one) == same(other)
}

/// The statement about an image.
pub fn statement(vars: &BTreeMap<String, String>, facts: &Facts<'_>) -> Value {
    let Facts { image, repository, commit, lock, platform, features, content } = facts;
    let digest = image.digest.as_ref().map(|digest| digest.as_str().trim_start_matches("sha256:")).unwrap_or_default();
    let reference = job::of_job(vars, "GITHUB_REF");
    let mut external = json!({ "repository": repository });
    if let Some(reference) = reference {
        external["ref"] = reference.into();
    }
    if let Some(path) = workflow(vars) {
        external["workflow"] = json!({ "path": path.path, "ref": path.reference });
    }
    let mut dependencies = Vec::new();
    if let Some(commit) = commit {
        let at = reference.map(|reference| format!("@{reference}")).unwrap_or_default();
        dependencies.push(json!({ "uri": format!("git+{repository}{at}"), "digest": { "gitCommit": commit } }));
    }
    dependencies.push(json!({ "name": LOCK, "digest": { "sha256": lock } }));
    let mut run = json!({ "builder": { "id": builder(vars) } });
    if let Some(page) = job::run_url(vars) {
        run["metadata"] = json!({ "invocationId": page });
    }
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": image.name(), "digest": { "sha256": digest } }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": external,
                "internalParameters": { "platform": platform, "features": features, "contentTag": content },
                "resolvedDependencies": dependencies,
            },
            "runDetails": run,
        },
    })
}

/// The builder: the workflow of a GitHub job, or an unverifiable machine.
fn builder(vars: &BTreeMap<String, String>) -> String {
    let workflow = job::of_job(vars, "GITHUB_WORKFLOW_REF");
    workflow.map_or_else(|| LOCAL.to_owned(), |workflow| format!("{}/{workflow}", server(vars)))
}

struct Workflow<'a> {
    path: &'a str,
    reference: &'a str,
}

/// The parts of `OWNER/REPO/PATH@REF`.
fn workflow(vars: &BTreeMap<String, String>) -> Option<Workflow<'_>> {
    let (file, reference) = job::of_job(vars, "GITHUB_WORKFLOW_REF")?.split_once('@')?;
    let path = file.splitn(3, '/').nth(2)?;
    Some(Workflow { path, reference })
}

fn server(vars: &BTreeMap<String, String>) -> &str {
    job::set(vars, "GITHUB_SERVER_URL").unwrap_or("https://github.com")
}

#[derive(Deserialize)]
struct InTotoStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<ResourceDescriptor>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct ResourceDescriptor {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Run,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    #[serde(default)]
    external_parameters: Value,
    #[serde(default)]
    resolved_dependencies: Vec<ResourceDescriptor>,
}

#[derive(Deserialize)]
struct Run {
    builder: Builder,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Builder {
    id: String,
}

/// Reads a statement; `None` if it is no SLSA provenance of version 1.
pub fn read(bytes: &[u8]) -> Option<Provenance> {
    let statement: InTotoStatement = serde_json::from_slice(bytes).ok()?;
    if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
        return None;
    }
    let Predicate { build_definition: definition, run_details: run } = statement.predicate;
    let commits = definition.resolved_dependencies.into_iter().filter_map(|mut one| one.digest.remove("gitCommit"));
    Some(Provenance {
        digests: statement.subject.into_iter().filter_map(|mut one| one.digest.remove("sha256")).collect(),
        builder: run.builder.id,
        repository: definition.external_parameters["repository"].as_str().unwrap_or_default().to_owned(),
        commit: commits.into_iter().next(),
        run: run.metadata["invocationId"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
