//! Lines from CloudWatch Logs.

use aws_sdk_cloudwatchlogs::Client;
use serde::Serialize;

use crate::aws::failure;
use crate::outcome::Failure;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// RFC 3339.
    pub(crate) time: String,
    pub(crate) stream: String,
    pub(crate) message: String,
    #[serde(skip)]
    pub(crate) id: String,
    /// Milliseconds since 1970.
    #[serde(skip)]
    pub(crate) millis: i64,
}

/// The last lines of a stream.
///
/// # Errors
/// What AWS says; also that there is no such stream.
pub(crate) async fn tail(client: &Client, group: &str, stream: &str, lines: i32) -> Result<Vec<String>, Failure> {
    let request = client.get_log_events().log_group_name(group).log_stream_name(stream);
    let answer = request.limit(lines).start_from_head(false).send().await;
    let answer = answer.map_err(|error| failure("logs:GetLogEvents", &format!("{group} {stream}"), &error))?;
    Ok(answer.events().iter().filter_map(|event| event.message()).flat_map(clean).collect())
}

/// Text from elsewhere as lines that do nothing to a terminal.
pub(crate) fn clean(text: &str) -> Vec<String> {
    let visible = |c: &char| !c.is_control() || *c == '\t';
    text.lines().map(|line| line.chars().filter(visible).collect::<String>().trim_end().to_owned()).collect()
}
