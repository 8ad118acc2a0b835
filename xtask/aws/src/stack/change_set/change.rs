//! One resource that changes, as a change set tells it.

use aws_sdk_cloudformation::types::{Change as Described, ResourceAttribute, ResourceChangeDetail};
use model::stack::ResourceChange;

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
