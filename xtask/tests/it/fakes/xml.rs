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
    pairs("Parameter", parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn pairs<'a>(kind: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let (key, value) = (format!("{kind}Key"), format!("{kind}Value"));
    let members = pairs.map(|(name, text)| tag("member", &tags(&[(&key, name), (&value, text)])));
    tag(&format!("{kind}s"), &members.collect::<String>())
}

/// The answer to `DescribeStacks`; `updated` counts the updates.
pub(super) fn stack(
    (arn, name, status): (&str, &str, &str),
    updated: u32,
    is_protected: bool,
    stack_parameters: &BTreeMap<String, String>,
    outputs: &[(&str, &str)],
) -> String {
    let own = tags(&[
        ("StackId", arn),
        ("StackName", name),
        ("CreationTime", "2026-01-02T03:04:05Z"),
        ("LastUpdatedTime", &format!("2026-01-02T03:04:{:02}Z", 5 + updated)),
        ("StackStatus", status),
        ("EnableTerminationProtection", if is_protected { "true" } else { "false" }),
    ]);
    let outputs = pairs("Output", outputs.iter().copied());
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
