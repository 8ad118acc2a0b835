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
    Context::without_repository(config::deployment::Deployment::parse("deploy.toml", text).unwrap(), Interrupt::never())
}

fn provenance() -> Provenance {
    let builder = format!("{REPOSITORY}/.github/workflows/release.yml@refs/heads/main");
    Provenance { digests: vec![HEX.to_owned()], builder, repository: REPOSITORY.to_owned(), commit: None, run: None }
}

#[test]
fn an_sbom_of_another_service_or_image_is_refused() {
    let sbom = |name: &str, version: &str| {
        let described = json!({ "name": name, "version": version });
        attached(&json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": { "component": described } }))
    };
    let look = |attached: &Attached| check_sbom(attached, &context(), &digest()).map_err(|failure| failure.message);
    assert!(look(&sbom("rest-api", digest().as_str())).is_ok());
    assert_eq!(look(&sbom("other", digest().as_str())).unwrap_err(), "the SBOM describes another service");
    assert_eq!(look(&sbom("rest-api", "sha256:1")).unwrap_err(), "the SBOM describes another image");
    assert_eq!(look(&attached(&json!({}))).unwrap_err(), "the SBOM is not CycloneDX JSON");
}

#[test]
fn provenance_of_another_image_is_refused_and_the_valid_one_of_several_counts() {
    let about = |hex: &str| {
        attached(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": hex } }],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": { "buildDefinition": {}, "runDetails": { "builder": { "id": "x" } } },
        }))
    };
    let (good, other, none) = (about(HEX), about("bb"), attached(&json!([])));
    assert_eq!(check_statement(&other, &digest()).unwrap_err().message, "the provenance describes another image");
    assert_eq!(check_statement(&none, &digest()).unwrap_err().message, "the provenance is not SLSA version 1");
    let all = [none, other, good];
    assert!(first_valid(&all, |one| check_statement(one, &digest())).unwrap().1.is_ok());
    assert!(first_valid(&all[..2], |one| check_statement(one, &digest())).unwrap().1.is_err());
    assert!(first_valid(&all[..0], |one| check_statement(one, &digest())).is_none());
}

#[test]
fn sources_and_builder_belong_to_the_repository() {
    assert_eq!(built_from(&provenance(), "git@github.com:Octo/notes.git").unwrap(), REPOSITORY);
    let local = Provenance { builder: provenance::LOCAL.to_owned(), ..provenance() };
    assert!(built_from(&local, REPOSITORY).is_ok(), "a build on a developer's machine has no address");
    for other in [
        Provenance { repository: "https://github.com/octo/other".to_owned(), ..provenance() },
        Provenance { builder: format!("{REPOSITORY}-2/.github/workflows/release.yml@main"), ..provenance() },
        Provenance {
            builder: "https://github.com/somebody/else/.github/workflows/x.yml@main".to_owned(),
            ..provenance()
        },
        Provenance { repository: String::new(), ..provenance() },
    ] {
        let failure = built_from(&other, REPOSITORY).unwrap_err();
        assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::Attestation), "{other:?}");
    }
}

#[tokio::test]
async fn an_image_of_uncommitted_sources_is_refused() {
    let provenance = Provenance { commit: None, ..provenance() };
    let failure = super::known_commit(&context(), &provenance).await.unwrap_err();
    assert!(failure.message.contains("uncommitted changes"));
}
