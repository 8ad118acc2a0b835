//! The journal of a stack's releases, in parameters of AWS Systems Manager.
//!
//! Below `/xtask/STACK` are `lock`, `releases` and `inputs/HASH/PIECE`. A release is one version of the parameter
//! `releases`, so that Systems Manager counts them, records who wrote each, and keeps the last hundred
//! (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html>). Parameters of the
//! standard tier are free and need nothing to be created first.

pub mod inputs;
pub mod lock;

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Parameter, ParameterType};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{failure, is_missing};
use lock::Held;
use model::eta::{self, Eta};
use model::record::Record;

/// The longest value of a standard parameter, in bytes
/// (<https://docs.aws.amazon.com/general/latest/gr/ssm.html#parameter-store>).
const MAX_VALUE: usize = 4096;

/// The longest cause that is recorded, in characters.
const CAUSE: usize = 600;

/// The lock and the newest release.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    pub lock: Option<Held>,
    /// The newest release, whatever its outcome.
    pub last: Option<Record>,
}

impl Remembered {
    /// How long earlier changes of this kind (`create` or `update`) took.
    pub fn eta(&self, kind: &str) -> Option<Eta> {
        let learned = self.last.as_ref().map(Record::learned).unwrap_or_default();
        let took: Vec<(&str, f64)> = learned.iter().map(|took| (took.change.as_str(), took.seconds)).collect();
        eta::learn(kind, &took)
    }
}

/// The path of all parameters of a stack.
pub fn path(stack: &str) -> String {
    format!("/xtask/{stack}")
}

fn lock_name(stack: &str) -> String {
    format!("{}/lock", path(stack))
}

fn releases_name(stack: &str) -> String {
    format!("{}/releases", path(stack))
}

/// Reads lock and newest release in one call.
pub async fn read_journal(client: &Client, stack: &str) -> Result<Remembered> {
    let (lock, releases) = (lock_name(stack), releases_name(stack));
    let answer = client.get_parameters().names(&lock).names(&releases).send().await;
    let answer = answer.map_err(|error| failure("ssm:GetParameters", &path(stack), &error))?;
    let find = |name: &str| answer.parameters().iter().find(|parameter| parameter.name() == Some(name));
    Ok(Remembered {
        lock: find(&lock).map(Held::read),
        // A record that cannot be read is ignored: the next release writes a new one.
        last: find(&releases).and_then(|parameter| parse_record(parameter.value()?, parameter.version()).ok()),
    })
}

/// The current time in RFC 3339, in whole seconds.
pub fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("zero is a valid nanosecond");
    now.format(&Rfc3339).expect("the year has four digits")
}

fn parameter_value(parameter: &Parameter) -> Result<&str> {
    parameter.value().with_context(|| format!("parameter {} has no value", parameter.name().unwrap_or_default()))
}

fn parse_record(value: &str, number: i64) -> Result<Record> {
    let record: Record = serde_json::from_str(value).context("a release's record cannot be read")?;
    Ok(Record { number, ..record })
}

/// The text that is stored, without the number, which is the parameter's version.
fn record_text(record: &Record) -> Result<String> {
    let cause = record.cause.as_ref().map(|cause| cause.chars().take(CAUSE).collect());
    let mut value = serde_json::to_value(Record { cause, ..record.clone() })?;
    value.as_object_mut().context("a record is an object")?.remove("number");
    let text = value.to_string();
    anyhow::ensure!(text.len() <= MAX_VALUE, "a record of {} bytes is too long", text.len());
    Ok(text)
}

/// Records a release and returns its number.
pub async fn record_release(client: &Client, stack: &str, record: &Record) -> Result<i64> {
    let name = releases_name(stack);
    let call =
        client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(true).value(record_text(record)?);
    let answer = call.send().await.map_err(|error| failure("ssm:PutParameter", &name, &error))?;
    Ok(answer.version())
}

/// All recorded releases, newest first.
pub async fn list_releases(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_releases(client, stack, false).await
}

/// As [`list_releases`], for callers that need every release.
///
/// # Errors
/// Also a record that cannot be read.
pub async fn list_all_releases(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_releases(client, stack, true).await
}

async fn read_releases(client: &Client, stack: &str, strict: bool) -> Result<Vec<Record>> {
    let name = releases_name(stack);
    let (mut records, mut next) = (Vec::new(), None);
    loop {
        let call = client.get_parameter_history().name(&name).max_results(50).set_next_token(next);
        let page = match call.send().await.map_err(|error| failure("ssm:GetParameterHistory", &name, &error)) {
            Ok(page) => page,
            Err(failure) if is_missing(&failure) => return Ok(records),
            Err(failure) => return Err(failure.into()),
        };
        for version in page.parameters() {
            match parse_record(version.value().unwrap_or_default(), version.version()) {
                Ok(record) => records.push(record),
                Err(error) if strict => return Err(error.context(format!("version {} of {name}", version.version()))),
                // Another version of this tool may have written it; the others are still valid.
                Err(_) => {}
            }
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            break;
        }
    }
    records.sort_by_key(|record: &Record| std::cmp::Reverse(record.number));
    // A record that was written twice, because the first answer was lost, is one release.
    records.dedup_by(|older, newer| Record { number: newer.number, ..older.clone() } == *newer);
    Ok(records)
}

#[cfg(test)]
mod tests {
    use model::record::{Change, Outcome};

    use super::*;

    #[test]
    fn a_record_survives_its_storage() {
        let record = Record {
            number: 0,
            outcome: Outcome::RolledBack,
            change: Change::Update,
            image: "r@sha256:a".to_owned(),
            inputs: "0123".to_owned(),
            commit: None,
            by: "arn:aws:iam::111122223333:user/releaser".to_owned(),
            run: None,
            at: "2026-01-02T03:04:05Z".to_owned(),
            seconds: 1.5,
            stack_updated: Some("time 0".to_owned()),
            back_to: None,
            cause: Some("x".repeat(9000)),
            took: Vec::new(),
        };
        let text = record_text(&record).unwrap();
        assert!(text.contains(r#""outcome":"rolled-back""#) && !text.contains("number"), "{text}");
        let read = parse_record(&text, 7).unwrap();
        assert_eq!((read.number, read.cause.unwrap().len()), (7, CAUSE));
    }
}
