//! One release as it is recorded, and the list of them.

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;
use serde::{Deserialize, Serialize};

use super::{MAX_VALUE, releases_name};
use crate::aws::failure;
use crate::report::Change;

/// Longest cause that is kept, in characters.
const CAUSE: usize = 600;

/// How many earlier times are remembered.
const REMEMBERED: usize = 20;

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Deployed, and proved unless the user did not want that.
    Succeeded,
    /// The stack went back to the release before.
    RolledBack,
    /// Deployed, but the endpoint does not give the right answer.
    Unproved,
    /// The stack is stuck or gone.
    Failed,
}

/// A release. Its number is the version of the parameter that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(skip_deserializing, default)]
    pub(crate) number: i64,
    pub(crate) outcome: Outcome,
    pub(crate) change: Change,
    /// By digest.
    pub(crate) image: String,
    /// Names template and parameters: see [`super::inputs`].
    pub(crate) inputs: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Who released, as STS names the caller.
    pub(crate) by: String,
    /// The page of the pipeline's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// When it ended, in RFC 3339.
    pub(crate) at: String,
    /// How long the stack took.
    pub(crate) seconds: f64,
    /// The stack's own time of its last change, by which a later look knows that nobody has changed it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stack_updated: Option<String>,
    /// The number of the release that this one went back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) back_to: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// How long the newest good changes took, newest first: the next release learns from them without reading all records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) took: Vec<Took>,
}

/// How long a good change of a stack took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) change: Change,
    pub(crate) seconds: f64,
}

impl Record {
    pub(super) fn read(value: &str, number: i64) -> Result<Self> {
        let record: Self = serde_json::from_str(value).context("a release's record cannot be read")?;
        Ok(Self { number, ..record })
    }

    /// What the next one can learn from this and those before it.
    pub(crate) fn learned(&self) -> Vec<Took> {
        let own = Took { change: self.change, seconds: self.seconds };
        let own = (self.outcome == Outcome::Succeeded && self.change != Change::None).then_some(own);
        own.into_iter().chain(self.took.iter().copied()).take(REMEMBERED).collect()
    }

    /// Whether both bring the stack to the same state.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.image == other.image && self.inputs == other.inputs
    }

    /// The release whose state this one has, going back included.
    pub(crate) fn origin(&self) -> i64 {
        self.back_to.unwrap_or(self.number)
    }

    /// The text that is stored: without the number, which the parameter's version is.
    fn value(&self) -> Result<String> {
        let cause = self.cause.as_ref().map(|cause| cause.chars().take(CAUSE).collect());
        let mut value = serde_json::to_value(Self { cause, ..self.clone() })?;
        value.as_object_mut().context("a record is an object")?.remove("number");
        let text = value.to_string();
        anyhow::ensure!(text.len() <= MAX_VALUE, "a record of {} bytes is too long", text.len());
        Ok(text)
    }
}

/// Records a release and returns its number.
///
/// # Errors
/// What AWS says.
pub(crate) async fn write(client: &Client, stack: &str, record: &Record) -> Result<i64> {
    let name = releases_name(stack);
    let call = client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(true).value(record.value()?);
    let answer = call.send().await.map_err(|error| failure("ssm:PutParameter", &name, &error))?;
    Ok(answer.version())
}

/// All releases that are remembered, newest first.
///
/// # Errors
/// What AWS says.
pub(crate) async fn list(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_all(client, stack, false).await
}

/// As [`list`], for whoever must know them all.
///
/// # Errors
/// What AWS says, or a record that cannot be read.
pub(crate) async fn list_all(client: &Client, stack: &str) -> Result<Vec<Record>> {
    read_all(client, stack, true).await
}

async fn read_all(client: &Client, stack: &str, strict: bool) -> Result<Vec<Record>> {
    let name = releases_name(stack);
    let (mut records, mut next) = (Vec::new(), None);
    loop {
        let call = client.get_parameter_history().name(&name).max_results(50).set_next_token(next);
        let page = match call.send().await {
            Ok(page) => page,
            Err(error) if error.code() == Some("ParameterNotFound") => return Ok(records),
            Err(error) => return Err(failure("ssm:GetParameterHistory", &name, &error).into()),
        };
        for version in page.parameters() {
            match Record::read(version.value().unwrap_or_default(), version.version()) {
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(number: i64, image: &str, outcome: Outcome, back_to: Option<i64>) -> Record {
        Record {
            number,
            outcome,
            change: Change::Update,
            image: image.to_owned(),
            inputs: "0123".to_owned(),
            commit: None,
            by: "arn:aws:iam::111122223333:user/releaser".to_owned(),
            run: None,
            at: "2026-01-02T03:04:05Z".to_owned(),
            seconds: 1.5,
            stack_updated: Some(format!("time {number}")),
            back_to,
            cause: None,
            took: Vec::new(),
        }
    }

    #[test]
    fn a_record_survives_its_storage() {
        let long = Record { cause: Some("x".repeat(9000)), ..record(0, "r@sha256:a", Outcome::RolledBack, None) };
        let text = long.value().unwrap();
        assert!(text.contains(r#""outcome":"rolled-back""#) && !text.contains("number"), "{text}");
        let read = Record::read(&text, 7).unwrap();
        assert_eq!((read.number, read.cause.unwrap().len()), (7, CAUSE));
    }
}
