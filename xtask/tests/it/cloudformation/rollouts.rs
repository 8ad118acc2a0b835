//! How a release ends, and what it leaves.

use super::*;
use crate::fakes::faults::{Fault, Kind};
use crate::fakes::timeline::{End, ResourceEvent};
use crate::sandbox::DEPLOY_TOML;

const FAILED: [ResourceEvent; 2] = [
    (1, "Queue", "AWS::SQS::Queue", "q", "CREATE_FAILED", "Resource creation cancelled"),
    (1, "EC2Instance", "AWS::Test::Thing", "i", "CREATE_FAILED", "Received 1 FAILURE signal(s)"),
];
const EXECUTED: &str = "ExecuteChangeSet DisableRollback=false";

/// The records of releases, oldest first.
fn records(after: &After) -> Vec<String> {
    let world = after.fakes.world();
    let versions = world.journal.get("/xtask/rest-api-dev/releases");
    versions.into_iter().flatten().map(|version| version.value.clone()).collect()
}

#[test]
fn a_missing_stack_and_one_in_review_are_created_with_rollback_said_aloud() {
    side_by_side(&[Timeline::none as fn() -> Timeline, || stack("REVIEW_IN_PROGRESS")], |timeline| {
        let after = deploy_json(world(timeline()));
        let result = after.ended.json();
        assert_eq!((&result["change"], &result["release"]), (&"create".into(), &1.into()), "{result}");
        assert_eq!(after.calls(), ["CreateChangeSet CREATE", EXECUTED]);
    });
}

#[test]
fn a_stack_that_is_current_is_left_alone_and_recorded_once() {
    let (fakes, sandbox) = start(world(Timeline::of("UPDATE_COMPLETE", &image(DIGEST), TEMPLATE)));
    let arguments = [&DEPLOY[..], &["--json"]].concat();
    let first = sandbox.run(&arguments).json();
    assert_eq!((&first["change"], &first["release"]), (&"none".into(), &1.into()), "{first}");
    let second = sandbox.run(&arguments).json();
    assert_eq!((&second["change"], &second["release"]), (&"none".into(), &Value::Null), "{second}");
    assert!(fakes.world().timeline.as_ref().unwrap().calls.is_empty());
}

#[test]
fn an_update_that_rolls_back_names_the_first_real_cause_and_is_recorded_with_it() {
    let after =
        deploy_json(world(Timeline { said: FAILED.to_vec(), end: End::RolledBack, ..stack("UPDATE_COMPLETE") }));
    let error = after.error();
    assert_eq!((after.ended.code, &error["kind"]), (4, &"rolled-back".into()), "{error}");
    assert_eq!(error["resource"], "EC2Instance (AWS::Test::Thing)");
    assert_eq!(error["reason"], "Received 1 FAILURE signal(s)");
    let records = records(&after);
    assert!(records[0].contains("rolled-back") && records[0].contains("Received 1 FAILURE signal(s)"), "{records:?}");
}

#[test]
fn rolling_back_to_nothing_is_a_failure_that_names_the_way_out() {
    let after = deploy_json(world(Timeline { end: End::RolledBack, said: FAILED.to_vec(), ..Timeline::none() }));
    let error = after.error();
    assert_eq!(after.ended.code, 4, "{error}");
    assert!(error["message"].as_str().unwrap().contains("could not be created"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("repeat the command with --yes"), "{error}");
}

#[test]
fn a_rollback_that_fails_needs_a_human() {
    let after = deploy(world(Timeline { end: End::Stuck, said: FAILED.to_vec(), ..stack("UPDATE_COMPLETE") }));
    assert_eq!(after.ended.code, 5, "{}", after.words());
}

#[test]
fn states_that_take_no_release_are_refused_before_anything_is_asked() {
    let cases = [
        ("ROLLBACK_COMPLETE", "--yes"),
        ("DELETE_FAILED", "cargo xtask destroy dev"),
        ("CREATE_FAILED", "--yes"),
        ("UPDATE_FAILED", "cargo xtask recover dev"),
        ("UPDATE_ROLLBACK_FAILED", "--skip LOGICAL_ID"),
    ];
    side_by_side(&cases, |(status, way_out)| {
        let after = run(world(stack(status)), &["deploy", "dev", "--image", IMAGE, "--no-smoke", "--json"]);
        let error = after.error();
        assert_eq!(after.ended.code, 5, "{status}: {error}");
        assert!(error["hint"].as_str().unwrap().contains(way_out), "{status}: {error}");
        assert!(after.calls().is_empty(), "{status}");
    });
}

#[test]
fn a_running_operation_is_followed_first_unless_no_follow_is_given() {
    let after = deploy_json(world(stack("UPDATE_IN_PROGRESS")));
    assert_eq!(after.ended.json()["change"], "update", "{}", after.words());
    assert_eq!(after.calls(), ["CreateChangeSet UPDATE", EXECUTED]);
    let arguments = [&DEPLOY[..], &["--json", "--no-follow"]].concat();
    let after = run(world(stack("UPDATE_IN_PROGRESS")), &arguments);
    assert_eq!((after.ended.code, &after.error()["kind"]), (1, &"in-progress".into()), "{}", after.words());
    assert!(after.calls().is_empty());
}

#[test]
fn a_failure_that_comes_as_an_error_of_the_call_is_a_rollback_all_the_same() {
    let refused = Some(("ValidationError", "the stack is UPDATE_ROLLBACK_COMPLETE: no such subnet"));
    let after = deploy_json(world(Timeline { refused, ..stack("UPDATE_ROLLBACK_COMPLETE") }));
    assert_eq!(after.ended.code, 4, "{}", after.words());
    assert!(after.error()["reason"].as_str().unwrap().contains("no such subnet"), "{}", after.words());
}

#[test]
fn a_denied_execution_is_not_taken_for_an_older_rollback() {
    let faults = vec![Fault::of(Kind::Denied, "ExecuteChangeSet")];
    let after = deploy_json(World { faults, ..world(stack("UPDATE_ROLLBACK_COMPLETE")) });
    assert_eq!((after.ended.code, &after.error()["kind"]), (1, &"aws".into()), "{}", after.words());
    assert!(!after.fakes.world().timeline.as_ref().unwrap().has_open_set());
}

#[test]
fn another_releases_deployment_is_not_taken_for_ours() {
    let refused = Some(("InvalidChangeSetStatus", "the change set is OBSOLETE"));
    let after = deploy_json(world(Timeline { refused, is_taken: true, ..stack("UPDATE_COMPLETE") }));
    assert_eq!((after.ended.code, &after.error()["kind"]), (5, &"superseded".into()), "{}", after.words());
}

#[test]
fn a_lost_answer_to_finished_work_is_success() {
    let fault = Fault { done: true, ..Fault::of(Kind::Html502, "ExecuteChangeSet") };
    let timeline = Timeline { step: Duration::ZERO, ..stack("UPDATE_COMPLETE") };
    let after = deploy(World { faults: vec![fault], ..world(timeline) });
    assert_eq!(after.ended.code, 0, "{}", after.words());
}

#[test]
fn a_protected_environment_is_not_changed_unasked() {
    let settings =
        DEPLOY_TOML.replacen("\n\n[environments.production]", "\nprotected = true\n\n[environments.production]", 1);
    let settings = settings.replace("protected = true\n\n", "protected = true\nblock_severity = \"none\"\n\n");
    let (fakes, sandbox) = start(world(stack("UPDATE_COMPLETE")));
    sandbox.write("deploy.toml", &settings);
    let refused = sandbox.run(&["deploy", "dev", "--image", IMAGE, "--no-smoke", "--json"]);
    assert_eq!(refused.json()["error"]["kind"], "confirmation", "{}", refused.stderr);
    assert!(fakes.world().timeline.as_ref().unwrap().calls.is_empty());
    let agreed = sandbox.run(&[&DEPLOY[..], &["--json"]].concat());
    assert_eq!(agreed.json()["change"], "update", "{}", agreed.stderr);
}
