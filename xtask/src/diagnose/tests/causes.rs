//! The first real cause comes first, wherever it hides.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{EventType, OperationEvent, ResourceStatus, ValidationStatus};
use base64::Engine as _;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::world::{Moment, STACK, START, Said, World};
use super::*;
use crate::stack::failed::change_set_failure;

const OWN: &str = "AWS::CloudFormation::Stack";
const NETWORK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-Network-X/2";
const INSTANCE: Said =
    ("EC2Instance", "AWS::EC2::Instance", "i-1", "CREATE_FAILED", "Received 1 FAILURE signal(s) out of 1");

fn failing(events: Vec<Said>) -> World {
    let start = vec![("rest-api", OWN, STACK, "UPDATE_IN_PROGRESS", "User Initiated")];
    let end = vec![("rest-api", OWN, STACK, "UPDATE_ROLLBACK_COMPLETE", "")];
    World::of(vec![
        Moment { status: "UPDATE_IN_PROGRESS", events: start, ..Moment::default() },
        Moment { status: "UPDATE_ROLLBACK_IN_PROGRESS", events, ..Moment::default() },
        Moment { status: "UPDATE_ROLLBACK_COMPLETE", events: end, ..Moment::default() },
    ])
}

fn cancelled_and_real() -> World {
    failing(vec![
        ("Topic", "AWS::SNS::Topic", "t", "CREATE_FAILED", "Resource creation cancelled"),
        ("Queue", "AWS::SQS::Queue", "q", "CREATE_FAILED", "Can only include alphanumeric characters"),
        ("rest-api", OWN, STACK, "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Queue]"),
    ])
}

fn validation(logical_id: &str, path: &str, reason: &str) -> OperationEvent {
    OperationEvent::builder()
        .event_type(EventType::ValidationError)
        .logical_resource_id(logical_id)
        .resource_type("AWS::SQS::Queue")
        .validation_status(ValidationStatus::Failed)
        .validation_path(path)
        .validation_status_reason(reason)
        .timestamp(DateTime::from_secs(START))
        .build()
}

#[tokio::test(start_paused = true)]
async fn the_real_cause_comes_before_what_was_cancelled_with_its_place_and_its_page() {
    let (_, failure) = explained(&cancelled_and_real()).await;
    assert_eq!(failure.resource.as_deref(), Some("Queue (AWS::SQS::Queue)"));
    assert_eq!(failure.reason.as_deref(), Some("Can only include alphanumeric characters"));
    assert_eq!(failure.place.unwrap().to_string(), "infra/t.yaml:3");
    assert_eq!(
        failure.console.as_deref(),
        Some(
            "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?\
             stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api%2F1"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn what_only_speaks_of_cancelling_may_be_the_cause() {
    let reason = "The deployment was cancelled by its circuit breaker";
    let (_, failure) = explained(&failing(vec![("Queue", "T", "q", "UPDATE_FAILED", reason)])).await;
    assert_eq!(failure.reason.as_deref(), Some(reason));
}

#[tokio::test(start_paused = true)]
async fn denied_describe_events_does_not_hide_what_the_history_tells() {
    let world = World { denied: BTreeSet::from(["DescribeEvents"]), ..cancelled_and_real() };
    let (_, failure) = explained(&world).await;
    assert_eq!(failure.reason.as_deref(), Some("Can only include alphanumeric characters"));
    assert!(failure.notes.is_empty(), "{:?}", failure.notes);
}

#[tokio::test(start_paused = true)]
async fn where_the_history_is_denied_the_failed_events_are_asked_for() {
    let event = OperationEvent::builder()
        .logical_resource_id("Queue")
        .resource_type("AWS::SQS::Queue")
        .resource_status(ResourceStatus::CreateFailed)
        .resource_status_reason("it exists already")
        .timestamp(DateTime::from_secs(START))
        .build();
    let denied = BTreeSet::from(["DescribeStackEvents"]);
    let world = World { failed: vec![event], denied, ..failing(Vec::new()) };
    let (_, failure) = explained(&world).await;
    assert_eq!(failure.reason.as_deref(), Some("it exists already"));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_read_the_failure_stays_and_says_so() {
    let denied = BTreeSet::from(["DescribeStackEvents", "DescribeEvents"]);
    let (followed, failure) = explained(&World { denied, ..cancelled_and_real() }).await;
    assert_eq!(followed.stack.unwrap().status, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(failure.reason.as_deref(), Some("no more is known"));
    assert!(failure.notes[0].contains("DescribeEvents failed: AccessDenied"), "{:?}", failure.notes);
}

#[tokio::test(start_paused = true)]
async fn the_cause_is_found_inside_nested_stacks() {
    let embedded = "Embedded stack was not successfully created: The following resource(s) failed to create: [Subnet]";
    let mut world = failing(vec![("Network", OWN, NETWORK, "CREATE_FAILED", embedded)]);
    let inside = vec![
        ("rest-api-Network-X", OWN, NETWORK, "CREATE_IN_PROGRESS", ""),
        ("Route", "AWS::EC2::Route", "r", "CREATE_FAILED", "Resource creation cancelled"),
        ("Subnet", "AWS::EC2::Subnet", "s", "CREATE_FAILED", "The CIDR '10.0.0.0/8' is invalid"),
        ("rest-api-Network-X", OWN, NETWORK, "CREATE_FAILED", "The following resource(s) failed"),
    ];
    world.others = BTreeMap::from([(NETWORK, inside)]);
    let (_, failure) = explained(&world).await;
    assert_eq!(failure.resource.as_deref(), Some("Network/Subnet (AWS::EC2::Subnet)"));
    assert_eq!(failure.reason.as_deref(), Some("The CIDR '10.0.0.0/8' is invalid"));
    assert_eq!(failure.place, None, "the nested template is another file");
}

#[tokio::test]
async fn early_validation_names_property_and_place() {
    let world = World {
        failed: vec![
            validation("Queue", "/Resources/Queue/Properties/Fifo", "#: extraneous key [Fifo] is not permitted"),
            validation("Queue", "/Resources/Queue/Properties/QueueName", "#/QueueName: does not match the pattern"),
        ],
        ..World::default()
    };
    let refusal = plain().reason("Validation failed. Use the DescribeEvents API for details");
    let failure = change_set_failure(&world.clients().cloudformation, &template(), "arn:change-set", refusal).await;
    assert_eq!(
        failure.reason.as_deref(),
        Some("#/QueueName: does not match the pattern (/Resources/Queue/Properties/QueueName)")
    );
    assert_eq!(failure.place.unwrap().line, 6);
    assert!(failure.notes[0].contains("extraneous key [Fifo]"), "{:?}", failure.notes);

    let denied = World { denied: BTreeSet::from(["DescribeEvents"]), ..world };
    let client = denied.clients().cloudformation;
    let refusal = plain().reason("Validation failed. Use the DescribeEvents API for details");
    let failure = change_set_failure(&client, &template(), "arn:change-set", refusal).await;
    assert!(failure.reason.unwrap().starts_with("Validation failed"));
    let other = change_set_failure(&client, &template(), "arn:change-set", plain()).await;
    assert!(other.notes.is_empty(), "{:?}", other.notes);
    assert!(failure.notes[0].contains("DescribeEvents"), "{:?}", failure.notes);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_did_not_boot_shows_the_end_of_its_boot_log() {
    let log = vec!["boot: pulling the image", "boot: FAILURE while pulling the image: line 9: docker pull"];
    let world = World { log: BTreeMap::from([("i-1/boot", log)]), ..failing(vec![INSTANCE]) };
    let (_, failure) = explained(&world).await;
    assert_eq!(failure.log.len(), 2);
    assert!(failure.reason.unwrap().ends_with("; boot: FAILURE while pulling the image: line 9: docker pull"));
}

#[tokio::test]
async fn an_instance_without_a_boot_log_shows_its_console() {
    let server = MockServer::start().await;
    let text = format!("{}[  3.1] cloud-init: cannot reach the repository\u{1b}[0m\r\n", "old\n".repeat(30));
    let output = base64::engine::general_purpose::STANDARD.encode(text);
    let answer = ResponseTemplate::new(200).set_body_string(format!("<output>{output}</output>"));
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let world = World::of(vec![Moment { events: vec![INSTANCE], ..Moment::default() }]);
    let failure = looked_back(&world.clients().with_signed_at(&server.uri())).await;
    assert_eq!(failure.log.len(), 20);
    assert_eq!(failure.log[19], "[  3.1] cloud-init: cannot reach the repository[0m");
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_one_line_each_and_the_cause_stays() {
    let server = MockServer::start().await;
    let refusal = "<Code>UnauthorizedOperation</Code><Message>not for you</Message>";
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(403).set_body_string(refusal)).mount(&server).await;
    let moment = Moment { events: vec![INSTANCE], ..Moment::default() };
    let world = World { denied: BTreeSet::from(["GetLogEvents"]), ..World::of(vec![moment]) };
    let failure = looked_back(&world.clients().with_signed_at(&server.uri())).await;
    assert_eq!(failure.reason.as_deref(), Some("Received 1 FAILURE signal(s) out of 1"));
    assert_eq!(
        failure.notes,
        [
            "the boot log cannot be read: logs:GetLogEvents failed: AccessDenied: not for you",
            "the console cannot be read: ec2:GetConsoleOutput failed: UnauthorizedOperation: not for you",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn polling_that_is_throttled_for_minutes_decides_nothing() {
    let world = World { throttled: 60, ..cancelled_and_real() };
    let (followed, _) = explained(&world).await;
    assert_eq!(followed.stack.unwrap().status, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_failed_names_what_holds_it_and_what_began_it() {
    let events = vec![
        ("Queue", "AWS::SQS::Queue", "q", "UPDATE_FAILED", "a bad name"),
        ("Topic", "AWS::SNS::Topic", "t", "UPDATE_FAILED", "Resource update cancelled"),
        ("rest-api", OWN, STACK, "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update: [Queue]"),
        ("Topic", "AWS::SNS::Topic", "t", "UPDATE_COMPLETE", ""),
        ("Service", "AWS::ECS::Service", "", "UPDATE_FAILED", "the old image is gone"),
        ("rest-api", OWN, STACK, "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: [Service]"),
    ];
    let older = vec![
        ("rest-api", OWN, STACK, "UPDATE_IN_PROGRESS", ""),
        ("Old", "T", "o", "UPDATE_FAILED", "an old story"),
        ("rest-api", OWN, STACK, "UPDATE_ROLLBACK_COMPLETE", ""),
        ("rest-api", OWN, STACK, "UPDATE_IN_PROGRESS", "User Initiated"),
    ];
    let world = World::of(vec![Moment {
        status: "UPDATE_ROLLBACK_FAILED",
        events: [older, events].concat(),
        ..Moment::default()
    }]);
    let clients = world.clients();
    let failure = looked_back(&clients).await;
    assert_eq!(failure.resource.as_deref(), Some("Service (AWS::ECS::Service)"));
    assert_eq!(failure.reason.as_deref(), Some("the old image is gone"));
    assert_eq!(failure.notes, ["what was rolled back had failed at Queue (AWS::SQS::Queue): a bad name"]);
    assert_eq!(super::super::stuck_resources(&clients, STACK).await, ["Service"]);
}

#[test]
fn the_console_is_the_partitions_own_and_an_emulator_has_none() {
    let of = |region: &str, endpoint: Option<&str>| {
        let endpoint = endpoint.map(str::to_owned);
        let environment = Environment { region: region.to_owned(), endpoint, ..environment() };
        super::super::console(&environment, "a/b").map(|url| url.split("/cloudformation").next().unwrap().to_owned())
    };
    assert_eq!(of("cn-north-1", None).unwrap(), "https://cn-north-1.console.amazonaws.cn");
    assert_eq!(of("us-gov-west-1", None).unwrap(), "https://us-gov-west-1.console.amazonaws-us-gov.com");
    assert_eq!(of("us-east-1", None).unwrap(), "https://us-east-1.console.aws.amazon.com");
    assert_eq!(of("us-east-1", Some("http://127.0.0.1:1")), None);
}
