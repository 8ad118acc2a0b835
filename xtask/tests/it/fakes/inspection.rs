//! Answers to reading calls: types' schemas, drift, findings.

use std::collections::BTreeMap;

use serde_json::json;
use wiremock::ResponseTemplate;

use super::World;
use super::xml::{escape, tag, tags};

/// An answer, or a code and a message.
type Answer = Result<String, (&'static str, &'static str)>;

pub(super) fn query(world: &World, action: &str, form: &BTreeMap<String, String>) -> Answer {
    match action {
        "DescribeType" => schema(&form["TypeName"]),
        "DetectStackDrift" => Ok(tag("StackDriftDetectionId", "1")),
        "DescribeStackDriftDetectionStatus" => Ok(tags(&[
            ("StackId", "1"),
            ("StackDriftDetectionId", "1"),
            ("DetectionStatus", if world.undetected.is_some() { "DETECTION_FAILED" } else { "DETECTION_COMPLETE" }),
            ("DetectionStatusReason", world.undetected.as_ref().map_or("", |(reason, _)| reason)),
            ("Timestamp", "2026-01-02T03:04:05Z"),
        ])),
        "DescribeStackResourceDrifts" => Ok(tag("StackResourceDrifts", &drifts(world))),
        _ => Err(("InvalidAction", "the test's AWS does not know this")),
    }
}

/// As AWS publishes it, shortened.
fn schema(kind: &str) -> Answer {
    let only = match kind {
        "AWS::ECS::TaskDefinition" => "/properties/ContainerDefinitions",
        "AWS::ApiGateway::RestApi" => "/properties/Nothing",
        "AWS::Cognito::UserPool" => "/properties/UsernameAttributes",
        _ => return Err(("TypeNotFoundException", "there is no such type")),
    };
    let schema = json!({"properties": {}, "handlers": {"update": {}}, "createOnlyProperties": [only]});
    Ok(tags(&[("TypeName", kind), ("Schema", &escape(&schema.to_string()))]))
}

fn drifts(world: &World) -> String {
    let drift = |(id, path, actual): &(&str, &str, &str)| {
        let status = if path.is_empty() { "DELETED" } else { "MODIFIED" };
        let difference = [("PropertyPath", *path), ("ExpectedValue", "as-it-was"), ("ActualValue", *actual)];
        let difference = tags(&[&difference[..], &[("DifferenceType", "NOT_EQUAL")]].concat());
        let differences = if path.is_empty() { String::new() } else { tag("member", &difference) };
        let own = tags(&[
            ("StackId", "1"),
            ("LogicalResourceId", id),
            ("ResourceType", "AWS::Any::Thing"),
            ("StackResourceDriftStatus", status),
            ("Timestamp", "2026-01-02T03:04:05Z"),
        ]);
        tag("member", &(own + &tag("PropertyDifferences", &differences)))
    };
    let same = |id: &&str| {
        let fields = [
            ("StackId", "1"),
            ("LogicalResourceId", *id),
            ("ResourceType", "AWS::Any::Thing"),
            ("StackResourceDriftStatus", "IN_SYNC"),
            ("Timestamp", "2026-01-02T03:04:05Z"),
        ];
        tag("member", &tags(&fields))
    };
    let same = world.undetected.iter().flat_map(|(_, ids)| ids.iter().map(same)).collect::<String>();
    world.drifted.iter().map(drift).collect::<String>() + &same
}

pub(super) fn findings(world: &World) -> ResponseTemplate {
    match &world.findings {
        Some(findings) => ResponseTemplate::new(200).set_body_json(json!({
            "imageScanStatus": {"status": "COMPLETE"},
            "imageScanFindings": {"findings": findings},
        })),
        None => ResponseTemplate::new(400).set_body_json(json!({"__type": "ScanNotFoundException", "message": ""})),
    }
}
