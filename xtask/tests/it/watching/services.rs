//! ECS services that do not start, and stacks that others turn.

use super::*;
use crate::counterparts::service::{ARN, Service};
use crate::counterparts::story::{End, Said};

const SERVICE: &str = "AWS::ECS::Service";
const UNPLACED: &str = "(service rest-api) was unable to place a task because no container instance met all of its \
                        requirements. Reason: No Container Instances were found in your cluster.";
const BEGUN: Said = (0, "Service", SERVICE, ARN, "UPDATE_IN_PROGRESS", "");

fn service(said: &[Said], service: Service, end: End) -> World {
    let said = [&[BEGUN], said].concat();
    let step = Duration::from_secs(9);
    World { service: Some(service), ..world(Story { said, step, end, ..stack("UPDATE_COMPLETE") }) }
}

pub(super) fn tasks_that_cannot_be_placed_are_told_in_ecs_words_within_seconds_and_at_the_end() {
    let failed = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", "Exceeded attempts to wait");
    let told = Service { events: vec![UNPLACED], ..Service::default() };
    let after = run(service(&[failed], told, End::RolledBack), &DEPLOY[..5]);
    let words = after.words();
    assert_eq!(after.ended.code, 4, "{words}");
    let (line, event) = (words.find(&format!("Service: {UNPLACED}")), words.find("Exceeded attempts to wait"));
    assert!(line.unwrap() < event.unwrap(), "{words}");
    assert!(words.contains(&format!("reason: Exceeded attempts to wait; ECS says: {UNPLACED}")), "{words}");
    assert_eq!(words.matches(&format!("Service: {UNPLACED}")).count(), 1, "{words}");
}

pub(super) fn answers_of_ecs_that_cannot_be_read_are_one_warning() {
    let definition = "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api:8";
    let task = (0, "Task", "AWS::ECS::TaskDefinition", definition, "CREATE_COMPLETE", "");
    let told = Service { is_unreadable: true, ..Service::default() };
    let after = run(service(&[task], told, End::Done), &DEPLOY);
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert_eq!(after.words().matches("cannot be read").count(), 1, "{}", after.words());
}

pub(super) fn an_update_that_can_only_fail_is_cancelled_with_yes_and_not_unasked() {
    let crashed = Service { stopped: vec![("a1", 3), ("b2", 3)], ..Service::default() };
    side_by_side(&[true, false], |yes| {
        let failed = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", "Error occurred during operation");
        let world = service(&[failed], crashed.clone(), End::RolledBack);
        let after = run(world, if *yes { &DEPLOY } else { &DEPLOY[..5] });
        assert_eq!(after.ended.code, 4, "{}", after.words());
        assert!(after.words().contains("ended with exit code 3"), "{}", after.words());
        let cancelled = after.calls().iter().any(|call| call == "CancelUpdateStack");
        assert_eq!(cancelled, *yes, "{}", after.words());
    });
}

#[test]
fn the_cause_is_found_inside_a_nested_stack() {
    const NETWORK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-Network-X/2";
    const OWN: &str = "AWS::CloudFormation::Stack";
    let embedded = "Embedded stack was not successfully updated: The following resource(s) failed to create: [Subnet]";
    let said = vec![(1, "Network", OWN, NETWORK, "UPDATE_FAILED", embedded)];
    let inside = vec![
        (0, "rest-api-Network-X", OWN, NETWORK, "UPDATE_IN_PROGRESS", ""),
        (0, "Route", "AWS::EC2::Route", "r", "CREATE_FAILED", "Resource creation cancelled"),
        (0, "Subnet", "AWS::EC2::Subnet", "s", "CREATE_FAILED", "The CIDR '10.0.0.0/8' is invalid"),
        (0, "rest-api-Network-X", OWN, NETWORK, "UPDATE_FAILED", "The following resource(s) failed"),
    ];
    let nested = [(NETWORK, inside)].into();
    let after = deploy_json(world(Story { said, nested, end: End::RolledBack, ..stack("UPDATE_COMPLETE") }));
    let error = after.error();
    assert_eq!((after.ended.code, &error["reason"]), (4, &"The CIDR '10.0.0.0/8' is invalid".into()), "{error}");
    assert_eq!(error["resource"], "Network/Subnet (AWS::EC2::Subnet)");
}

#[test]
fn a_stack_that_somebody_else_deletes_meanwhile_is_gone() {
    let after = deploy_json(world(Story { end: End::Deleted, ..stack("UPDATE_COMPLETE") }));
    assert_eq!((after.ended.code, &after.error()["kind"]), (5, &"gone".into()), "{}", after.words());
}

#[test]
fn a_deployment_without_a_smoke_test_needs_no_url() {
    let after = deploy(World { no_url: true, ..world(stack("UPDATE_COMPLETE")) });
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert!(after.ended.stdout.contains("stack rest-api-dev is UPDATE_COMPLETE"), "{}", after.words());
}

#[test]
fn termination_protection_is_found_before_anybody_is_asked() {
    let cases: [(&str, &[&str]); 3] = [
        ("UPDATE_COMPLETE", &["destroy", "dev", "--yes", "--json"]),
        ("ROLLBACK_COMPLETE", &["deploy", "dev", "--image", IMAGE, "--yes", "--json"]),
        ("CREATE_IN_PROGRESS", &["cancel", "dev", "--yes", "--json"]),
    ];
    side_by_side(&cases, |(status, arguments)| {
        let after = run(world(Story { protected: true, ..stack(status).for_ever() }), arguments);
        let error = after.error();
        assert_eq!((after.ended.code, &error["kind"]), (1, &"termination-protection".into()), "{error}");
        assert_eq!(
            error["hint"],
            "aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name \
             rest-api-dev --region eu-central-1"
        );
        assert!(after.calls().is_empty(), "{:?}", after.calls());
    });
}
