use serde_json::{Value, json};

use super::*;
use crate::interrupt::Interrupt;

const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const REPOSITORY: &str = "https://github.com/octo/notes";

fn digest() -> Digest {
    format!("sha256:{HEX}").parse().unwrap()
}

fn attached(document: &Value) -> Attached {
    Attached { digest: "sha256:1".to_owned(), bytes: document.to_string().into_bytes() }
}

fn context() -> Context {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n";
    Context::of(config::deployment::Deployment::parse("deploy.toml", text).unwrap(), Interrupt::never())
}

fn told() -> Told {
    let builder = format!("{REPOSITORY}/.github/workflows/release.yml@refs/heads/main");
    Told { digests: vec![HEX.to_owned()], builder, repository: REPOSITORY.to_owned(), commit: None, run: None }
}

#[test]
fn a_bill_of_another_service_or_image_is_told() {
    let bill = |name: &str, version: &str| {
        let described = json!({ "name": name, "version": version });
        attached(&json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": { "component": described } }))
    };
    let look = |attached: &Attached| bom(attached, &context(), &digest()).map_err(|failure| failure.message);
    assert!(look(&bill("rest-api", digest().as_str())).is_ok());
    assert_eq!(look(&bill("other", digest().as_str())).unwrap_err(), "the bill of materials is of another service");
    assert_eq!(look(&bill("rest-api", "sha256:1")).unwrap_err(), "the bill of materials is of another image");
    assert_eq!(look(&attached(&json!({}))).unwrap_err(), "the bill of materials is not CycloneDX in JSON");
}

#[test]
fn provenance_of_another_image_is_told_and_the_good_one_of_several_counts() {
    let about = |hex: &str| {
        attached(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": hex } }],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": { "buildDefinition": {}, "runDetails": { "builder": { "id": "x" } } },
        }))
    };
    let (good, other, none) = (about(HEX), about("bb"), attached(&json!([])));
    assert_eq!(statement(&other, &digest()).unwrap_err().message, "the provenance is of another image");
    assert_eq!(statement(&none, &digest()).unwrap_err().message, "the provenance is not SLSA's, version 1");
    let all = [none, other, good];
    assert!(first(&all, |one| statement(one, &digest())).unwrap().1.is_ok());
    assert!(first(&all[..2], |one| statement(one, &digest())).unwrap().1.is_err());
    assert!(first(&all[..0], |one| statement(one, &digest())).is_none());
}

#[test]
fn sources_and_builder_are_of_the_repository() {
    assert_eq!(from(&told(), "git@github.com:Octo/notes.git").unwrap(), REPOSITORY);
    let local = Told { builder: provenance::LOCAL.to_owned(), ..told() };
    assert!(from(&local, REPOSITORY).is_ok(), "a machine that nobody vouches for has no address");
    for other in [
        Told { repository: "https://github.com/octo/other".to_owned(), ..told() },
        Told { builder: format!("{REPOSITORY}-2/.github/workflows/release.yml@main"), ..told() },
        Told { builder: "https://github.com/somebody/else/.github/workflows/x.yml@main".to_owned(), ..told() },
        Told { repository: String::new(), ..told() },
    ] {
        let failure = from(&other, REPOSITORY).unwrap_err();
        assert_eq!((failure.exit, failure.kind), (Exit::Preflight, "attestation"), "{other:?}");
    }
}

/// With a commit that the clone has, `verify` is tried on images of real clones (`rehearsal`).
#[tokio::test]
async fn a_commit_that_the_clone_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context();
    context.root = folder.path().to_owned();
    let look = async |commit: Option<&str>| {
        let told = Told { commit: commit.map(str::to_owned), ..told() };
        super::commit(&context, &told).await.map_err(|failure| failure.message)
    };
    for unknown in ["0123456789abcdef0123456789abcdef01234567", "HEAD", "--help"] {
        assert!(look(Some(unknown)).await.unwrap_err().contains("not in this clone"), "{unknown}");
    }
    assert!(look(None).await.unwrap_err().contains("uncommitted changes"));
    let shallow = tempfile::tempdir().unwrap();
    git(&["commit", "--quiet", "--allow-empty", "--message", "two"]);
    let (from, to) = (format!("file://{}", folder.path().display()), shallow.path().to_str().unwrap());
    git(&["clone", "--quiet", "--depth", "1", &from, to]);
    let head = git(&["rev-parse", "HEAD"]);
    context.root = shallow.path().to_owned();
    let look = async |commit: &str| {
        let told = Told { commit: Some(commit.to_owned()), ..told() };
        super::commit(&context, &told).await
    };
    assert_eq!(look(&head).await.unwrap(), head);
    let failure = look(&known).await.unwrap_err();
    assert_eq!((failure.exit, failure.kind), (Exit::Preflight, "attestation"));
    assert!(failure.hint.unwrap().starts_with("git fetch --unshallow"));
}

#[tokio::test]
async fn a_clone_that_git_does_not_read_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context();
    context.root = folder.path().to_owned();
    let told = Told { commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()), ..told() };
    let failure = super::commit(&context, &told).await.unwrap_err();
    assert!(failure.kind == "git" && failure.reason.unwrap().contains("not a git repository"));
}
