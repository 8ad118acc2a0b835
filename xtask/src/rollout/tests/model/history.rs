//! What the stack has said so far.

use aws_sdk_cloudformation::operation::describe_stack_events::{DescribeStackEventsError, DescribeStackEventsOutput};
use aws_sdk_cloudformation::types::{ResourceStatus, StackEvent};
use aws_smithy_mocks::MockResponse;

use super::{Model, meta, service};

impl Model {
    pub(super) fn history(&self) -> MockResponse<DescribeStackEventsOutput, DescribeStackEventsError> {
        if self.events_denied {
            return MockResponse::Error(DescribeStackEventsError::generic(meta("AccessDenied", "no events for you")));
        }
        let happened = if self.executed() || self.dead { self.events } else { &[] };
        let events = happened.iter().enumerate().rev().map(|(index, (name, status, reason))| {
            StackEvent::builder()
                .stack_id("arn:stack")
                .stack_name("rest-api-dev")
                .event_id(format!("event-{index}"))
                .logical_resource_id(*name)
                .resource_type(if *name == "Service" { "AWS::ECS::Service" } else { "AWS::Test::Thing" })
                .set_physical_resource_id((*name == "Service").then(|| service::ARN.to_owned()))
                .resource_status(ResourceStatus::from(*status))
                .set_resource_status_reason(reason.map(str::to_owned))
                .timestamp(aws_sdk_cloudformation::primitives::DateTime::from_secs(0))
                .build()
        });
        MockResponse::Output(DescribeStackEventsOutput::builder().set_stack_events(Some(events.collect())).build())
    }
}
