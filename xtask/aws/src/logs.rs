//! Lines from CloudWatch Logs: the end of a stream, the newest lines of a group, and its new lines.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, OutputLogEvent};

use crate::error::{failure, is_missing};
use model::outcome::Failure;
use model::report::Line;

/// How late lines may arrive: so far back each poll reads again.
const LATE: Duration = Duration::from_secs(60);

/// The last lines of a stream.
///
/// # Errors
/// Also a stream that does not exist.
pub async fn tail(client: &Client, group: &str, stream: &str, lines: i32) -> Result<Vec<String>, Failure> {
    let request = client.get_log_events().log_group_name(group).log_stream_name(stream);
    let answer = request.limit(lines).start_from_head(false).send().await;
    let answer = answer.map_err(|error| failure("logs:GetLogEvents", &format!("{group} {stream}"), &error))?;
    Ok(answer.events().iter().filter_map(|event| event.message()).flat_map(clean).collect())
}

/// The newest `limit` lines of a group since `millis`, oldest first.
pub async fn newest_lines(client: &Client, group: &str, millis: i64, limit: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = read_lines(client, group, millis, Some(limit)).await?;
    lines.sort_by_key(|line| line.millis);
    Ok(lines.split_off(lines.len().saturating_sub(limit)))
}

/// Reads a stream from its beginning, each line once.
#[derive(Debug)]
pub struct StreamReader {
    group: String,
    stream: String,
    token: Option<String>,
}

impl StreamReader {
    pub fn new(group: &str, stream: &str) -> Self {
        Self { group: group.to_owned(), stream: stream.to_owned(), token: None }
    }

    /// The lines since the last call; none of a stream that does not exist yet.
    ///
    /// # Errors
    /// A refused or lost call; the lines of the pages before it come with the next call.
    pub async fn fresh(&mut self, client: &Client) -> Result<Vec<Line>, Failure> {
        let (mut lines, mut token) = (Vec::new(), self.token.clone());
        loop {
            let request = client.get_log_events().log_group_name(&self.group).log_stream_name(&self.stream);
            let answer = match request.start_from_head(true).set_next_token(token.clone()).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    let failure = failure("logs:GetLogEvents", &format!("{} {}", self.group, self.stream), &error);
                    return if is_missing(&failure) { Ok(lines) } else { Err(failure) };
                }
            };
            lines.extend(answer.events().iter().map(|event| self.line(event)));
            // The token that was sent comes back at the end.
            let next = answer.next_forward_token;
            if next.is_none() || next == token {
                self.token = next;
                return Ok(lines);
            }
            token = next;
        }
    }

    fn line(&self, event: &OutputLogEvent) -> Line {
        let millis = event.timestamp().unwrap_or_default();
        let message = event.message().unwrap_or_default().trim_end().to_owned();
        Line { time: time(millis), stream: self.stream.clone(), message, id: String::new(), millis }
    }
}

/// Remembers which lines of a group have been shown.
#[derive(Debug)]
pub struct Follower {
    /// Milliseconds since 1970; older lines are not shown.
    begin: i64,
    seen: HashMap<String, i64>,
}

impl Follower {
    pub fn new(begin: i64) -> Self {
        Self { begin, seen: HashMap::new() }
    }

    /// New lines, oldest first.
    pub async fn fresh(&mut self, client: &Client, group: &str) -> Result<Vec<Line>, Failure> {
        let late = i64::try_from(LATE.as_millis()).expect("it is short");
        let from = self.seen.values().max().map_or(self.begin, |newest| self.begin.max(newest - late));
        let mut lines = read_lines(client, group, from, None).await?;
        // Forgotten lines must not come back if the response contains more than requested.
        lines.retain(|line| line.millis >= from);
        lines.sort_by_key(|line| line.millis);
        self.note(&mut lines);
        self.seen.retain(|_, millis| *millis >= from);
        Ok(lines)
    }

    /// Remembers these lines, and removes the known ones.
    pub fn note(&mut self, lines: &mut Vec<Line>) {
        lines.retain(|line| self.seen.insert(line.id.clone(), line.millis).is_none());
    }
}

/// Lines since `millis`: all, or at least the newest `enough`.
async fn read_lines(client: &Client, group: &str, millis: i64, enough: Option<usize>) -> Result<Vec<Line>, Failure> {
    let (mut lines, mut token): (Vec<Line>, _) = (Vec::new(), None);
    loop {
        let request = client.filter_log_events().log_group_name(group).start_time(millis);
        let request = request.set_start_from_head(enough.map(|_| false)).set_next_token(token);
        let answer = request.send().await.map_err(|error| failure("logs:FilterLogEvents", group, &error))?;
        let page: Vec<Line> = answer.events().iter().map(line).collect();
        // Emulators may always begin with the oldest; the newest are then on the last page.
        let backwards = page.first().zip(page.last()).is_none_or(|(first, last)| first.millis >= last.millis);
        lines.extend(page);
        token = answer.next_token;
        if token.is_none() || (backwards && enough.is_some_and(|enough| lines.len() >= enough)) {
            return Ok(lines);
        }
    }
}

fn line(event: &FilteredLogEvent) -> Line {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let (stream, message) = (text(event.log_stream_name()), text(event.message()));
    let millis = event.timestamp().unwrap_or_default();
    let time = time(millis);
    let id = event.event_id().map_or_else(|| format!("{millis} {stream} {message}"), str::to_owned);
    Line { time, stream, message: message.trim_end().to_owned(), id, millis }
}

fn time(millis: i64) -> String {
    DateTime::from_millis(millis).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

/// Foreign text as lines without control characters.
pub fn clean(text: &str) -> Vec<String> {
    let visible = |c: &char| !c.is_control() || *c == '\t';
    text.lines().map(|line| line.chars().filter(visible).collect::<String>().trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::error::ErrorMetadata;
    use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
    use aws_sdk_cloudwatchlogs::operation::get_log_events::{GetLogEventsError, GetLogEventsOutput};
    use aws_sdk_cloudwatchlogs::types::error::ResourceNotFoundException;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    type Page = Vec<(i64, &'static str)>;

    /// A group with these pages.
    fn group(pages: Vec<Page>, linked: bool) -> Client {
        let rules = pages.iter().enumerate().map(|(at, page)| {
            let event = |(millis, text): &(i64, &str)| {
                let event = FilteredLogEvent::builder().timestamp(*millis).message(*text).log_stream_name("s");
                event.event_id(format!("{millis}{text}")).build()
            };
            let events: Vec<_> = page.iter().map(event).collect();
            let next = Some("next".to_owned()).filter(|_| linked && at + 1 < pages.len());
            mock!(Client::filter_log_events).then_output(move || {
                FilterLogEventsOutput::builder().set_events(Some(events.clone())).set_next_token(next.clone()).build()
            })
        });
        mock_client!(aws_sdk_cloudwatchlogs, RuleMode::Sequential, &rules.collect::<Vec<_>>())
    }

    fn messages(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.message.as_str()).collect()
    }

    #[tokio::test]
    async fn the_newest_lines_are_sorted_and_no_more_pages_are_read_than_needed() {
        let backwards = group(vec![vec![(5, "e"), (4, "d")], vec![(3, "c"), (2, "b")], vec![(1, "a")]], true);
        assert_eq!(messages(&newest_lines(&backwards, "g", 0, 3).await.unwrap()), ["c", "d", "e"]);
        let forwards = group(vec![vec![(1, "a"), (2, "b")], vec![(3, "c"), (4, "d")]], true);
        assert_eq!(messages(&newest_lines(&forwards, "g", 0, 2).await.unwrap()), ["c", "d"]);
    }

    #[tokio::test]
    async fn a_stream_is_read_from_its_beginning_and_each_line_once() {
        let page = |text: Option<&str>, next: &str| {
            let event = text.map(|text| OutputLogEvent::builder().timestamp(5).message(text).build());
            let (events, next) = (event.into_iter().collect::<Vec<_>>(), next.to_owned());
            mock!(Client::get_log_events).then_output(move || {
                GetLogEventsOutput::builder().set_events(Some(events.clone())).next_forward_token(&next).build()
            })
        };
        let missing = mock!(Client::get_log_events).then_error(|| {
            let metadata = ErrorMetadata::builder().code("ResourceNotFoundException").build();
            GetLogEventsError::ResourceNotFoundException(ResourceNotFoundException::builder().meta(metadata).build())
        });
        // A page may be empty before the end.
        let rules = [
            missing,
            page(Some("a"), "f/1"),
            page(None, "f/2"),
            page(Some("b\n"), "f/3"),
            page(None, "f/3"),
            page(Some("c"), "f/4"),
            page(None, "f/4"),
        ];
        let client = mock_client!(aws_sdk_cloudwatchlogs, RuleMode::Sequential, &rules);
        let mut reader = StreamReader::new("g", "s");
        assert!(reader.fresh(&client).await.unwrap().is_empty(), "there is no stream yet");
        assert_eq!(messages(&reader.fresh(&client).await.unwrap()), ["a", "b"]);
        assert_eq!(messages(&reader.fresh(&client).await.unwrap()), ["c"]);
    }

    #[tokio::test]
    async fn following_neither_repeats_nor_loses_late_lines() {
        let polls = vec![vec![(1, "a"), (3, "c")], vec![(1, "a"), (2, "late"), (3, "c")], vec![(3, "c"), (3, "same")]];
        let client = group(polls, false);
        let mut follower = Follower::new(0);
        assert_eq!(messages(&follower.fresh(&client, "g").await.unwrap()), ["a", "c"]);
        assert_eq!(messages(&follower.fresh(&client, "g").await.unwrap()), ["late"]);
        assert_eq!(messages(&follower.fresh(&client, "g").await.unwrap()), ["same"]);
    }

    #[test]
    fn a_log_cannot_command_the_terminal() {
        assert_eq!(clean("\u{1b}]0;title\u{7}one\r\ntwo\tthree"), ["]0;titleone", "two\tthree"]);
    }
}
