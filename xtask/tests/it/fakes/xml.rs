//! Parts of CloudFormation's answers.

use std::collections::BTreeMap;

pub(super) fn tags(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, text)| tag(name, text)).collect()
}

pub(super) fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `Parameters` of a stack or a change set.
pub(super) fn parameters(parameters: &BTreeMap<String, String>) -> String {
    let member = |(name, value): (&String, &String)| {
        tag("member", &tags(&[("ParameterKey", name.as_str()), ("ParameterValue", value.as_str())]))
    };
    tag("Parameters", &parameters.iter().map(member).collect::<String>())
}

/// The answer to `DescribeStacks`; `updated` counts the updates.
pub(super) fn stack(
    (arn, name, status): (&str, &str, &str),
    updated: u32,
    is_protected: bool,
    stack_parameters: &BTreeMap<String, String>,
    outputs: &[(&str, &str)],
    exported: bool,
) -> String {
    let own = tags(&[
        ("StackId", arn),
        ("StackName", name),
        ("CreationTime", "2026-01-02T03:04:05Z"),
        ("LastUpdatedTime", &format!("2026-01-02T03:04:{:02}Z", 5 + updated)),
        ("StackStatus", status),
        ("EnableTerminationProtection", if is_protected { "true" } else { "false" }),
    ]);
    let export = |output: &str| if exported { tag("ExportName", &format!("{name}-{output}")) } else { String::new() };
    let outputs = outputs.iter().map(|(output, value)| {
        tag("member", &(tags(&[("OutputKey", output), ("OutputValue", value)]) + &export(output)))
    });
    let outputs = tag("Outputs", &outputs.collect::<String>());
    tag("Stacks", &tag("member", &(own + &parameters(stack_parameters) + &outputs)))
}

/// A resource in the answer to `ListStackResources`: logical id, type, physical id and status.
pub(super) fn resource((logical, kind, physical, status): (&str, &str, &str, &str)) -> String {
    let fields = [
        ("LogicalResourceId", logical),
        ("PhysicalResourceId", physical),
        ("ResourceType", kind),
        ("ResourceStatus", status),
        ("LastUpdatedTimestamp", "2026-01-02T03:04:05Z"),
    ];
    tag("member", &tags(&fields))
}
