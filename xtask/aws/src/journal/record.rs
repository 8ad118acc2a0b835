//! One release as it is recorded, and the list of them.

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;

use super::{MAX_VALUE, releases_name};
use crate::error::{failure, is_missing};
use model::record::Record;

/// Longest cause that is kept, in characters.
const CAUSE: usize = 600;

pub(super) fn read(value: &str, number: i64) -> Result<Record> {
    let record: Record = serde_json::from_str(value).context("a release's record cannot be read")?;
    Ok(Record { number, ..record })
}

/// The text that is stored: without the number, which the parameter's version is.
fn value(record: &Record) -> Result<String> {
    let cause = record.cause.as_ref().map(|cause| cause.chars().take(CAUSE).collect());
    let mut value = serde_json::to_value(Record { cause, ..record.clone() })?;
    value.as_object_mut().context("a record is an object")?.remove("number");
    let text = value.to_string();
    anyhow::ensure!(text.len() <= MAX_VALUE, "a record of {} bytes is too long", text.len());
    Ok(text)
}

/// Records a release and returns its number.
///
/// # Errors
/// What AWS says.
pub async fn write(client: &Client, stack: &str, record: &Record) -> Result<i64> {
    let name = releases_name(stack);
    let call = client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(true).value(value(record)?);
    let answer = call.send().await.map_err(|error| failure("ssm:PutParameter", &name, &error))?;
    Ok(answer.version())
}

/// All releases that are remembered, newest first.
///
/// # Errors
/// What AWS says.
pub async fn list(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_all(client, stack, false).await
}

/// As [`list`], for whoever must know them all.
///
/// # Errors
/// What AWS says, or a record that cannot be read.
pub async fn list_all(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_all(client, stack, true).await
}

async fn read_all(client: &Client, stack: &str, strict: bool) -> Result<Vec<Record>> {
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
            match read(version.value().unwrap_or_default(), version.version()) {
                Ok(record) => records.push(record),
                Err(error) if strict => return Err(error.context(format!("version {} of {name}", version.version()))),
                // Another version of this tool may have written it; the others are still good.
                Err(_) => {}
            }
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            break;
        }
    }
    records.sort_by_key(|record: &Record| std::cmp::Reverse(record.number));
    // One that was written again, because the answer to the first attempt was lost, is one release.
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
        let text = value(&record).unwrap();
        assert!(text.contains(r#""outcome":"rolled-back""#) && !text.contains("number"), "{text}");
        let read = read(&text, 7).unwrap();
        assert_eq!((read.number, read.cause.unwrap().len()), (7, CAUSE));
    }
}
