//! Listener rules whose weights ECS has shifted: requests go where they went, whatever an update does.
#![cfg(target_os = "linux")]

use crate::fakes::listener::{Listener, SECRET};
use crate::fakes::{Ending, Fakes, World};
use crate::sandbox::{Ended, Sandbox};

const FILE: &str = "infra/backend.yaml";
pub(crate) const TEMPLATE: &str = "\
Metadata:
  Release:
    Proof: {Service: Service, Secret: ProofSecret, Header: X-Release-Proof, Rules: [GatewayRule, ProofRule]}
    Weights:
      Parameter: LiveTargetGroup
      Rules: [GatewayRule, ProofRule]
      Values: {MAIN: TargetGroup, ALTERNATE: AlternateTargetGroup}
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 80}
  LiveTargetGroup: {Type: String, Default: MAIN, AllowedValues: [MAIN, ALTERNATE]}
Resources:
  GatewayRule: {Type: AWS::ElasticLoadBalancingV2::ListenerRule}
Outputs:
  ApiGatewayURL: {Value: x}
";
const ASKED: &str = "elasticloadbalancing:DescribeRules";

/// A stack that was released once, whose parameter says `MAIN`, and whose rules have these weights by now.
pub(crate) fn shifted(weights: (u32, u32)) -> (Fakes, Sandbox) {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    sandbox.write(FILE, TEMPLATE);
    let first = sandbox.run(&["release"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let mut world = fakes.world();
    world.parameters.insert("LiveTargetGroup".to_owned(), "MAIN".to_owned());
    (world.listener, world.changes) = (Some(Listener::of(weights)), 0);
    drop(world);
    (fakes, sandbox)
}

/// A newer version of the template, which changes the rules.
pub(crate) fn upgraded() -> String {
    TEMPLATE.replace("Default: 80", "Default: 81")
}

fn upgrade(sandbox: &Sandbox) {
    sandbox.write(FILE, &upgraded());
}

fn parameter(fakes: &Fakes) -> String {
    fakes.world().parameters["LiveTargetGroup"].clone()
}

fn changes(fakes: &Fakes) -> u32 {
    fakes.world().changes
}

fn template(fakes: &Fakes) -> String {
    fakes.world().template.clone()
}

fn has_proposal(fakes: &Fakes) -> bool {
    fakes.world().proposed.is_some()
}

fn listener(fakes: &Fakes) -> Listener {
    fakes.world().listener.clone().unwrap()
}

fn well(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_release_that_changes_no_rule_leaves_weights_and_parameter_alone() {
    let (fakes, sandbox) = shifted((0, 100));
    sandbox.write(
        "deploy.toml",
        &crate::sandbox::DEPLOY_TOML.replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n"),
    );
    well(&sandbox.run(&["release"]));
    let now = listener(&fakes);
    assert_eq!((now.weights, now.updates.len(), parameter(&fakes).as_str()), ((0, 100), 0, "MAIN"));
    assert!(!fakes.world().asked.iter().any(|action| action == ASKED), "nothing depends on it");
}

#[test]
fn an_upgrade_of_the_rules_needs_no_allowance_where_the_parameter_is_right() {
    let (fakes, sandbox) = shifted((100, 0));
    upgrade(&sandbox);
    well(&sandbox.run(&["release"]));
    assert_eq!((changes(&fakes), listener(&fakes).updates), (1, vec![(1, 0)]));
}

#[test]
fn an_upgrade_of_the_rules_begins_with_the_weights_that_they_have() {
    let (fakes, sandbox) = shifted((0, 100));
    upgrade(&sandbox);
    let ended = sandbox.run(&["release"]);
    well(&ended);
    assert!(
        ended.stderr.contains("first LiveTargetGroup becomes ALTERNATE, as the listener shows"),
        "{}",
        ended.stderr
    );
    assert_eq!((changes(&fakes), parameter(&fakes).as_str()), (2, "ALTERNATE"));
    assert_eq!(listener(&fakes).updates, [(0, 1), (0, 1)], "requests never go elsewhere");
    assert!(template(&fakes).contains("Default: 81"));
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET));
}

#[test]
fn an_upgrade_that_fails_leaves_requests_where_they_go() {
    let (fakes, sandbox) = shifted((0, 100));
    upgrade(&sandbox);
    fakes.world().ending = Ending::RolledBack;
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    let now = listener(&fakes);
    assert_eq!((now.updates.len(), now.weights), (2, (0, 1)), "the rollback restores the right weights");
    assert!(template(&fakes).contains("Default: 80"));
}

#[test]
fn nothing_is_changed_while_a_deployment_shifts_traffic() {
    let (fakes, sandbox) = shifted((90, 10));
    upgrade(&sandbox);
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("a deployment shifts traffic at this moment"), "{}", ended.stderr);
    assert!(changes(&fakes) == 0 && !has_proposal(&fakes), "the change set is deleted");
}

#[test]
fn a_plan_which_is_one_update_says_what_makes_both() {
    let (fakes, sandbox) = shifted((0, 100));
    upgrade(&sandbox);
    let ended = sandbox.run(&["plan", "dev", "--out", "plan.json"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("cargo xtask release dev makes both"), "{}", ended.stderr);
    assert!(!has_proposal(&fakes), "the change set is deleted");
    // Whoever wants it in one gets the right weights all the same.
    let allowed = ["plan", "dev", "--out", "plan.json", "--allow", "GatewayRule", "--allow", "ProofRule"];
    well(&sandbox.run(&allowed));
    well(&sandbox.run(&["apply", "plan.json"]));
    assert_eq!((changes(&fakes), listener(&fakes).weights, parameter(&fakes).as_str()), (1, (0, 1), "ALTERNATE"));
}

#[test]
fn a_stack_of_an_older_template_gets_the_weights_with_the_upgrade() {
    let (fakes, sandbox) = shifted((0, 100));
    fakes.world().parameters.remove("LiveTargetGroup");
    upgrade(&sandbox);
    let refused = sandbox.run(&["release"]);
    assert!(refused.code == 1 && refused.stderr.contains("--allow GatewayRule"), "{}", refused.stderr);
    assert_eq!(changes(&fakes), 0);
    well(&sandbox.run(&["release", "--allow", "GatewayRule"]));
    assert_eq!((changes(&fakes), listener(&fakes).updates, parameter(&fakes).as_str()), (1, vec![(0, 1)], "ALTERNATE"));
}

#[test]
fn the_parameter_is_the_tools_own() {
    let (_fakes, sandbox) = shifted((1, 0));
    let settings = std::fs::read_to_string(sandbox.path().join("deploy.toml")).unwrap();
    sandbox
        .write("deploy.toml", &format!("{settings}\n[environments.dev.parameters]\nLiveTargetGroup = \"ALTERNATE\"\n"));
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("the tool sets it by itself"), "{}", ended.stderr);
}

#[test]
fn one_goes_back_to_an_earlier_text_in_two_steps_as_well() {
    let (fakes, sandbox) = shifted((100, 0));
    upgrade(&sandbox);
    well(&sandbox.run(&["release"]));
    fakes.world().listener = Some(Listener::of((0, 100)));
    let back = sandbox.run(&["rollback"]);
    well(&back);
    assert_eq!(listener(&fakes).updates, [(0, 1), (0, 1)], "{}", back.stderr);
    assert!(template(&fakes).contains("Default: 80") && parameter(&fakes) == "ALTERNATE");
}
