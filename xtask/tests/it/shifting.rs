//! Services whose deployments shift traffic: what they do at first, and which settings do not go together with them.
#![cfg(target_os = "linux")]

use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Ended, Sandbox};

const TEMPLATE: &str = "\
Parameters:
  ContainerURI: {Type: String}
  Strategy: {Type: String, Default: ROLLING, AllowedValues: [ROLLING, BLUE_GREEN, LINEAR, CANARY]}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Service:
    Type: AWS::ECS::Service
    Properties: {DeploymentConfiguration: {Strategy: !Ref Strategy, LifecycleHooks: [{TargetType: PAUSE}]}}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";
const REFUSED: &str = "watch_minutes cannot be used while deployments of Service by CANARY pause";

/// The environment's settings.
fn settings(sandbox: &Sandbox, watch: u8, strategy: &str) {
    let (dev, rest) = DEPLOY_TOML.split_once("\n[environments.production]").unwrap();
    let own = format!("watch_minutes = {watch}\n\n[environments.dev.parameters]\nStrategy = \"{strategy}\"\n");
    sandbox.write("deploy.toml", &format!("{dev}{own}\n[environments.production]{rest}"));
    sandbox.write("infra/backend.yaml", TEMPLATE);
}

fn start(watch: u8, strategy: &str) -> (Fakes, Sandbox) {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    settings(&sandbox, watch, strategy);
    (fakes, sandbox)
}

fn well(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn alarms_are_not_watched_while_deployments_pause() {
    let (fakes, sandbox) = start(15, "CANARY");
    // A stack that is created is not watched.
    well(&sandbox.run(&["release"]));
    let changes = fakes.world().changes;
    for command in [&["release"][..], &["release", "--dry-run"], &["plan", "dev", "--out", "plan.json"]] {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, 3, "{command:?}: {}", ended.stderr);
        for words in [REFUSED, "leaves the bad version", "next: remove watch_minutes"] {
            assert!(ended.stderr.contains(words), "{command:?}: {}", ended.stderr);
        }
    }
    let doctor = sandbox.run(&["doctor", "--json"]).json();
    let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "alarms").unwrap();
    assert!(check["detail"].as_str().unwrap().starts_with(REFUSED) && check["ok"] == false, "{check}");
    assert_eq!(fakes.world().changes, changes);
    settings(&sandbox, 15, "ROLLING");
    well(&sandbox.run(&["release"]));
}

#[test]
fn the_first_deployment_of_a_service_shifts_nothing_and_the_next_ones_do() {
    let (_fakes, sandbox) = start(0, "CANARY");
    let said = "the first deployment of Service shifts no traffic";
    let plan = sandbox.run(&["plan", "dev", "--out", "plan.json"]);
    assert!(plan.code == 0 && plan.stderr.contains(said), "{}", plan.stderr);
    let first = sandbox.run(&["release"]);
    assert!(first.code == 0 && first.stderr.contains(said), "{}", first.stderr);
    settings(&sandbox, 0, "LINEAR");
    let second = sandbox.run(&["release"]);
    assert!(second.code == 0 && !second.stderr.contains(said), "{}", second.stderr);
}

#[test]
fn the_way_back_does_not_depend_on_the_alarms_of_another_version() {
    let (fakes, sandbox) = start(0, "CANARY");
    well(&sandbox.run(&["release"]));
    settings(&sandbox, 15, "ROLLING");
    well(&sandbox.run(&["release"]));
    let back = sandbox.run(&["rollback"]);
    well(&back);
    assert!(back.stderr.contains("alarms are not watched: watch_minutes cannot be used"), "{}", back.stderr);
    assert_eq!(fakes.world().parameters["Strategy"], "CANARY");
}
