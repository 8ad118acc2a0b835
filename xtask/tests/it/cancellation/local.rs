//! `release --local`, on an engine that a container of an earlier release runs on, or none.

use super::Case;
use crate::fakes::{OTHER_DIGEST, World};

/// The service of the fakes, at the port that every container is published at.
const SETTINGS: &str = r#"[service]
name = "rest-api"
port = {port}
health_path = "/live/api/greeting"
smoke_path = "/live/api/greeting"
version_path = "/live/version"

[environments.dev]
region = "eu-central-1"
stack = "rest-api-dev"
template = "infra/backend.yaml"
"#;

fn case(world: World) -> Case {
    let files = vec![("deploy.toml", SETTINGS.to_owned())];
    Case { files, ..Case::of(&["release", "--local"], world) }
}

#[test]
fn the_first_local_release() {
    case(World::default()).at_every_request();
}

#[test]
fn a_local_release_that_takes_over() {
    let case = case(World::default());
    let (fakes, sandbox) = case.start(None);
    assert_eq!(sandbox.run(case.arguments).code, 0);
    let mut world = fakes.world().clone();
    // What runs is another image.
    world.containers[0].body["Image"] = OTHER_DIGEST.into();
    world.serves = Some(OTHER_DIGEST.to_owned());
    Case { world, ..case }.at_every_request();
}
