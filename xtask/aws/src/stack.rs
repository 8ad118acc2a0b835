//! A CloudFormation stack: its state, its resources, and the calls that change it.

mod at_work;
mod begin;
pub mod cause;
pub mod change_set;
mod consistency;
pub mod crash;
pub mod drift;
pub mod events;
pub mod evidence;
pub mod failed;
pub mod follow;
mod grace;
pub mod pause;
pub mod types;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::TemplateStage;

use crate::error::failure;
pub use begin::NotBegun;
use model::outcome::Failure;
use model::stack::{Resource, Stack, texts};

/// What is watched.
#[derive(Debug)]
pub struct Watch<'a> {
    pub stack_id: &'a str,
    /// The stack as it was before the operation, which AWS may still show for a while.
    pub before: Option<&'a Stack>,
    pub mark: events::Mark,
    /// The tokens of the calls that began the operation; none where another run did.
    pub tokens: Vec<String>,
    /// Whether it is not known that the operation has begun: then watching also ends where nothing is seen of it.
    pub in_doubt: bool,
    /// Whether the operation ends with no stack.
    pub deleting: bool,
    /// Whether watching stops when the operation can only fail.
    pub until_hopeless: bool,
    /// Whether watching stops when a deployment waits for its proof.
    pub until_paused: bool,
}

impl<'a> Watch<'a> {
    /// To the end, whatever is seen on the way.
    pub fn of(stack_id: &'a str, before: Option<&'a Stack>, mark: events::Mark) -> Self {
        Self {
            stack_id,
            before,
            mark,
            tokens: Vec::new(),
            in_doubt: false,
            deleting: false,
            until_hopeless: false,
            until_paused: false,
        }
    }
}

/// Looks a stack up by name or ARN; `None` when there is none.
///
/// # Errors
/// What AWS says.
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

/// The template that the stack was last given, as it was written.
///
/// # Errors
/// What AWS says.
pub async fn template_body(client: &Client, stack: &str) -> Result<String> {
    let answer = client.get_template().stack_name(stack).template_stage(TemplateStage::Original).send().await;
    let answer = answer.map_err(|error| failure("cloudformation:GetTemplate", &format!("stack {stack}"), &error))?;
    Ok(answer.template_body().unwrap_or_default().to_owned())
}

/// Starts the deletion of a stack, with `role` where CloudFormation is to work with one.
///
/// # Errors
/// A refusal, or an answer that was lost.
pub async fn delete(client: &Client, stack: &Stack, role: Option<&str>, token: &str) -> Result<(), NotBegun> {
    begin::begin(None, async || {
        let call = client.delete_stack().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned)).customize().config_override(begin::once());
        let answer = call.send().await;
        answer.map_err(|error| {
            let failure = of(stack, "cloudformation:DeleteStack", &error);
            // It may have been switched on since anybody looked.
            if texts::is_protected(error.message()) { failure.hint(unprotect(&stack.name, None)) } else { failure }
        })?;
        Ok(())
    })
    .await
}

/// The command that lets a stack be deleted.
pub fn unprotect(stack: &str, region: Option<&str>) -> String {
    let region = region.map(|region| format!(" --region {region}")).unwrap_or_default();
    format!(
        "aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name \
         {stack}{region}"
    )
}

fn of<E>(stack: &Stack, action: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    failure(action, &format!("stack {}", stack.name), error)
}

/// Lists a stack's resources, those that are gone included.
///
/// # Errors
/// What AWS says.
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

/// Cancels the update that is under way: the stack rolls back.
///
/// # Errors
/// A refusal, or an answer that was lost.
pub async fn cancel_update(client: &Client, stack: &Stack, token: &str) -> Result<(), NotBegun> {
    begin::begin(None, async || {
        let call = client.cancel_update_stack().stack_name(&stack.id).client_request_token(token);
        let answer = call.customize().config_override(begin::once()).send().await;
        answer.map(drop).map_err(|error| of(stack, "cloudformation:CancelUpdateStack", &error))
    })
    .await
}

/// Rolls back a stack that stopped with rollback disabled.
///
/// # Errors
/// A refusal, or an answer that was lost.
pub async fn rollback(client: &Client, stack: &Stack, role: Option<&str>, token: &str) -> Result<(), NotBegun> {
    begin::begin(None, async || {
        let call = client.rollback_stack().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned)).customize().config_override(begin::once());
        call.send().await.map(drop).map_err(|error| of(stack, "cloudformation:RollbackStack", &error))
    })
    .await
}

/// Goes on with a rollback that got stuck; the resources in `skip` are taken for rolled back as they are.
///
/// # Errors
/// A refusal, or an answer that was lost.
pub async fn continue_rollback(
    client: &Client,
    stack: &Stack,
    role: Option<&str>,
    skip: &[String],
    token: &str,
) -> Result<(), NotBegun> {
    begin::begin(None, async || {
        let call = client.continue_update_rollback().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned));
        let call = call.set_resources_to_skip((!skip.is_empty()).then(|| skip.to_vec()));
        let answer = call.customize().config_override(begin::once()).send().await;
        answer.map(drop).map_err(|error| of(stack, "cloudformation:ContinueUpdateRollback", &error))
    })
    .await
}

#[cfg(test)]
mod tests;
