use serde_json::{Value, json};

use super::*;
use machine::interrupt::Interrupt;

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

fn told() -> Provenance {
    let builder = format!("{REPOSITORY}/.github/workflows/release.yml@refs/heads/main");
    Provenance { digests: vec![HEX.to_owned()], builder, repository: REPOSITORY.to_owned(), commit: None, run: None }
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
    let local = Provenance { builder: provenance::LOCAL.to_owned(), ..told() };
    assert!(from(&local, REPOSITORY).is_ok(), "a machine that nobody vouches for has no address");
    for other in [
        Provenance { repository: "https://github.com/octo/other".to_owned(), ..told() },
        Provenance { builder: format!("{REPOSITORY}-2/.github/workflows/release.yml@main"), ..told() },
        Provenance { builder: "https://github.com/somebody/else/.github/workflows/x.yml@main".to_owned(), ..told() },
        Provenance { repository: String::new(), ..told() },
    ] {
        let failure = from(&other, REPOSITORY).unwrap_err();
        assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::Attestation), "{other:?}");
    }
}

#[tokio::test]
async fn an_image_of_uncommitted_sources_is_refused() {
    let told = Provenance { commit: None, ..told() };
    let failure = super::commit(&context(), &told).await.unwrap_err();
    assert!(failure.message.contains("uncommitted changes"));
}
