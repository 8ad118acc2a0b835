//! The first real cause is reported first.

use serde_json::json;

use super::*;
use crate::fakes::evidence::{Evidence, GROUP};
use crate::fakes::faults::{Fault, Kind};
use crate::fakes::timeline::{End, ResourceEvent, STACK};

const OWN: &str = "AWS::CloudFormation::Stack";
const CANCELLED: ResourceEvent = (1, "Topic", "AWS::SNS::Topic", "t", "CREATE_FAILED", "Resource creation cancelled");
const REASON: &str = "Can only include alphanumeric characters";
const REAL: ResourceEvent = (1, "Queue", "AWS::SQS::Queue", "q", "CREATE_FAILED", REASON);

/// An update in which these events come before the rollback.
fn failing(said: &[ResourceEvent]) -> World {
    world(Timeline { said: said.to_vec(), end: End::RolledBack, ..stack("UPDATE_COMPLETE") })
}

/// The error of an update that is rolled back, whatever can be read of it.
fn error(world: World) -> Value {
    let after = deploy_json(world);
    assert_eq!(after.ended.code, 4, "{}", after.words());
    assert_eq!(after.truth(), "UPDATE_ROLLBACK_COMPLETE", "{}", after.words());
    after.error()
}

/// What is said of a stack that an earlier operation has left in this state.
fn events_later(status: &str, said: &[ResourceEvent], world: impl Fn(World) -> World) -> Value {
    let resources = vec![("LogGroup", "AWS::Logs::LogGroup", GROUP, "CREATE_COMPLETE")];
    let timeline = Timeline { resources, ..stack(status).with_history(said) };
    let after = run(world(super::world(timeline)), &["deploy", "dev", "--image", IMAGE, "--no-smoke", "--json"]);
    assert_eq!((after.ended.code, &after.error()["kind"]), (5, &"stack-state".into()), "{}", after.words());
    after.error()
}

#[test]
fn the_real_cause_comes_before_cancelled_resources_with_location_and_console_link() {
    let error = error(failing(&[CANCELLED, REAL]));
    assert_eq!(error["resource"], "Queue (AWS::SQS::Queue)");
    assert_eq!(error["reason"], REASON);
    assert_eq!(error["place"], json!({"file": "infra/backend.yaml", "line": 5}));
    assert_eq!(
        error["console"],
        "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=\
         arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1"
    );
    assert_eq!(error["notes"], Value::Null);
}

#[test]
fn a_reason_that_mentions_cancellation_may_be_the_cause() {
    let reason = "The deployment was cancelled by its circuit breaker";
    let error = error(failing(&[(1, "Queue", "AWS::Test::Thing", "q", "UPDATE_FAILED", reason)]));
    assert_eq!(error["reason"], reason);
}

#[test]
fn denied_describe_events_does_not_hide_the_stacks_history() {
    let faults = vec![Fault::of(Kind::Denied, "DescribeEvents")];
    let error = error(World { faults, ..failing(&[CANCELLED, REAL]) });
    assert_eq!((&error["reason"], &error["notes"]), (&REASON.into(), &Value::Null), "{error}");
}

#[test]
fn where_the_history_is_denied_the_failed_events_are_asked_for() {
    let faults = vec![Fault::of(Kind::Denied, "DescribeStackEvents")];
    let failed = vec![("Queue", "CREATE_FAILED", "", "it exists already")];
    let evidence = Evidence { failed, ..Evidence::default() };
    let found = error(World { faults: faults.clone(), evidence, ..failing(&[REAL]) });
    assert_eq!(found["reason"], "it exists already", "{found}");

    // Where nothing may be read the failure stays and says so.
    let faults = [faults, vec![Fault::of(Kind::Denied, "DescribeEvents")]].concat();
    let nothing = error(World { faults, ..failing(&[REAL]) });
    assert_eq!(nothing["reason"], "CloudFormation gave no reason", "{nothing}");
    assert!(nothing["notes"][0].as_str().unwrap().contains("DescribeEvents failed: AccessDenied"), "{nothing}");
}

#[test]
fn the_cause_is_found_inside_nested_stacks() {
    const NETWORK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-Network-X/2";
    let embedded = "Embedded stack was not successfully updated: The following resource(s) failed to create: [Subnet]";
    let said = vec![(1, "Network", OWN, NETWORK, "UPDATE_FAILED", embedded)];
    let inside = vec![
        (0, "rest-api-Network-X", OWN, NETWORK, "UPDATE_IN_PROGRESS", ""),
        (0, "Route", "AWS::EC2::Route", "r", "CREATE_FAILED", "Resource creation cancelled"),
        (0, "Subnet", "AWS::EC2::Subnet", "s", "CREATE_FAILED", "The CIDR '10.0.0.0/8' is invalid"),
        (0, "rest-api-Network-X", OWN, NETWORK, "UPDATE_FAILED", "The following resource(s) failed"),
    ];
    let nested = [(NETWORK, inside)].into();
    let error = error(world(Timeline { said, nested, end: End::RolledBack, ..stack("UPDATE_COMPLETE") }));
    assert_eq!(error["reason"], "The CIDR '10.0.0.0/8' is invalid", "{error}");
    assert_eq!(error["resource"], "Network/Subnet (AWS::EC2::Subnet)");
    assert_eq!(error["place"], Value::Null, "the nested template is another file");
}

#[test]
fn early_validation_names_property_and_place() {
    let failed = vec![
        ("Queue", "FAILED", "/Resources/Queue/Properties/QueueName", "#/QueueName: does not match the pattern"),
        ("Queue", "FAILED", "/Resources/Queue/Properties/Fifo", "#: extraneous key [Fifo] is not permitted"),
    ];
    let refused = |refusal, faults| {
        let timeline = Timeline { refusal: Some(refusal), ..stack("UPDATE_COMPLETE") };
        let evidence = Evidence { failed: failed.clone(), ..Evidence::default() };
        let world = World { faults, evidence, ..world(timeline) };
        let after = deploy_json(world);
        assert_eq!(after.ended.code, 1, "{}", after.words());
        after.error()
    };
    let refusal = "Validation failed. Use the DescribeEvents API for details";
    let error = refused(refusal, Vec::new());
    let reason = "#/QueueName: does not match the pattern (/Resources/Queue/Properties/QueueName)";
    assert_eq!(error["reason"], reason, "{error}");
    assert_eq!(error["place"]["line"], 8, "{error}");
    assert!(error["notes"][0].as_str().unwrap().contains("extraneous key [Fifo]"), "{error}");

    let denied = || vec![Fault::of(Kind::Denied, "DescribeEvents")];
    let error = refused(refusal, denied());
    assert_eq!(error["reason"], refusal, "{error}");
    assert!(error["notes"][0].as_str().unwrap().contains("DescribeEvents"), "{error}");
    // Other refusals say all there is to say.
    let error = refused("Parameters: [Zone] must have values", denied());
    assert_eq!(error["notes"], Value::Null, "{error}");
}

const SIGNALS: &str = "Received 1 FAILURE signal(s) out of 1";
const INSTANCE: ResourceEvent = (0, "EC2Instance", "AWS::EC2::Instance", "i-1", "CREATE_FAILED", SIGNALS);

#[test]
fn an_instance_that_did_not_boot_shows_the_end_of_its_boot_log() {
    let lines = vec!["boot: pulling the image", "boot: FAILURE while pulling the image: line 9: docker pull"];
    let evidence = Evidence { log: [("i-1/boot", lines.clone())].into(), ..Evidence::default() };
    let error = events_later("ROLLBACK_COMPLETE", &[INSTANCE], |world| World { evidence: evidence.clone(), ..world });
    assert_eq!(error["log"], json!(lines));
    assert_eq!(error["reason"], format!("{SIGNALS}; {}", lines[1]));

    // Without a boot log it shows its console.
    let console = format!("{}[  3.1] cloud-init: cannot reach the repository\u{1b}[0m\r\n", "old\n".repeat(30));
    let evidence = Evidence { console, ..Evidence::default() };
    let error = events_later("ROLLBACK_COMPLETE", &[INSTANCE], |world| World { evidence: evidence.clone(), ..world });
    assert_eq!(error["log"].as_array().unwrap().len(), 20, "{error}");
    assert_eq!(error["log"][19], "[  3.1] cloud-init: cannot reach the repository[0m");
}

#[test]
fn a_log_that_may_not_be_read_is_one_line_each_and_the_cause_stays() {
    let faults = ["GetLogEvents", "GetConsoleOutput"].map(|action| Fault::of(Kind::Denied, action)).to_vec();
    let error = events_later("ROLLBACK_COMPLETE", &[INSTANCE], |world| World { faults: faults.clone(), ..world });
    assert_eq!(error["reason"], SIGNALS);
    assert_eq!(
        error["notes"],
        json!([
            "the boot log cannot be read: logs:GetLogEvents failed: AccessDeniedException: not for you",
            "the console cannot be read: ec2:GetConsoleOutput failed: AccessDenied: not for you",
        ])
    );
}

#[test]
fn a_failed_rollback_names_the_blocking_resource_and_the_first_cause() {
    let own = |status| (0, "rest-api-dev", OWN, STACK, status, "");
    let queue = |reason| (0, "Queue", "AWS::SQS::Queue", "q", "UPDATE_FAILED", reason);
    let topic = |status, reason| (0, "Topic", "AWS::SNS::Topic", "t", status, reason);
    let said = [
        own("UPDATE_IN_PROGRESS"),
        queue("an old timeline"),
        own("UPDATE_ROLLBACK_COMPLETE"),
        own("UPDATE_IN_PROGRESS"),
        queue("a bad name"),
        topic("UPDATE_FAILED", "Resource update cancelled"),
        own("UPDATE_ROLLBACK_IN_PROGRESS"),
        topic("UPDATE_COMPLETE", ""),
        (0, "Service", "AWS::ECS::Service", "", "UPDATE_FAILED", "the old image is gone"),
    ];
    let error = events_later("UPDATE_ROLLBACK_FAILED", &said, |world| world);
    assert_eq!(error["resource"], "Service (AWS::ECS::Service)");
    assert_eq!(error["reason"], "the old image is gone");
    assert_eq!(
        error["notes"],
        json!(["the update that was rolled back had failed at Queue (AWS::SQS::Queue): a bad name"])
    );
    assert!(error["hint"].as_str().unwrap().ends_with(": here --skip Service"), "{error}");
}
