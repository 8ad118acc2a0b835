//! ECS services that do not start, and stacks that other users change.

use super::*;
use crate::fakes::service::{ARN, Service};
use crate::fakes::timeline::{End, ResourceEvent};

const SERVICE: &str = "AWS::ECS::Service";
const UNPLACED: &str = "(service rest-api) was unable to place a task because no container instance met all of its \
                        requirements. Reason: No Container Instances were found in your cluster.";
const BEGUN: ResourceEvent = (0, "Service", SERVICE, ARN, "UPDATE_IN_PROGRESS", "");

fn service(said: &[ResourceEvent], service: Service, end: End) -> World {
    let said = [&[BEGUN], said].concat();
    let step = Duration::from_secs(9);
    World { service: Some(service), ..world(Timeline { said, step, end, ..stack("UPDATE_COMPLETE") }) }
}

pub(super) fn tasks_that_cannot_be_placed_are_reported_in_ecs_words_within_seconds_and_at_the_end() {
    let failed = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", "Exceeded attempts to wait");
    let state = Service { events: vec![UNPLACED], ..Service::default() };
    let after = run(service(&[failed], state, End::RolledBack), &DEPLOY[..5]);
    let words = after.words();
    assert_eq!(after.ended.code, 4, "{words}");
    let (line, event) = (words.find(&format!("Service: {UNPLACED}")), words.find("Exceeded attempts to wait"));
    assert!(line.unwrap() < event.unwrap(), "{words}");
    assert!(words.contains(&format!("reason: Exceeded attempts to wait; ECS says: {UNPLACED}")), "{words}");
    assert_eq!(words.matches(&format!("Service: {UNPLACED}")).count(), 1, "{words}");
}

#[test]
fn a_stack_deleted_by_another_user_meanwhile_is_reported_as_gone() {
    let after = deploy_json(world(Timeline { end: End::Deleted, ..stack("UPDATE_COMPLETE") }));
    assert_eq!((after.ended.code, &after.error()["kind"]), (5, &"gone".into()), "{}", after.words());
}

#[test]
fn a_deployment_without_a_smoke_test_needs_no_url() {
    let after = deploy(World { no_url: true, ..world(stack("UPDATE_COMPLETE")) });
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert!(after.ended.stdout.contains("stack rest-api-dev is UPDATE_COMPLETE"), "{}", after.words());
}

#[test]
fn termination_protection_is_found_before_the_confirmation() {
    let cases: [(&str, &[&str]); 3] = [
        ("UPDATE_COMPLETE", &["destroy", "dev", "--yes", "--json"]),
        ("ROLLBACK_COMPLETE", &["deploy", "dev", "--image", IMAGE, "--yes", "--json"]),
        ("CREATE_IN_PROGRESS", &["cancel", "dev", "--yes", "--json"]),
    ];
    side_by_side(&cases, |(status, arguments)| {
        let after = run(world(Timeline { protected: true, ..stack(status).for_ever() }), arguments);
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
