//! What AWS says of a secret besides its value: whether it is there, its version, and its key.

use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ParameterType};
use config::deployment::SecretReference;
use serde_json::json;

use crate::Clients;
use crate::error::{self, failure};
use crate::signed::{Call, SECRETS_MANAGER};
use model::outcome::Failure;

/// The label of the version that is read where none is named.
const CURRENT: &str = "AWSCURRENT";
/// As many characters of a version's id tell it from others.
const VERSION: usize = 8;

/// What is known of a secret that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// A new one each time that the value is written; `None` where only its owner sees it.
    pub version: Option<String>,
    /// The customer's key that encrypts it: its id, ARN or alias.
    pub key: Option<String>,
    /// When the value was written, in seconds since 1970.
    pub changed: Option<i64>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// Reads what is known of a secret, without its value; `None` where there is none.
///
/// # Errors
/// A refused or lost call.
pub async fn describe(
    clients: &Clients,
    account: &str,
    reference: &SecretReference,
) -> Result<Option<Described>, Failure> {
    match reference {
        SecretReference::Parameter(given) => {
            let name = reference.parameter().expect("it is one");
            // Those of another account can be read, and not be described.
            let is_own = given.starts_with('/') || given.split(':').nth(4) == Some(account);
            if is_own {
                parameter(clients, name).await
            } else {
                Ok(Some(Described { is_encrypted: true, ..Described::default() }))
            }
        }
        SecretReference::Secret { arn, stage, .. } => secret(clients, arn, stage).await,
    }
}

async fn parameter(clients: &Clients, name: &str) -> Result<Option<Described>, Failure> {
    let filter = ParameterStringFilter::builder().key("Name").option("Equals").values(name).build();
    let filter = filter.expect("the key is given");
    let answer = clients.ssm.describe_parameters().parameter_filters(filter).send().await;
    let answer = answer.map_err(|error| failure("ssm:DescribeParameters", &format!("parameter {name}"), &error))?;
    Ok(answer.parameters().iter().find(|one| one.name() == Some(name)).map(described))
}

fn described(parameter: &ParameterMetadata) -> Described {
    Described {
        version: Some(parameter.version().to_string()),
        key: parameter.key_id().and_then(customers),
        changed: parameter.last_modified_date().map(|date| date.secs()),
        is_encrypted: parameter.r#type() == Some(&ParameterType::SecureString),
    }
}

async fn secret(clients: &Clients, arn: &str, stage: &str) -> Result<Option<Described>, Failure> {
    let resource = format!("secret {arn}");
    let call = Call { service: &SECRETS_MANAGER, action: "secretsmanager:DescribeSecret", resource: &resource };
    let answer = match clients.signed.json(call, &json!({"SecretId": arn})).await {
        Err(failure) if error::is_missing(&failure) => return Ok(None),
        answer => answer?,
    };
    // One that is to be deleted is described for some days more, and read no more.
    if !answer["DeletedDate"].is_null() {
        return Ok(None);
    }
    let stage = if stage.is_empty() { CURRENT } else { stage };
    let versions = answer["VersionIdsToStages"].as_object().into_iter().flatten();
    let mut labelled =
        versions.filter(|(_, stages)| stages.as_array().into_iter().flatten().any(|one| one.as_str() == Some(stage)));
    // Without a version of this label there is no value.
    let Some((id, _)) = labelled.next() else { return Ok(None) };
    Ok(Some(Described {
        version: Some(id.chars().take(VERSION).collect()),
        key: answer["KmsKeyId"].as_str().and_then(customers),
        changed: answer["LastChangedDate"].as_f64().map(|seconds| seconds as i64),
        is_encrypted: true,
    }))
}

/// A key that is not AWS's own, which needs no permission.
fn customers(key: &str) -> Option<String> {
    let is_own = key.is_empty() || key.starts_with("alias/aws/") || key.contains(":alias/aws/");
    (!is_own).then(|| key.to_owned())
}
