//! Lines from CloudWatch Logs: the end of one stream, the newest of a group, and what is new in it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;

use crate::error::failure;
use model::outcome::Failure;
use model::report::Line;

/// Lines come late: so far back is looked for them again and again.
const LATE: Duration = Duration::from_secs(60);

/// The last lines of a stream.
///
/// # Errors
/// What AWS says; also that there is no such stream.
pub async fn tail(client: &Client, group: &str, stream: &str, lines: i32) -> Result<Vec<String>, Failure> {
    let request = client.get_log_events().log_group_name(group).log_stream_name(stream);
    let answer = request.limit(lines).start_from_head(false).send().await;
    let answer = answer.map_err(|error| failure("logs:GetLogEvents", &format!("{group} {stream}"), &error))?;
    Ok(answer.events().iter().filter_map(|event| event.message()).flat_map(clean).collect())
}

/// The newest `limit` lines of a group since `millis`, oldest first.
///
/// # Errors
/// What AWS says.
pub async fn newest_lines(client: &Client, group: &str, millis: i64, limit: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = read_lines(client, group, millis, Some(limit)).await?;
    lines.sort_by_key(|line| line.millis);
    Ok(lines.split_off(lines.len().saturating_sub(limit)))
}

/// Knows which lines of a group have been shown.
#[derive(Debug)]
pub struct Follower {
    /// Milliseconds since 1970, before which nothing is wanted.
    begin: i64,
    seen: HashMap<String, i64>,
}

impl Follower {
    pub fn new(begin: i64) -> Self {
        Self { begin, seen: HashMap::new() }
    }

    /// Lines that were not there before, oldest first.
    ///
    /// # Errors
    /// What AWS says.
    pub async fn fresh(&mut self, client: &Client, group: &str) -> Result<Vec<Line>, Failure> {
        let late = i64::try_from(LATE.as_millis()).expect("it is short");
        let from = self.seen.values().max().map_or(self.begin, |newest| self.begin.max(newest - late));
        let mut lines = read_lines(client, group, from, None).await?;
        // What is forgotten must not come back, should the other side give more than was asked for.
        lines.retain(|line| line.millis >= from);
        lines.sort_by_key(|line| line.millis);
        self.note(&mut lines);
        self.seen.retain(|_, millis| *millis >= from);
        Ok(lines)
    }

    /// Remembers these lines, and takes out those that were known.
    pub fn note(&mut self, lines: &mut Vec<Line>) {
        lines.retain(|line| self.seen.insert(line.id.clone(), line.millis).is_none());
    }
}

/// Lines since `millis`; all of them, or at least the newest `enough`.
async fn read_lines(client: &Client, group: &str, millis: i64, enough: Option<usize>) -> Result<Vec<Line>, Failure> {
    let (mut lines, mut token): (Vec<Line>, _) = (Vec::new(), None);
    loop {
        let request = client.filter_log_events().log_group_name(group).start_time(millis);
        let request = request.set_start_from_head(enough.map(|_| false)).set_next_token(token);
        let answer = request.send().await.map_err(|error| failure("logs:FilterLogEvents", group, &error))?;
        let page: Vec<Line> = answer.events().iter().map(line).collect();
        // Emulators may begin with the oldest whatever they are told; then the newest are on the last page.
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
    let time = DateTime::from_millis(millis).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    let id = event.event_id().map_or_else(|| format!("{millis} {stream} {message}"), str::to_owned);
    Line { time, stream, message: message.trim_end().to_owned(), id, millis }
}

/// Text from elsewhere as lines that do nothing to a terminal.
pub fn clean(text: &str) -> Vec<String> {
    let visible = |c: &char| !c.is_control() || *c == '\t';
    text.lines().map(|line| line.chars().filter(visible).collect::<String>().trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    type Page = Vec<(i64, &'static str)>;

    /// A group whose calls answer with one page after the other.
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
    async fn the_newest_lines_come_in_order_of_time_and_no_more_pages_than_needed() {
        let backwards = group(vec![vec![(5, "e"), (4, "d")], vec![(3, "c"), (2, "b")], vec![(1, "a")]], true);
        assert_eq!(messages(&newest_lines(&backwards, "g", 0, 3).await.unwrap()), ["c", "d", "e"]);
        let forwards = group(vec![vec![(1, "a"), (2, "b")], vec![(3, "c"), (4, "d")]], true);
        assert_eq!(messages(&newest_lines(&forwards, "g", 0, 2).await.unwrap()), ["c", "d"]);
    }

    #[tokio::test]
    async fn following_neither_repeats_nor_loses_a_line_even_when_it_comes_late() {
        let looks = vec![vec![(1, "a"), (3, "c")], vec![(1, "a"), (2, "late"), (3, "c")], vec![(3, "c"), (3, "same")]];
        let client = group(looks, false);
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
