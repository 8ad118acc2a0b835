//! `deploy --image`: what cannot run is refused before a stack is touched, and what runs keeps a tag.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::json;

use crate::fakes::{DIGEST, Fakes, REPOSITORY, World};
use crate::sandbox::Ended;

const CONFIGURATION: &str = "sha256:7777777777777777777777777777777777777777777777777777777777777777";

fn world(manifest: serde_json::Value) -> World {
    World {
        repository: Some(BTreeMap::from([("v1".to_owned(), DIGEST.to_owned())])),
        manifest: Some(manifest.to_string()),
        ..World::default()
    }
}

/// Deploys tag v1 for one kind of processor, whatever machine this is.
fn deploy(fakes: &Fakes, more: &[&str]) -> Ended {
    let sandbox = fakes.sandbox();
    let settings = crate::sandbox::DEPLOY_TOML.replace(
        "[environments.production]",
        "[environments.dev.parameters]\nArchitecture = \"x86_64\"\n\n[environments.production]",
    );
    sandbox.write("deploy.toml", &settings);
    sandbox.write(
        "infra/backend.yaml",
        "Parameters:\n  ContainerURI: {Type: String}\n  ContainerPort: {Type: Number, Default: 80}\n  Architecture: \
         {Type: String, Default: x86_64}\nResources:\n  Gateway: {Type: AWS::ApiGateway::RestApi}\nOutputs:\n  \
         ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}\n",
    );
    let image = format!("{REPOSITORY}:v1");
    let ended = sandbox.run(&[&["deploy", "dev", "--image", &image][..], more].concat());
    let changed = fakes.world().changes;
    assert_eq!(changed, u32::from(ended.code == 0 && more.is_empty()), "{}", ended.stderr);
    ended
}

#[test]
fn a_chart_is_no_image() {
    let config = json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": CONFIGURATION, "size": 2});
    let fakes = Fakes::start(world(json!({"schemaVersion": 2, "config": config})));
    assert_snapshot!(deploy(&fakes, &[]).snapshot(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: the image cannot run in this environment
      resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api:v1
      reason: it is application/vnd.cncf.helm.config.v1+json, and no image
      next: name an image for linux/amd64; the environment's parameter Architecture decides
    ");
}

#[test]
fn an_index_has_to_have_the_platform() {
    let part =
        |processor: &str| json!({"digest": CONFIGURATION, "platform": {"os": "linux", "architecture": processor}});
    let fakes = Fakes::start(world(json!({"schemaVersion": 2, "manifests": [part("arm64"), part("s390x")]})));
    let ended = deploy(&fakes, &[]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("it is for linux/arm64, linux/s390x, and dev runs linux/amd64"), "{}", ended.stderr);
}

#[test]
fn an_image_for_another_processor_is_refused_by_its_configuration() {
    let bytes = br#"{"os":"linux","architecture":"arm64"}"#.to_vec();
    // The registry's blobs are compared with their digests.
    let digest = "sha256:c21740f5cb55c7e3a2197b08ebd0ba12f673ff5aa9869bf892b0c85dcaf5c413";
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": bytes.len()});
    let mut world = world(json!({"schemaVersion": 2, "config": config}));
    world.attached.insert(digest.to_owned(), bytes);
    let ended = deploy(&Fakes::start(world), &["--dry-run"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("it is for linux/arm64, and dev runs linux/amd64"), "{}", ended.stderr);
}

#[test]
fn an_image_named_by_a_movable_tag_gets_an_immutable_tag() {
    let part = json!({"digest": CONFIGURATION, "platform": {"os": "linux", "architecture": "amd64"}});
    let manifest = json!({"schemaVersion": 2, "manifests": [part]});
    let tags = |mutable: bool| {
        let fakes = Fakes::start(World { mutable, ..world(manifest.clone()) });
        assert_eq!(deploy(&fakes, &[]).code, 0);
        let tags = fakes.world().repository.clone().unwrap();
        tags.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(tags(true), [DIGEST.replace("sha256:", "deployed-"), "v1".to_owned()]);
    assert_eq!(tags(false), ["v1"]);
}

#[test]
#[cfg(target_os = "linux")]
fn doctor_warns_of_tags_that_can_be_moved() {
    let told = |mutable: bool| {
        let fakes = Fakes::start(World { mutable, ..world(json!({})) });
        let ended = fakes.sandbox().run(&["doctor", "dev"]);
        let lines = ended.stdout.lines().skip_while(|line| !line.starts_with("?? repository")).take(2);
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(told(true), @r"
    ?? repository  tags of rest-api are mutable: a tag may come to name another image
                   next: aws ecr put-image-tag-mutability --region eu-central-1 --repository-name rest-api --image-tag-mutability IMMUTABLE
    ");
    assert_eq!(told(false), "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_plan_is_not_applied_with_a_change_set_of_no_known_image() {
    let fakes = Fakes::start(World { repository: Some(BTreeMap::new()), ..World::default() });
    let sandbox = fakes.sandbox();
    let planned = sandbox.run(&["plan", "dev", "--out", "plan.json"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    fakes.world().proposed.as_mut().unwrap().1.remove("ContainerURI");
    let ended = sandbox.run(&["apply", "plan.json", "--no-smoke"]);
    assert_eq!((ended.code, fakes.world().changes), (1, 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("it is of no image that CloudFormation names"), "{}", ended.stderr);
}
