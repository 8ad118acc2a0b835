//! What CloudFormation says of resource types.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::RegistryType;

use crate::error::failure;
use model::outcome::Failure;

/// The public schema of a resource type, as JSON; `None` for a type that has none, such as a custom resource's.
///
/// # Errors
/// What AWS says.
pub async fn schema(client: &Client, resource_type: &str) -> Result<Option<String>, Failure> {
    match client.describe_type().r#type(RegistryType::Resource).type_name(resource_type).send().await {
        Ok(answer) => Ok(answer.schema),
        Err(error) if error.code() == Some("TypeNotFoundException") => Ok(None),
        Err(error) => Err(failure("cloudformation:DescribeType", resource_type, &error)),
    }
}
