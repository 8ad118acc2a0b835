//! A deployment that waits for its verification: failures, and the ways around it. `snapshots/blue_green` has the usual ends.

use super::*;
use crate::fakes::faults::{Fault, Kind};
use crate::fakes::staged::{SECRET, SERVICE, Staged, TEMPLATE};
use crate::fakes::timeline::{End, ResourceEvent};

const BEGUN: ResourceEvent = (0, "Service", "AWS::ECS::Service", SERVICE, "UPDATE_IN_PROGRESS", "");
const EXECUTED: &str = "ExecuteChangeSet DisableRollback=false";
const VERIFIED: [&str; 6] = ["deploy", "dev", "--image", IMAGE, "--keep-failed", "--json"];

/// An update whose service waits for its verification.
fn waiting(before: &str, left: u64) -> World {
    let resources = vec![("ProofSecret", "AWS::SecretsManager::Secret", "arn:of-the-secret", "UPDATE_COMPLETE")];
    // Another template than the new one.
    let template = format!("{TEMPLATE}# before\n");
    let timeline = Timeline::of(before, &image(OTHER_DIGEST), &template);
    let timeline = Timeline { waits_at: Some(0), said: vec![BEGUN], resources, ..timeline };
    World { staged: Some(Staged::of(DIGEST, left)), serves: Some(OTHER_DIGEST.to_owned()), ..world(timeline) }
}

fn run(world: World, arguments: &[&str]) -> After {
    let (fakes, sandbox) = start(world);
    sandbox.write("infra/backend.yaml", TEMPLATE);
    let ended = end(&sandbox, sandbox.start(arguments), 200);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(SECRET));
    After { ended, fakes }
}

#[test]
fn a_service_that_does_not_answer_rolls_back_and_its_words_are_shown_without_the_secret() {
    let mut world = waiting("UPDATE_COMPLETE", 21);
    world.staged.as_mut().unwrap().echoes = true;
    let after = run(world, &VERIFIED);
    assert_eq!(after.calls()[2..], ["ROLLBACK hook-1"], "{}", after.words());
    let error = after.error();
    let reason = error["reason"].as_str().unwrap();
    assert!(reason.contains("500") && reason.contains("***"), "{reason}");
}

#[test]
fn a_secret_that_cannot_be_read_rolls_back_at_once_and_is_reported() {
    let faults = vec![Fault::of(Kind::Denied, "GetSecretValue")];
    let after = run(World { faults, ..waiting("UPDATE_COMPLETE", 1800) }, &VERIFIED);
    assert_eq!(after.calls()[2..], ["ROLLBACK hook-1"], "{}", after.words());
    let error = after.error();
    assert!(error["message"].as_str().unwrap().starts_with("secretsmanager:GetSecretValue failed; stack"), "{error}");
    assert_eq!(error["resource"], "secret ProofSecret");
}

#[test]
fn without_a_smoke_test_it_continues_unverified() {
    let after = run(waiting("UPDATE_COMPLETE", 1800), &DEPLOY);
    assert_eq!((after.ended.code, after.calls()[2].as_str()), (0, "CONTINUE hook-1"), "{}", after.words());
}

#[test]
fn a_first_deployment_goes_on_since_it_has_no_users() {
    let created = (0, "Service", "AWS::ECS::Service", SERVICE, "CREATE_IN_PROGRESS", "");
    let world = waiting("UPDATE_COMPLETE", 1800);
    let timeline = Timeline { waits_at: Some(0), said: vec![created], ..Timeline::none() };
    let after = run(World { timeline: Some(timeline), ..world }, &DEPLOY);
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert_eq!(after.calls(), ["CreateChangeSet CREATE", EXECUTED, "CONTINUE hook-1"]);
}

#[test]
fn during_a_rollback_it_continues_without_verification() {
    let mut world = waiting("UPDATE_COMPLETE", 1800);
    let timeline = world.timeline.take().unwrap();
    // The service is updated on the way back only.
    let back = (1, "Service", "AWS::ECS::Service", SERVICE, "UPDATE_IN_PROGRESS", "");
    let timeline = Timeline { waits_at: Some(1), said: vec![back], end: End::RolledBack, ..timeline };
    let after = run(World { timeline: Some(timeline), ..world }, &DEPLOY);
    assert_eq!((after.ended.code, after.calls()[2].as_str()), (4, "CONTINUE hook-1"), "{}", after.words());
}

pub(super) fn an_answer_that_is_refused_leaves_the_end_to_the_stack_and_is_given_once() {
    side_by_side(&[(Kind::Denied, End::RolledBack, 4), (Kind::Refused, End::Done, 0)], |(kind, end, code)| {
        let mut world = waiting("UPDATE_COMPLETE", 1800);
        let timeline = world.timeline.take().unwrap();
        let timeline = Timeline { waits_at: None, step: Duration::from_secs(6), end: *end, ..timeline };
        let faults = vec![Fault::of(*kind, "ContinueServiceDeployment")];
        let after = run(World { timeline: Some(timeline), faults, ..world }, &[&DEPLOY[..], &["--json"]].concat());
        assert_eq!(after.ended.code, *code, "{}", after.words());
        let told = after.ended.stderr.lines().filter(|line| line.contains("   the answer was not accepted"));
        assert_eq!(told.count(), 1, "{}", after.words());
        if *code != 0 {
            let notes = after.error()["notes"].to_string();
            assert!(notes.contains("ecs:ContinueServiceDeployment failed"), "{notes}");
        }
    });
}

/// What a run finds that comes while another's deployment waits.
fn found_waiting(digest: &str) -> World {
    let world = waiting("UPDATE_COMPLETE", 1800);
    let timeline = Timeline::of("UPDATE_IN_PROGRESS", &image(digest), TEMPLATE).with_history(&[BEGUN]).for_ever();
    let resources = world.timeline.as_ref().unwrap().resources.clone();
    World { timeline: Some(Timeline { resources, ..timeline }), ..world }
}

#[test]
fn a_run_that_finds_its_own_release_waiting_takes_it_up() {
    let after = run(found_waiting(DIGEST), &VERIFIED);
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert_eq!(after.calls(), ["CONTINUE hook-1"], "nothing is executed again");
}

pub(super) fn a_run_that_finds_another_release_waiting_leaves_it_alone() {
    let mut world = found_waiting(OTHER_DIGEST);
    let timeline = Timeline::of("UPDATE_IN_PROGRESS", &image(OTHER_DIGEST), TEMPLATE).with_history(&[BEGUN]);
    world.timeline = Some(Timeline { step: Duration::from_secs(3), ..timeline });
    let after = run(world, &DEPLOY);
    assert_eq!(after.calls()[..2], ["CreateChangeSet UPDATE", EXECUTED], "{}", after.words());
    assert!(after.words().contains("the command that released it proves it"), "{}", after.words());
}
