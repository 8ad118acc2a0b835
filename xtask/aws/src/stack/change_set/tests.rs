//! What the call for a change set contains.

use std::sync::{Arc, Mutex};

use aws_sdk_cloudformation::error::ErrorMetadata;
use aws_sdk_cloudformation::operation::create_change_set::{CreateChangeSetError, CreateChangeSetOutput};
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use super::*;
use model::progress::unread;

/// The rollback configuration that CloudFormation gets: minutes and triggers, each type and ARN.
async fn sent(create: bool, watch: Watch) -> Option<(Option<i32>, Vec<String>)> {
    let received = Arc::new(Mutex::new(None));
    let recorder = Arc::clone(&received);
    let created = mock!(Client::create_change_set)
        .match_requests(move |input| {
            *recorder.lock().unwrap() = input.rollback_configuration().cloned();
            true
        })
        .then_output(|| CreateChangeSetOutput::builder().id("set").stack_id("stack").build());
    let described = mock!(Client::describe_change_set).then_output(|| {
        DescribeChangeSetOutput::builder()
            .status(ChangeSetStatus::CreateComplete)
            .execution_status(ExecutionStatus::Available)
            .build()
    });
    let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&created, &described]);
    let body = "Parameters: {ContainerURI: {Type: String}}\nOutputs: {ApiGatewayURL: {Value: x}}\n";
    let template = Template::read("t.yaml", body.to_owned()).unwrap();
    let (parameters, tags) = (BTreeMap::new(), BTreeMap::new());
    let request = Request {
        stack: "s",
        create,
        role: None,
        template: &template,
        parameters: &parameters,
        watch,
        tags: &tags,
        token: "t",
    };
    let interrupt = Interrupt::never();
    assert!(matches!(prepare(&client, &request, &interrupt, &unread).await.unwrap(), Prepared::Ready(_)));
    let received = received.lock().unwrap().clone()?;
    let triggers = received.rollback_triggers.expect("a missing list keeps the old triggers of the stack");
    let triggers = triggers.iter().map(|t| format!("{} {}", t.r#type().unwrap(), t.arn().unwrap())).collect();
    Some((received.monitoring_time_in_minutes, triggers))
}

#[tokio::test]
async fn an_update_names_its_alarms_and_the_time() {
    let watch = Watch { minutes: 15, alarms: vec!["arn:a".to_owned(), "arn:b".to_owned()] };
    let triggers = ["AWS::CloudWatch::Alarm arn:a", "AWS::CloudWatch::Alarm arn:b"].map(String::from).to_vec();
    assert_eq!(sent(false, watch).await, Some((Some(15), triggers)));
}

#[tokio::test]
async fn an_update_without_alarms_clears_those_of_the_stack() {
    assert_eq!(sent(false, Watch::default()).await, Some((Some(0), Vec::new())));
}

#[tokio::test]
async fn a_creation_has_no_rollback_alarms() {
    assert_eq!(sent(true, Watch { minutes: 15, alarms: vec!["arn:a".to_owned()] }).await, None);
}

#[tokio::test]
async fn a_change_set_whose_answer_was_lost_is_used() {
    let taken = mock!(Client::create_change_set).match_requests(|request| request.role_arn() == Some("arn:role"));
    let taken = taken.then_error(|| {
        CreateChangeSetError::generic(ErrorMetadata::builder().code("AlreadyExistsException").message("it is").build())
    });
    let described = mock!(Client::describe_change_set).match_requests(|input| input.change_set_name() == Some("t"));
    let described = described.then_output(|| {
        DescribeChangeSetOutput::builder()
            .change_set_id("arn:set")
            .stack_id("arn:stack")
            .status(ChangeSetStatus::CreateComplete)
            .execution_status(ExecutionStatus::Available)
            .build()
    });
    let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&taken, &described]);
    let body = "Parameters: {ContainerURI: {Type: String}}\nOutputs: {ApiGatewayURL: {Value: x}}\n";
    let template = Template::read("t.yaml", body.to_owned()).unwrap();
    let (parameters, tags, watch) = (BTreeMap::new(), BTreeMap::new(), Watch::default());
    let request = Request {
        stack: "s",
        create: false,
        role: Some("arn:role"),
        template: &template,
        parameters: &parameters,
        watch,
        tags: &tags,
        token: "t",
    };
    let interrupt = Interrupt::never();
    let Prepared::Ready(set) = prepare(&client, &request, &interrupt, &unread).await.unwrap() else {
        panic!("it is not empty")
    };
    assert_eq!((set.id.as_str(), set.stack_id.as_str()), ("arn:set", "arn:stack"));
    assert_eq!(set.role.as_deref(), Some("arn:role"));
}
