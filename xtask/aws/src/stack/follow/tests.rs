//! How many looks may fail.

use crate::stack::events::Mark;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::{BehaviorVersion, Config};

use super::*;
use model::outcome::{AwsClass, AwsError};
use model::progress::unread;

/// A look that AWS answers with this; nothing is asked.
fn failed(class: AwsClass) -> anyhow::Error {
    let said = AwsError { operation: "cloudformation:DescribeStacks".to_owned(), code: None, class, refused: true };
    Failure::new(Exit::Failed, FailureKind::Aws, "it failed").aws(said).into()
}

#[test]
fn polling_that_is_throttled_for_minutes_decides_nothing() {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    let clients = Clients::modelled(Client::from_conf(config));
    let mut following = Following::new(&clients, Watch::of("arn:stack", None, Mark::nothing()));
    for _ in 0..60 {
        following.endure(failed(AwsClass::Throttled), &unread).unwrap();
    }
    // Every other look that fails counts.
    for _ in 1..LOST {
        following.endure(failed(AwsClass::Lost), &unread).unwrap();
    }
    following.endure(failed(AwsClass::Lost), &unread).unwrap_err();
}
