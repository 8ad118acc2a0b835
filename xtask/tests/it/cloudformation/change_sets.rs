//! Change sets that are not there at first, stay pending, are empty or refused; events in pages.

use std::process::Command;

use super::*;
use crate::fakes::faults::{Fault, Kind};

pub(super) fn a_change_set_that_is_not_shown_at_first_is_waited_for() {
    let timeline = Timeline { set_shown_after: Duration::from_secs(6), ..stack("UPDATE_COMPLETE") };
    let after = deploy(world(timeline));
    assert_eq!(after.ended.code, 0, "{}", after.words());
    // The first one of a new stack as well.
    let after = deploy(world(Timeline { set_shown_after: Duration::from_secs(6), ..Timeline::none() }));
    assert_eq!(after.ended.code, 0, "{}", after.words());
}

pub(super) fn one_that_stays_pending_is_said_and_can_be_interrupted() {
    let timeline = || Timeline { set_ready_after: Duration::from_secs(12), ..stack("UPDATE_COMPLETE") };
    let after = run(world(timeline()), &[&DEPLOY[..], &["--verbose"]].concat());
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert!(after.words().contains("the change set: CREATE_PENDING"), "{}", after.words());

    let (fakes, sandbox) = start(world(Timeline { set_ready_after: Duration::from_secs(900), ..timeline() }));
    let tool = sandbox.start(&DEPLOY);
    let asked = || fakes.world().asked.iter().filter(|call| call.ends_with(":DescribeChangeSet")).count();
    let deadline = Instant::now() + Duration::from_secs(60);
    while asked() < 2 {
        assert!(Instant::now() < deadline, "it never waited");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", tool.id())]).status().unwrap().success());
    let ended = end(&sandbox, tool, 60);
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(!fakes.world().timeline.as_ref().unwrap().has_open_set());
}

/// What CloudFormation says when nothing would change
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets-create.html>).
const EMPTY_MESSAGES: [&str; 2] = [
    "The submitted information didn't contain changes. Submit different information to create a change set.",
    "No updates are to be performed.",
];

#[test]
fn both_messages_of_an_empty_change_set_are_success_and_leave_none_behind() {
    side_by_side(&EMPTY_MESSAGES, |message| {
        let after = deploy_json(world(Timeline { refusal: Some(message), ..stack("UPDATE_COMPLETE") }));
        assert_eq!(after.ended.json()["change"], "none", "{}", after.words());
        assert_eq!(after.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);
    });
}

#[test]
fn a_refused_change_set_says_why_and_is_deleted() {
    let reason = "Parameters: [Zone] must have values";
    let after = deploy_json(world(Timeline { refusal: Some(reason), ..stack("UPDATE_COMPLETE") }));
    assert_eq!((after.ended.code, &after.error()["reason"]), (1, &reason.into()), "{}", after.words());
    assert_eq!(after.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);
}

#[test]
fn an_event_that_comes_between_two_pages_is_shown_once() {
    let said = |number| (1, number, "AWS::Any::Thing", "", "UPDATE_COMPLETE", "");
    let names = ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"];
    let timeline = Timeline { said: names.map(said).to_vec(), page: 3, between_pages: 6, ..stack("UPDATE_COMPLETE") };
    let after = run(world(timeline), &[&DEPLOY[..], &["--verbose"]].concat());
    assert_eq!(after.ended.code, 0, "{}", after.words());
    for name in names {
        let count = after.words().matches(&format!(" {name} (")).count();
        assert_eq!(count, 1, "{name}: {}", after.words());
    }
    let timeline = Timeline { page: 3, between_pages: 6, ..stack("UPDATE_COMPLETE") };
    let said: Vec<_> = names.map(said).to_vec();
    let after = run(
        world(Timeline { page: 3, between_pages: 6, ..timeline.with_history(&said) }),
        &["events", "dev", "--limit", "12"],
    );
    for name in names {
        assert!(after.words().matches(&format!(" {name} (")).count() <= 1, "{name}: {}", after.words());
    }
}

#[test]
fn events_that_cannot_be_read_decide_nothing() {
    let faults = vec![Fault::of(Kind::Denied, "DescribeStackEvents")];
    let after = deploy(World { faults, ..world(stack("UPDATE_COMPLETE")) });
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert_eq!(after.words().matches("events cannot be read").count(), 1, "{}", after.words());
}
