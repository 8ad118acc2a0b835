//! Secrets at AWS: what is known of one besides its value (whether it is there, its version, its key), and storing one.
//! No value is ever read.

use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ParameterType};
use config::deployment::SecretReference;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Clients;
use crate::error::{self, failure};
use crate::signed::{Call, SECRETS_MANAGER};
use model::outcome::{Failure, FailureKind};

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

impl Described {
    /// When the value was written, in RFC 3339.
    #[must_use]
    pub fn written(&self) -> Option<String> {
        OffsetDateTime::from_unix_timestamp(self.changed?).ok()?.format(&Rfc3339).ok()
    }

    /// Its version and age, as far as they are known, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let age = self.changed.map(|changed| match (now - changed).max(0) / 60 {
            ..5 => "less than 5 min old".to_owned(),
            minutes @ 5..120 => format!("{minutes} min old"),
            minutes if minutes < 48 * 60 => format!("{} h old", minutes / 60),
            minutes => format!("{} d old", minutes / 60 / 24),
        });
        let version = self.version.as_ref().map(|version| format!("version {version}"));
        let known: Vec<String> = version.into_iter().chain(age).collect();
        if known.is_empty() { "of a version that only its owner sees".to_owned() } else { known.join(", ") }
    }
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

/// The parameters right below a path, by name.
///
/// # Errors
/// A refused or lost call.
pub async fn list(clients: &Clients, path: &str) -> Result<Vec<(String, Described)>, Failure> {
    find(clients, "Path", "OneLevel", path).await
}

/// Stores a value as an encrypted parameter, or as a new version of it, and returns the version.
///
/// # Errors
/// A refused or lost call, without AWS's words: they may repeat what was sent.
pub async fn store(clients: &Clients, name: &str, key: Option<&str>, value: &SecretString) -> Result<i64, Failure> {
    let call = clients.ssm.put_parameter().name(name).r#type(ParameterType::SecureString).overwrite(true);
    let call = call.set_key_id(key.map(str::to_owned)).value(value.expose_secret());
    let answer = call.send().await;
    let answer =
        answer.map_err(|error| without_words(failure("ssm:PutParameter", &format!("parameter {name}"), &error)))?;
    Ok(answer.version())
}

/// Deletes a parameter with all of its versions; false if there is none.
///
/// # Errors
/// A refused or lost call.
pub async fn delete(clients: &Clients, name: &str) -> Result<bool, Failure> {
    let answer = clients.ssm.delete_parameter().name(name).send().await;
    match answer.map_err(|error| failure("ssm:DeleteParameter", &format!("parameter {name}"), &error)) {
        Ok(_) => Ok(true),
        Err(failure) if error::is_missing(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// A failure whose reason is no more than AWS's code.
fn without_words(failure: Failure) -> Failure {
    let reason = match error::code(&failure) {
        // What was never sent was not answered either.
        "" if failure.kind == FailureKind::AwsUnreachable || error::is_expired(&failure) => return failure,
        "" => "the answer is not one of AWS",
        code => code,
    };
    let reason = format!("{reason}; the rest of the answer is not shown, because it may contain the value");
    failure.reason(reason)
}

async fn parameter(clients: &Clients, name: &str) -> Result<Option<Described>, Failure> {
    let found = find(clients, "Name", "Equals", name).await?;
    Ok(found.into_iter().find(|(found, _)| found == name).map(|(_, described)| described))
}

async fn find(clients: &Clients, key: &str, option: &str, value: &str) -> Result<Vec<(String, Described)>, Failure> {
    let filter = ParameterStringFilter::builder().key(key).option(option).values(value).build();
    let filter = filter.expect("the key is given");
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let call = clients.ssm.describe_parameters().parameter_filters(filter.clone()).set_next_token(next);
        let page = call.send().await;
        let page = page.map_err(|error| failure("ssm:DescribeParameters", &format!("parameter {value}"), &error))?;
        found.extend(page.parameters().iter().filter_map(|one| Some((one.name()?.to_owned(), described(one)))));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
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
