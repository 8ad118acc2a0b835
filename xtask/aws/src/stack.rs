//! A CloudFormation stack: its state, its resources, and the calls that change it.

pub mod cause;
pub mod change_set;
pub mod crash;
pub mod drift;
pub mod events;
pub mod follow;
mod operation;
pub mod pause;
mod watch;

use std::time::Duration;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::{RegistryType, StackStatus, TemplateStage};
use tokio::time::Instant;

use crate::error::{failure, is_missing};
use model::outcome::Failure;
use model::stack::{Resource, Stack, texts};
pub use operation::{NotBegun, cancel_update, continue_rollback, delete, rollback, unprotect};
pub use watch::Watch;

/// How long something that was just created may be reported as missing.
const GRACE: Duration = Duration::from_secs(30);
/// Pause between two reads.
const PAUSE: Duration = Duration::from_secs(1);

/// Describes a stack by name or ARN; `None` if it does not exist.
pub async fn describe(client: &Client, stack: &str) -> Result<Option<Stack>> {
    let answer = match client.describe_stacks().stack_name(stack).send().await {
        Ok(answer) => answer,
        Err(error) if texts::is_missing(error.code(), error.message()) => return Ok(None),
        Err(error) => return Err(failure("cloudformation:DescribeStacks", &format!("stack {stack}"), &error).into()),
    };
    Ok(answer.stacks().first().map(|described| {
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let pair =
            |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
        let time = described.last_updated_time().or(described.creation_time());
        Stack {
            id: text(described.stack_id()),
            name: text(described.stack_name()),
            status: text(described.stack_status().map(|status| status.as_str())),
            status_reason: described.stack_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
            parameters: described
                .parameters()
                .iter()
                .filter_map(|parameter| pair(parameter.parameter_key(), parameter.parameter_value()))
                .collect(),
            outputs: described
                .outputs()
                .iter()
                .filter_map(|output| pair(output.output_key(), output.output_value()))
                .collect(),
            exports: described.outputs().iter().filter_map(|output| Some(output.export_name()?.to_owned())).collect(),
            tags: described
                .tags()
                .iter()
                .filter_map(|tag| pair(tag.key(), tag.value()))
                .filter(|(key, _)| !key.starts_with("aws:"))
                .collect(),
            updated: time.and_then(|time| time.fmt(aws_sdk_cloudformation::primitives::DateTimeFormat::DateTime).ok()),
            has_termination_protection: described.enable_termination_protection() == Some(true),
        }
    }))
}

/// The stack's current template, as it was submitted.
pub async fn template_body(client: &Client, stack: &str) -> Result<String> {
    let answer = client.get_template().stack_name(stack).template_stage(TemplateStage::Original).send().await;
    let answer = answer.map_err(|error| failure("cloudformation:GetTemplate", &format!("stack {stack}"), &error))?;
    Ok(answer.template_body().unwrap_or_default().to_owned())
}

/// Lists a stack's resources, including deleted ones.
pub async fn resources(client: &Client, stack: &str) -> Result<Vec<Resource>> {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let (mut resources, mut next) = (Vec::new(), None);
    loop {
        let page = client.list_stack_resources().stack_name(stack).set_next_token(next).send().await;
        let page = page.map_err(|e| failure("cloudformation:ListStackResources", &format!("stack {stack}"), &e))?;
        resources.extend(page.stack_resource_summaries().iter().map(|resource| Resource {
            logical_id: text(resource.logical_resource_id()),
            physical_id: resource.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned),
            resource_type: text(resource.resource_type()),
            status: text(resource.resource_status().map(|status| status.as_str())),
        }));
        next = page.next_token;
        if next.is_none() {
            return Ok(resources);
        }
    }
}

/// The names of the stacks that import an export.
pub async fn importers(client: &Client, export: &str) -> Result<Vec<String>, Failure> {
    let (mut importers, mut next) = (Vec::new(), None);
    loop {
        let page = match client.list_imports().export_name(export).set_next_token(next).send().await {
            Ok(page) => page,
            Err(error) if texts::is_not_imported(error.code(), error.message()) => return Ok(importers),
            Err(error) => return Err(failure("cloudformation:ListImports", &format!("export {export}"), &error)),
        };
        importers.extend(page.imports().iter().cloned());
        next = page.next_token;
        if next.is_none() {
            return Ok(importers);
        }
    }
}

/// The names of the stacks that begin so, of the account and region; deleted ones are left out.
pub async fn names(client: &Client, start: &str) -> Result<Vec<String>, Failure> {
    let deleted = |status: &StackStatus| *status == StackStatus::DeleteComplete;
    let there = || StackStatus::values().iter().map(|status| StackStatus::from(*status)).filter(|one| !deleted(one));
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let page =
            client.list_stacks().set_stack_status_filter(Some(there().collect())).set_next_token(next).send().await;
        let page = page.map_err(|error| failure("cloudformation:ListStacks", &format!("stacks {start}…"), &error))?;
        let of_page = page.stack_summaries().iter().filter_map(|stack| stack.stack_name());
        names.extend(of_page.filter(|name| name.starts_with(start)).map(str::to_owned));
        next = page.next_token;
        if next.is_none() {
            return Ok(names);
        }
    }
}

/// The public schema of a resource type, as JSON; `None` for a type without one, such as a custom resource.
pub async fn resource_schema(client: &Client, resource_type: &str) -> Result<Option<String>, Failure> {
    let answer = client.describe_type().r#type(RegistryType::Resource).type_name(resource_type).send().await;
    match answer.map_err(|error| failure("cloudformation:DescribeType", resource_type, &error)) {
        Ok(answer) => Ok(answer.schema),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Repeats a read of something that was just created until it is visible, or returns the last answer.
pub(super) async fn until_visible<T>(is_visible: impl Fn(&T) -> bool, read: impl AsyncFn() -> T) -> T {
    let deadline = Instant::now() + GRACE;
    loop {
        let answer = read().await;
        if is_visible(&answer) || Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::status::{Answer, Refusal, answer, ending};

    #[test]
    fn every_status_of_the_sdk_has_an_answer_and_an_ending() {
        for status in StackStatus::values() {
            assert_ne!(answer(Some(status)), Answer::Refuse(Refusal::Unknown), "{status}");
            let moving = status.ends_with("_IN_PROGRESS");
            assert_eq!(ending(status).is_none(), moving, "{status}");
        }
    }
}
