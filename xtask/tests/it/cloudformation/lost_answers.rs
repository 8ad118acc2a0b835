//! Calls whose responses are lost: the stack shows whether they have started something.

use super::*;
use crate::fakes::faults::{Fault, Kind};
use crate::fakes::{Ending, staged};

/// Name, state at the start, command, action.
type Case = (&'static str, &'static [&'static str], &'static str);

const CASES: [Case; 5] = [
    ("UPDATE_COMPLETE", &DEPLOY, "ExecuteChangeSet"),
    ("UPDATE_COMPLETE", &["destroy", "dev", "--yes"], "DeleteStack"),
    ("UPDATE_IN_PROGRESS", &["cancel", "dev", "--yes"], "CancelUpdateStack"),
    ("UPDATE_ROLLBACK_FAILED", &["recover", "dev", "--yes"], "ContinueUpdateRollback"),
    ("UPDATE_FAILED", &["recover", "dev", "--yes"], "RollbackStack"),
];

fn timeline(status: &str) -> Timeline {
    Timeline { step: Duration::from_secs(4), ..stack(status) }
}

pub(super) fn a_proxys_answer_is_no_refusal() {
    // Every answer is a proxy's: what was done is followed, and what was not done is said to be so.
    let cases: Vec<(Case, bool)> = CASES.iter().flat_map(|case| [true, false].map(|done| (*case, done))).collect();
    side_by_side(&cases, |((status, arguments, action), done)| {
        let fault = Fault { done: *done, ..Fault::of(Kind::Html502, action) };
        let after = run(World { faults: vec![fault], ..world(timeline(status).late(2, 2)) }, arguments);
        let about = format!("{action}, done: {done}: {}", after.words());
        // An update that is not cancelled comes to its own end.
        let code = if *done || *action == "CancelUpdateStack" { 0 } else { 1 };
        assert_eq!(after.ended.code, code, "{about}");
        if code == 1 {
            assert_eq!(after.truth(), *status, "{about}");
            assert!(after.words().contains("502"), "{about}");
        }
        if !done && *action == "ExecuteChangeSet" {
            assert!(!after.fakes.world().timeline.as_ref().unwrap().has_open_set(), "{about}");
        }
    });
}

pub(super) fn a_connection_that_is_cut_is_taken_up_with_the_same_token() {
    let cases: Vec<(Case, bool)> = CASES.iter().flat_map(|case| [true, false].map(|done| (*case, done))).collect();
    side_by_side(&cases, |((status, arguments, action), done)| {
        let fakes = Fakes::start(world(timeline(status)));
        let sandbox = fakes.cut(action, 1, *done);
        sandbox.write("infra/backend.yaml", TEMPLATE);
        let ended = end(&sandbox, sandbox.start(arguments), 200);
        assert_eq!(ended.code, 0, "{action}, done: {done}: {}", ended.stderr);
        let calls = fakes.world().timeline.as_ref().unwrap().calls.clone();
        assert_eq!(calls.iter().filter(|call| call.starts_with(action)).count(), 1, "{action}: {calls:?}");
    });
}

pub(super) fn a_change_set_whose_response_is_lost_is_found() {
    side_by_side(&[true, false], |done| {
        let fault = Fault { done: *done, ..Fault::of(Kind::Html502, "CreateChangeSet") };
        let after = deploy(World { faults: vec![fault], ..world(stack("UPDATE_COMPLETE")) });
        assert_eq!(after.ended.code, if *done { 0 } else { 1 }, "{}", after.words());
        assert!(!after.fakes.world().timeline.as_ref().unwrap().has_open_set(), "{}", after.words());
    });
}

pub(super) fn half_a_minute_of_throttling_delays_and_decides_nothing() {
    let cases = ["ExecuteChangeSet", "DescribeStacks", "DescribeStackEvents", "DescribeChangeSet", "PutParameter"];
    side_by_side(&cases, |action| {
        let fault = Fault { lasts: Duration::from_secs(30), ..Fault::of(Kind::Throttled, action) };
        let after = deploy(World { faults: vec![fault], ..world(stack("UPDATE_COMPLETE")) });
        let began = *action == "DescribeStacks" || *action == "PutParameter" || *action == "DescribeChangeSet";
        // Before anything begins the SDK may give up sooner.
        let codes: &[i32] = if began { &[0, 1] } else { &[0] };
        assert!(codes.contains(&after.ended.code), "{action}: {} {}", after.ended.code, after.words());
        let truth = after.calls().iter().any(|call| call.starts_with("ExecuteChangeSet"));
        assert_eq!(after.ended.code == 0, truth, "{action}: {}", after.words());
    });
    // From the execution on, everything.
    let (fakes, _) = start(world(stack("UPDATE_COMPLETE")));
    drop(fakes);
    let calls = deploy(world(stack("UPDATE_COMPLETE"))).fakes.world().asked.clone();
    let skip = calls.iter().filter(|call| !call.contains('/')).position(|call| call.ends_with(":ExecuteChangeSet"));
    let fault = Fault { skip: skip.unwrap(), lasts: Duration::from_secs(30), ..Fault::of(Kind::Throttled, "") };
    let after = deploy(World { faults: vec![fault], ..world(stack("UPDATE_COMPLETE")) });
    assert_eq!(after.ended.code, 0, "{}", after.words());
}

pub(super) fn an_answer_to_a_waiting_deployment_is_repeated_until_it_arrives() {
    let image = image(OTHER_DIGEST);
    let world = World {
        stack: "UPDATE_COMPLETE".to_owned(),
        parameters: [("ContainerURI".to_owned(), image)].into(),
        template: staged::TEMPLATE.replace("Outputs", "# another\nOutputs"),
        repository: Some([("v1".to_owned(), DIGEST.to_owned())].into()),
        ending: Ending::Never,
        staged: Some(staged::Staged::of(DIGEST, 300)),
        faults: vec![Fault { times: 8, ..Fault::of(Kind::Html502, "ContinueServiceDeployment") }],
        serves: Some(OTHER_DIGEST.to_owned()),
        ..World::default()
    };
    let (fakes, sandbox) = start(world);
    sandbox.write("infra/backend.yaml", staged::TEMPLATE);
    let ended = end(&sandbox, sandbox.start(&["deploy", "dev", "--image", IMAGE, "--yes"]), 200);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("proved before users"), "{}", ended.stderr);
    let word = fakes.world().staged.as_ref().unwrap().word.clone();
    assert_eq!(word.as_deref(), Some("CONTINUE"), "{}", ended.stderr);
}
