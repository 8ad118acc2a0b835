//! Dead and stuck stacks, and resources that hold data.

use super::*;
use crate::fakes::timeline::End;

const RECOVER: [&str; 4] = ["recover", "dev", "--yes", "--json"];

#[test]
fn a_dead_stack_is_deleted_and_created_again_in_the_same_run() {
    let cases = ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"];
    side_by_side(&cases, |status| {
        let after = deploy_json(world(stack(status)));
        assert_eq!(after.ended.json()["change"], "create", "{status}: {}", after.words());
        assert_eq!(after.calls()[..2], ["DeleteStack", "CreateChangeSet CREATE"], "{status}");
    });
}

#[test]
fn the_earlier_failure_is_reported_before_a_dead_stack_is_deleted() {
    let timeline = stack("ROLLBACK_COMPLETE").with_history(&[
        (0, "Queue", "AWS::SQS::Queue", "", "CREATE_FAILED", "Resource creation cancelled"),
        (0, "Gateway", "AWS::Test::Thing", "", "CREATE_FAILED", "the account has too many gateways"),
    ]);
    let after = run(world(timeline), &["deploy", "dev", "--image", IMAGE, "--no-smoke", "--json"]);
    let error = after.error();
    assert_eq!((after.ended.code, &error["kind"]), (5, &"stack-state".into()), "{error}");
    assert_eq!(error["reason"], "the account has too many gateways");
    assert!(after.calls().is_empty());
}

#[test]
fn a_dead_stack_with_a_retained_resource_is_never_deleted() {
    let resources = vec![("UserPool", "AWS::Test::Thing", "pool-1", "DELETE_SKIPPED")];
    let after = deploy_json(world(Timeline { resources, ..stack("ROLLBACK_COMPLETE") }));
    assert_eq!(after.ended.code, 5, "{}", after.words());
    assert!(after.error()["reason"].as_str().unwrap().contains("UserPool would stay behind"), "{}", after.words());
    assert!(after.calls().is_empty());
}

#[test]
fn a_replaced_user_pool_stops_a_release_unless_it_is_allowed_by_name() {
    let timeline = || Timeline { changed: ("AWS::Cognito::UserPool", "True"), ..stack("UPDATE_COMPLETE") };
    let after = deploy_json(world(timeline()));
    assert_eq!((after.ended.code, &after.error()["kind"]), (1, &"guard".into()), "{}", after.words());
    assert_eq!(after.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);
    let after = run(world(timeline()), &[&DEPLOY[..], &["--json", "--allow", "Gateway"]].concat());
    assert_eq!(after.ended.json()["change"], "update", "{}", after.words());
}

#[test]
fn a_stuck_rollback_continues_without_the_resources_that_are_skipped() {
    let after = run(world(stack("UPDATE_ROLLBACK_FAILED")), &[&RECOVER[..], &["--skip", "Queue"]].concat());
    assert_eq!(after.ended.json()["stack_status"], "UPDATE_ROLLBACK_COMPLETE", "{}", after.words());
    assert_eq!(after.calls(), ["ContinueUpdateRollback Queue"]);
}

#[test]
fn a_stack_that_halted_half_way_is_rolled_back() {
    let after = run(world(stack("UPDATE_FAILED")), &RECOVER);
    assert_eq!(after.ended.json()["stack_status"], "UPDATE_ROLLBACK_COMPLETE", "{}", after.words());
    assert_eq!(after.calls(), ["RollbackStack"]);
}

#[test]
fn a_rollback_that_sticks_again_needs_a_human() {
    // Its state is the same before and after: only the stack's own events show that it has ended again.
    let after = run(world(Timeline { end: End::Stuck, ..stack("UPDATE_ROLLBACK_FAILED") }), &RECOVER);
    assert_eq!(after.ended.code, 5, "{}", after.words());
    assert!(after.error()["hint"].as_str().unwrap().contains("--skip LOGICAL_ID"), "{}", after.words());
}

#[test]
fn a_running_operation_is_cancelled_or_deleted() {
    let cases = [
        ("UPDATE_IN_PROGRESS", "CancelUpdateStack", "UPDATE_ROLLBACK_COMPLETE"),
        ("CREATE_IN_PROGRESS", "DeleteStack", "DELETE_COMPLETE"),
    ];
    side_by_side(&cases, |(status, call, end)| {
        let after = run(world(stack(status).for_ever()), &["cancel", "dev", "--yes", "--json"]);
        assert_eq!(&after.ended.json()["stack_status"], end, "{}", after.words());
        assert_eq!(after.calls(), [*call]);
    });
}

#[test]
fn a_deletion_that_fails_needs_a_human_however_often() {
    side_by_side(&["UPDATE_COMPLETE", "DELETE_FAILED"], |status| {
        let timeline = Timeline { end: End::Stuck, ..stack(status) };
        let after = run(world(timeline), &["destroy", "dev", "--yes", "--json"]);
        assert_eq!((after.ended.code, &after.error()["kind"]), (5, &"stuck".into()), "{}", after.words());
    });
}

#[test]
fn a_plan_whose_execution_was_rolled_back_is_not_replaced_by_another_change() {
    let (fakes, sandbox) = start(world(stack("UPDATE_COMPLETE")));
    let planned = sandbox.run(&["plan", "dev", "--out", "plan.json"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    {
        let mut world = fakes.world();
        let timeline = world.timeline.as_mut().unwrap();
        timeline.turn("UPDATE_ROLLBACK_IN_PROGRESS");
        timeline.touch();
        timeline.calls.clear();
    }
    let applied = end(&sandbox, sandbox.start(&["apply", "plan.json", "--no-smoke", "--yes", "--json"]), 100);
    assert_eq!(applied.json()["error"]["kind"], "moved", "{}", applied.stderr);
    assert!(fakes.world().timeline.as_ref().unwrap().calls.is_empty());
}
