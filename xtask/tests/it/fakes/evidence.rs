//! What failures leave behind: failed events, logs and an instance's console.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::World;
use super::timeline::START;
use super::xml::{tag, tags};

/// The log group that streams are in.
pub(crate) const GROUP: &str = "rest-api-group";

/// A failed event: logical id, status, property, reason. One with a property is early validation's.
pub(crate) type Found = (&'static str, &'static str, &'static str, &'static str);

#[derive(Clone, Default)]
pub(crate) struct Evidence {
    /// The answer to `DescribeEvents`, oldest first.
    pub(crate) failed: Vec<Found>,
    /// Lines by stream.
    pub(crate) log: BTreeMap<&'static str, Vec<&'static str>>,
    /// What instances have written to their consoles.
    pub(crate) console: String,
}

/// The answer of CloudWatch Logs; `None` where it is not asked, or has nothing.
pub(super) fn logs(evidence: &Evidence, action: &str, input: &Value) -> Option<ResponseTemplate> {
    let event = |stream: &str, line: &str| json!({"logStreamName": stream, "timestamp": START * 1000, "message": line});
    let events: Vec<Value> = match action {
        "GetLogEvents" => match evidence.log.get(input["logStreamName"].as_str().unwrap()) {
            Some(lines) => lines.iter().map(|line| event("", line)).collect(),
            None => {
                let error = json!({"__type": "ResourceNotFoundException", "message": "there is no such stream"});
                return Some(ResponseTemplate::new(400).set_body_json(error));
            }
        },
        "FilterLogEvents" if !evidence.log.is_empty() => {
            let lines = evidence.log.iter().flat_map(|(stream, lines)| lines.iter().map(move |line| (stream, line)));
            lines.map(|(stream, line)| event(stream, line)).collect()
        }
        _ => return None,
    };
    Some(ResponseTemplate::new(200).set_body_raw(json!({"events": events}).to_string(), "application/x-amz-json-1.1"))
}

/// The answer to `DescribeEvents`, newest first.
pub(super) fn failed(world: &World) -> String {
    let event = |(logical, status, path, reason): &Found| {
        let own = [
            ("LogicalResourceId", *logical),
            ("ResourceType", "AWS::SQS::Queue"),
            ("Timestamp", "2026-01-02T03:05:05Z"),
        ];
        let more = if path.is_empty() {
            vec![("ResourceStatus", *status), ("ResourceStatusReason", *reason)]
        } else {
            let kind = ("EventType", "VALIDATION_ERROR");
            vec![kind, ("ValidationStatus", *status), ("ValidationPath", *path), ("ValidationStatusReason", *reason)]
        };
        tag("member", &(tags(&own) + &tags(&more)))
    };
    tag("OperationEvents", &world.evidence.failed.iter().rev().map(event).collect::<String>())
}

/// The answer to `GetConsoleOutput`.
pub(super) fn console(world: &World) -> String {
    tag("output", &STANDARD.encode(&world.evidence.console))
}
