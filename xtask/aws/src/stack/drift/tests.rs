use aws_sdk_cloudformation::operation::describe_stack_drift_detection_status::DescribeStackDriftDetectionStatusOutput;
use aws_sdk_cloudformation::operation::describe_stack_resource_drifts::DescribeStackResourceDriftsOutput;
use aws_sdk_cloudformation::operation::detect_stack_drift::DetectStackDriftOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

use super::*;

fn begun() -> Rule {
    mock!(Client::detect_stack_drift)
        .then_output(|| DetectStackDriftOutput::builder().stack_drift_detection_id("d-1").build())
}

fn status(status: StackDriftDetectionStatus) -> DescribeStackDriftDetectionStatusOutput {
    DescribeStackDriftDetectionStatusOutput::builder()
        .stack_id("s")
        .stack_drift_detection_id("d-1")
        .detection_status(status)
        .detection_status_reason("AccessDenied for Queue")
        .timestamp(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
        .build()
}

fn drift(id: &str, status: StackResourceDriftStatus) -> StackResourceDrift {
    StackResourceDrift::builder()
        .stack_id("s")
        .logical_resource_id(id)
        .resource_type("AWS::SQS::Queue")
        .stack_resource_drift_status(status)
        .timestamp(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
        .property_differences(
            PropertyDifference::builder()
                .property_path("/DelaySeconds")
                .expected_value("0")
                .actual_value("5")
                .difference_type(aws_sdk_cloudformation::types::DifferenceType::NotEqual)
                .build(),
        )
        .drift_status_reason("not allowed to read it")
        .build()
}

#[tokio::test(start_paused = true)]
async fn the_end_is_awaited_and_every_page_is_read() {
    use StackDriftDetectionStatus::{DetectionComplete, DetectionInProgress};
    let in_progress = mock!(Client::describe_stack_drift_detection_status)
        .sequence()
        .output(|| status(DetectionInProgress))
        .times(3)
        .output(|| status(DetectionComplete))
        .build();
    let first = mock!(Client::describe_stack_resource_drifts).match_requests(|request| request.next_token().is_none());
    let first = first.then_output(|| {
        DescribeStackResourceDriftsOutput::builder()
            .stack_resource_drifts(drift("Calm", StackResourceDriftStatus::InSync))
            .stack_resource_drifts(drift("Other", StackResourceDriftStatus::NotChecked))
            .next_token("2")
            .build()
    });
    let second =
        mock!(Client::describe_stack_resource_drifts).match_requests(|request| request.next_token() == Some("2"));
    let second = second.then_output(|| {
        DescribeStackResourceDriftsOutput::builder()
            .stack_resource_drifts(drift("Queue", StackResourceDriftStatus::Modified))
            .stack_resource_drifts(drift("Gone", StackResourceDriftStatus::Deleted))
            .build()
    });
    let begun = begun();
    let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&begun, &in_progress, &first, &second]);
    let detected = detect(&client, "s").await.unwrap();
    assert_eq!((detected.checked, detected.reason, detected.unknown.len()), (3, None, 0));
    let found: Vec<_> = detected.found.iter().map(|found| (found.logical_id.as_str(), found.is_deleted)).collect();
    assert_eq!(found, [("Queue", false), ("Gone", true)]);
    let expected =
        ValueDifference { path: "/DelaySeconds".to_owned(), expected: "0".to_owned(), actual: "5".to_owned() };
    assert_eq!(detected.found[0].differences, [expected]);
}

#[tokio::test(start_paused = true)]
async fn unreadable_resources_are_reported_beside_the_drift() {
    let failed = mock!(Client::describe_stack_drift_detection_status)
        .then_output(|| status(StackDriftDetectionStatus::DetectionFailed));
    let drifts = mock!(Client::describe_stack_resource_drifts).then_output(|| {
        DescribeStackResourceDriftsOutput::builder()
            .stack_resource_drifts(drift("Queue", StackResourceDriftStatus::UnknownValue))
            .stack_resource_drifts(drift("Topic", StackResourceDriftStatus::Modified))
            .build()
    });
    let begun = begun();
    let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&begun, &failed, &drifts]);
    let detected = detect(&client, "s").await.unwrap();
    assert_eq!(detected.reason.as_deref(), Some("AccessDenied for Queue"));
    assert_eq!(detected.unknown, [("Queue".to_owned(), "not allowed to read it".to_owned())]);
    assert_eq!(detected.found.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_detection_that_does_not_end_is_given_up() {
    let in_progress = mock!(Client::describe_stack_drift_detection_status)
        .then_output(|| status(StackDriftDetectionStatus::DetectionInProgress));
    let begun = begun();
    let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&begun, &in_progress]);
    let failure = Failure::of(&detect(&client, "s").await.unwrap_err());
    assert_eq!(failure.kind, FailureKind::DriftDetection);
}
