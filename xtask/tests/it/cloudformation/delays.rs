//! The moment at which AWS shows the new state and the moment at which it shows the events are independent of each
//! other, and neither misleads.

use super::*;
use crate::fakes::timeline::{End, ResourceEvent};

const FAILED: ResourceEvent =
    (1, "Gateway", "AWS::ApiGateway::RestApi", "", "UPDATE_FAILED", "the account has too many gateways");

pub(super) fn a_deployment_ends_as_its_stack_however_late_the_answers_are() {
    let delays = [0, 2, 12, 60];
    let cases: Vec<(u64, u64)> = delays.iter().flat_map(|state| delays.map(|events| (*state, events))).collect();
    side_by_side(&cases, |(state, events)| {
        let after = deploy(world(stack("UPDATE_COMPLETE").late(*state, *events)));
        assert_eq!(after.ended.code, 0, "state {state} s, events {events} s late: {}", after.words());
        assert_eq!(after.truth(), "UPDATE_COMPLETE");
    });
}

pub(super) fn so_does_every_other_operation() {
    let rolled_back = || Timeline { end: End::RolledBack, said: vec![FAILED], ..stack("UPDATE_COMPLETE") };
    type Case = (&'static str, fn() -> Timeline, &'static [&'static str], i32, &'static str);
    let operations: [Case; 7] = [
        ("create", Timeline::none, &DEPLOY, 0, "CREATE_COMPLETE"),
        ("fail", rolled_back, &DEPLOY, 4, "UPDATE_ROLLBACK_COMPLETE"),
        ("destroy", || stack("UPDATE_COMPLETE"), &["destroy", "dev", "--yes"], 0, "DELETE_COMPLETE"),
        ("recover", || stack("UPDATE_ROLLBACK_FAILED"), &["recover", "dev", "--yes"], 0, "UPDATE_ROLLBACK_COMPLETE"),
        ("halted", || stack("UPDATE_FAILED"), &["recover", "dev", "--yes"], 0, "UPDATE_ROLLBACK_COMPLETE"),
        (
            "cancel",
            || stack("UPDATE_IN_PROGRESS").for_ever(),
            &["cancel", "dev", "--yes"],
            0,
            "UPDATE_ROLLBACK_COMPLETE",
        ),
        ("recreate", || stack("ROLLBACK_COMPLETE"), &DEPLOY, 0, "CREATE_COMPLETE"),
    ];
    let delays = [(0, 0), (12, 0), (60, 0), (0, 60), (60, 60)];
    let cases: Vec<(Case, (u64, u64))> =
        operations.iter().flat_map(|operation| delays.map(|delay| (*operation, delay))).collect();
    side_by_side(&cases, |((name, timeline, arguments, code, truth), (state, events))| {
        let after = run(world(timeline().late(*state, *events)), arguments);
        let about = format!("{name}, state {state} s, events {events} s late: {}", after.words());
        assert_eq!((after.ended.code, after.truth().as_str()), (*code, *truth), "{about}");
        if *name == "fail" {
            assert!(after.words().contains("reason: the account has too many gateways"), "{about}");
        }
    });
}

pub(super) fn a_rollback_to_an_earlier_release_is_followed_too() {
    let cases = [(60, 0), (0, 60), (12, 2)];
    side_by_side(&cases, |(state, events)| {
        let (fakes, sandbox) = start(world(stack("UPDATE_COMPLETE")));
        for tag in ["v1", "v2"] {
            let image = format!("{REPOSITORY}:{tag}");
            let ended = end(&sandbox, sandbox.start(&["deploy", "dev", "--image", &image, "--no-smoke"]), 100);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
        }
        let timeline = fakes.world().timeline.take().unwrap();
        fakes.world().timeline = Some(timeline.late(*state, *events));
        let ended = end(&sandbox, sandbox.start(&["rollback", "dev", "--no-smoke"]), 200);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    });
}
