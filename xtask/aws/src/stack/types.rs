//! What CloudFormation says of resource types.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::RegistryType;

use crate::error::{failure, is_missing};
use model::outcome::Failure;

/// The public schema of a resource type, as JSON; `None` for a type that has none, such as a custom resource's.
///
/// # Errors
/// What AWS says.
pub async fn schema(client: &Client, resource_type: &str) -> Result<Option<String>, Failure> {
    let answer = client.describe_type().r#type(RegistryType::Resource).type_name(resource_type).send().await;
    match answer.map_err(|error| failure("cloudformation:DescribeType", resource_type, &error)) {
        Ok(answer) => Ok(answer.schema),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}
