//! The commands, each in a world in which it has something to do.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Case;
use crate::fakes::one_off::{Tasks, outputs};
use crate::fakes::ssm::{OWN_KEY, Version};
use crate::fakes::{DIGEST, Ending, Fakes, OTHER_DIGEST, World};
use crate::one_off;
use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::snapshots::needs;
use crate::snapshots::secret::PARAMETER;
use crate::sources::root;

pub(super) const LOCK: &str = "/xtask/rest-api-dev/lock";

/// A lock with a recent heartbeat, held on another machine.
pub(super) fn lock_of(id: &str) -> Version {
    let value = format!(
        r#"{{"id":"{id}","by":"arn:aws:iam::111122223333:user/{id}","doing":"release","since":"2026-01-02T03:04:05Z","machine":"far away","process":1}}"#
    );
    let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    Version { value, written, key: None }
}

/// A world in which these commands were run.
fn after(world: World, commands: &[&[&str]], between: fn(&Sandbox)) -> (World, Sandbox) {
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    for command in commands {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        between(&sandbox);
    }
    let world = fakes.world().clone();
    (world, sandbox)
}

fn other_port() -> String {
    DEPLOY_TOML.replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n")
}

pub(super) fn released() -> World {
    after(World::default(), &[&["release"]], |_| {}).0
}

fn released_twice() -> World {
    after(World::default(), &[&["release"], &["release"]], |sandbox| sandbox.write("deploy.toml", &other_port())).0
}

#[test]
fn the_first_release() {
    Case::of(&["release"], World::default()).at_every_request();
}

#[test]
fn a_release_that_builds_on_others() {
    Case { files: needs::files(), ..Case::of(&["release"], needs::nothing()) }.at_every_request();
}

#[test]
fn a_release_that_changes_a_parameter() {
    let case = Case::of(&["release"], released());
    Case { files: vec![("deploy.toml", other_port())], ..case }.at_every_request();
}

#[test]
fn a_release_that_cloudformation_rolls_back() {
    let world = World { ending: Ending::RolledBack, ..released() };
    let case = Case::of(&["release"], world);
    Case { files: vec![("deploy.toml", other_port())], code: 4, ..case }.at_every_request();
}

#[test]
fn a_release_whose_template_goes_through_the_bucket() {
    let world = World { bucket: Some(BTreeMap::new()), ..World::default() };
    let case = Case::of(&["release"], world);
    let template = format!("{}#{}\n", crate::weights::TEMPLATE, "#".repeat(60_000));
    Case { files: vec![("infra/backend.yaml", template)], ..case }.at_every_request();
}

#[test]
fn a_first_release_with_a_command_before_it() {
    let outputs = outputs().into_iter().collect();
    let world = World { tasks: Some(Tasks::ending(0, &["applied"])), outputs, ..World::default() };
    let settings = one_off::settings(&serde_json::json!(["/api", "migrate"]));
    let files = vec![("deploy.toml", settings), ("infra/backend.yaml", one_off::TEMPLATE.to_owned())];
    Case { files, ..Case::of(&["release"], world) }.at_every_request();
}

#[test]
fn a_command_in_a_task() {
    let world = one_off::serving(Tasks::ending(0, &["done"]));
    Case::of(&["run", "dev", "--", "/api", "migrate"], world).at_every_request();
}

#[test]
fn an_upgrade_of_listener_rules_in_two_steps() {
    let (fakes, _sandbox) = crate::weights::shifted((0, 100));
    let case = Case::of(&["release"], fakes.world().clone());
    Case { files: vec![("infra/backend.yaml", crate::weights::upgraded())], ..case }.at_every_request();
}

#[test]
fn a_deployment() {
    const COMMAND: &[&str] = &[
        "deploy",
        "dev",
        "--image",
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317",
    ];
    assert!(COMMAND[3].ends_with(OTHER_DIGEST));
    Case::of(COMMAND, released()).at_every_request();
}

#[test]
fn a_rollback() {
    let case = Case::of(&["rollback", "dev", "1"], released_twice());
    Case { files: vec![("deploy.toml", other_port())], ..case }.at_every_request();
}

#[test]
fn a_plan_that_is_applied() {
    let (world, sandbox) = after(World::default(), &[&["plan", "dev", "--out", "plan.json"]], |_| {});
    let plan = fs::read_to_string(sandbox.path().join("plan.json")).unwrap();
    let case = Case::of(&["apply", "plan.json"], world);
    Case { files: vec![("plan.json", plan)], is_planned: true, ..case }.at_every_request();
}

#[test]
fn a_removal() {
    Case::of(&["destroy", "dev", "--images", "--yes"], released()).at_every_request();
}

#[test]
fn images_that_are_no_longer_needed() {
    let world = World { old_images: [DIGEST, OTHER_DIGEST].map(str::to_owned).into(), ..released_twice() };
    let case = Case::of(&["prune", "--yes"], world);
    Case { files: vec![("deploy.toml", other_port())], ..case }.at_every_request();
}

#[test]
fn a_lock_of_another_holder() {
    let mut world = released();
    world.journal.insert(LOCK.to_owned(), vec![lock_of("one")]);
    Case { is_locked: true, ..Case::of(&["unlock", "--yes"], world) }.at_every_request();
}

#[test]
fn a_secret_that_is_stored() {
    let case = Case::of(&["secret", "set", "dev", "PASSWORD"], World::default());
    Case { input: b"value\n", ..case }.at_every_request();
}

#[test]
fn a_secret_that_is_removed() {
    let mut world = released();
    world.journal.insert(PARAMETER.to_owned(), vec![Version::of("value", Some(OWN_KEY))]);
    let case = Case::of(&["secret", "remove", "dev", "PASSWORD", "--yes"], world);
    case.at_every_request();
}

#[test]
fn bootstrap_before_the_first_release() {
    let template = fs::read_to_string(root().join("infra/bootstrap.yaml")).unwrap();
    let case = Case::of(&["bootstrap", "dev", "--yes"], crate::snapshots::bootstrap::account());
    Case { files: vec![("infra/bootstrap.yaml", template)], ..case }.at_every_request();
}
