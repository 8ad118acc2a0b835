//! One resource that changes, as a change set tells it.

use aws_sdk_cloudformation::types::{Change as Described, ResourceAttribute, ResourceChangeDetail};
use serde::{Deserialize, Serialize};

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, …
    pub(crate) action: String,
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    /// `True`, `False` or `Conditional`; only for what is modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replacement: Option<String>,
    /// What of it changes, as far as that is known: `Properties.Name`, or a part beside the properties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) properties: Vec<String>,
}

/// Reads CloudFormation's own; `None` for what is no resource.
pub(super) fn read(change: &Described) -> Option<ResourceChange> {
    let change = change.resource_change()?;
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let mut properties: Vec<String> = change.details().iter().filter_map(property).collect();
    properties.sort();
    properties.dedup();
    Some(ResourceChange {
        action: text(change.action().map(|action| action.as_str())),
        logical_id: text(change.logical_resource_id()),
        resource_type: text(change.resource_type()),
        replacement: change.replacement().map(|replacement| replacement.as_str().to_owned()),
        properties,
    })
}

fn property(detail: &ResourceChangeDetail) -> Option<String> {
    let target = detail.target()?;
    match (target.attribute()?, target.name()) {
        (ResourceAttribute::Properties, Some(name)) => Some(format!("Properties.{name}")),
        (attribute, _) => Some(attribute.as_str().to_owned()),
    }
}
