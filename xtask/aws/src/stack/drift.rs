//! Drift detection: which resources of a stack no longer match its template.

use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::{
    PropertyDifference, StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus,
};

use super::until_visible;
use crate::error::failure;
use model::outcome::{Exit, Failure, FailureKind};
use model::stack::{DriftDetection, DriftedResource, ValueDifference, texts};

/// Detection takes seconds for a few resources and minutes for hundreds.
const DEADLINE: Duration = Duration::from_secs(900);

/// Begins a drift detection, waits for it, and reads its results. The stack does not change.
///
/// # Errors
/// Also a stack whose status does not allow a detection.
pub async fn detect(client: &Client, stack: &str) -> Result<DriftDetection> {
    let resource = format!("stack {stack}");
    let begun = client.detect_stack_drift().stack_name(stack).send().await;
    let begun = begun.map_err(|error| failure("cloudformation:DetectStackDrift", &resource, &error))?;
    let id = begun.stack_drift_detection_id().unwrap_or_default();
    let reason = wait_for_detection(client, id, &resource).await?;
    let mut detected = DriftDetection { reason, ..DriftDetection::default() };
    let mut next = None;
    loop {
        let page = client.describe_stack_resource_drifts().stack_name(stack).set_next_token(next).send().await;
        let page = page.map_err(|error| failure("cloudformation:DescribeStackResourceDrifts", &resource, &error))?;
        page.stack_resource_drifts().iter().for_each(|drift| note(drift, &mut detected));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(detected);
        }
    }
}

/// Waits for the end of a detection; returns why it failed, if it did.
async fn wait_for_detection(client: &Client, id: &str, resource: &str) -> Result<Option<String>> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut pause = Duration::from_millis(500);
    let read = async || client.describe_stack_drift_detection_status().stack_drift_detection_id(id).send().await;
    let is_visible = |answer: &Result<_, SdkError<_, _>>| {
        !answer.as_ref().is_err_and(|error| texts::is_missing(error.code(), error.message()))
    };
    loop {
        let status = until_visible(is_visible, read).await;
        let status =
            status.map_err(|error| failure("cloudformation:DescribeStackDriftDetectionStatus", resource, &error))?;
        match status.detection_status() {
            Some(StackDriftDetectionStatus::DetectionComplete) => return Ok(None),
            Some(StackDriftDetectionStatus::DetectionFailed) => {
                let reason = status.detection_status_reason().unwrap_or("CloudFormation gave no reason");
                return Ok(Some(reason.to_owned()));
            }
            _ if tokio::time::Instant::now() > deadline => {
                let seconds = DEADLINE.as_secs();
                return Err(Failure::new(
                    Exit::Failed,
                    FailureKind::DriftDetection,
                    "drift detection did not finish in time",
                )
                .resource(resource)
                .reason(format!("it is still in progress after {seconds} s"))
                .hint("repeat the command")
                .into());
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn note(drift: &StackResourceDrift, detected: &mut DriftDetection) {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let logical_id = text(drift.logical_resource_id());
    let difference = |difference: &PropertyDifference| ValueDifference {
        path: text(difference.property_path()),
        expected: text(difference.expected_value()),
        actual: text(difference.actual_value()),
    };
    match drift.stack_resource_drift_status() {
        Some(status @ (StackResourceDriftStatus::Modified | StackResourceDriftStatus::Deleted)) => {
            detected.checked += 1;
            detected.found.push(DriftedResource {
                logical_id,
                resource_type: text(drift.resource_type()),
                is_deleted: *status == StackResourceDriftStatus::Deleted,
                differences: drift.property_differences().iter().map(difference).collect(),
            });
        }
        Some(StackResourceDriftStatus::InSync) => detected.checked += 1,
        // Some types cannot be compared at all.
        Some(StackResourceDriftStatus::NotChecked | StackResourceDriftStatus::Unsupported) | None => {}
        Some(_) => {
            let reason = drift.drift_status_reason().unwrap_or("CloudFormation gave no reason");
            detected.unknown.push((logical_id, reason.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
