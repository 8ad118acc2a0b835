//! The events of a stack: new ones since a mark, the last operation, and the failed ones of an operation.

use std::collections::HashSet;

use anyhow::Result;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudformation::types::{EventFilter, HookFailureMode, OperationEvent, StackEvent};

use crate::error::failure;
use model::outcome::Failure;
use model::stack::Event;
use model::status;

/// Pages of a history that are read at most, of 100 events each.
const PAGES: usize = 20;
/// Pages of failed events that are read at most; the first failures count.
const FAILED_PAGES: usize = 10;

/// Marks the point from which events are new.
#[derive(Debug, Default)]
pub struct Mark {
    /// Ids of the events up to the mark; `None` until they could be read.
    known: Option<HashSet<String>>,
    /// The newest events before the mark, oldest first.
    before: Vec<Event>,
}

impl Mark {
    /// Before the first event, so that every event is new.
    #[cfg(test)]
    pub fn nothing() -> Self {
        Self::at(Vec::new())
    }

    /// Events since the mark, oldest first; none if they cannot be read.
    pub async fn since(mut self, client: &Client, stack_id: &str) -> Vec<Event> {
        self.fresh(client, stack_id).await.unwrap_or_default()
    }

    /// The newest events before the mark, oldest first.
    pub fn before(&self) -> &[Event] {
        &self.before
    }

    /// New events, oldest first.
    pub async fn fresh(&mut self, client: &Client, stack_id: &str) -> Result<Vec<Event>> {
        let mut new = Vec::new();
        let mut token = None;
        loop {
            let (page, next) = page(client, stack_id, token).await?;
            let Some(known) = &self.known else {
                *self = Self::at(page);
                return Ok(Vec::new());
            };
            token = next;
            // Events come newest first: a page with a known one is the last with new ones.
            let is_last = token.is_none() || page.iter().any(|event| known.contains(&event.id));
            add(&mut new, page.into_iter().filter(|event| !known.contains(&event.id)));
            if is_last {
                break;
            }
        }
        new.reverse();
        self.known.get_or_insert_default().extend(new.iter().map(|event| event.id.clone()));
        Ok(new)
    }

    fn at(page: Vec<Event>) -> Self {
        let known = page.iter().map(|event| event.id.clone()).collect();
        Self { known: Some(known), before: page.into_iter().rev().collect() }
    }
}

/// Marks the present end of the history. If that cannot be read, the mark is set by the first read that succeeds: an old
/// failure must not be taken for the cause of a new one.
pub async fn mark(client: &Client, stack_id: &str) -> Mark {
    page(client, stack_id, None).await.map(|(events, _)| Mark::at(events)).unwrap_or_default()
}

/// The newest `limit` events, oldest first, and a mark after them.
pub async fn newest_events(client: &Client, stack_id: &str, limit: usize) -> Result<(Vec<Event>, Mark)> {
    let (mut events, mut next) = page(client, stack_id, None).await?;
    let mark = Mark::at(events.clone());
    while let Some(token) = next.take().filter(|_| events.len() < limit) {
        let (older, token) = page(client, stack_id, Some(token)).await?;
        add(&mut events, older);
        next = token;
    }
    events.truncate(limit);
    events.reverse();
    Ok((events, mark))
}

/// The newest operation of the stack in which something failed, or else the newest one; oldest event first.
pub async fn last_operation(client: &Client, stack_id: &str) -> Result<Vec<Event>> {
    let (mut events, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let (older, next) = page(client, stack_id, token).await?;
        add(&mut events, older);
        token = next;
        let operations = operations(&events, stack_id);
        // The last of these may continue on the next page.
        let whole = operations.len() - usize::from(token.is_some());
        if token.is_none() || operations[..whole].iter().any(|operation| has_failed(operation)) {
            break;
        }
    }
    let operations = operations(&events, stack_id);
    let chosen = operations.iter().find(|operation| has_failed(operation)).or(operations.first());
    Ok(chosen.into_iter().flat_map(|operation| operation.iter().rev()).cloned().collect())
}

fn has_failed(operation: &[Event]) -> bool {
    operation.iter().any(|event| event.is_failure() && !event.is_cancelled())
}

/// Splits a history, newest first, into operations. A rollback belongs to the operation that it undoes.
fn operations<'a>(events: &'a [Event], stack_id: &str) -> Vec<&'a [Event]> {
    let is_end = |event: &Event| event.is_own(stack_id) && status::ending(&event.status).is_some();
    let mut cuts: Vec<usize> = events.iter().enumerate().filter(|(_, event)| is_end(event)).map(|(at, _)| at).collect();
    cuts.insert(0, 0);
    cuts.dedup();
    cuts.push(events.len());
    cuts.windows(2).map(|pair| &events[pair[0]..pair[1]]).filter(|operation| !operation.is_empty()).collect()
}

/// Adds an older page. Events that arrived since the previous page was read may have moved some of that page's into this
/// one.
fn add(events: &mut Vec<Event>, page: impl IntoIterator<Item = Event>) {
    for event in page {
        if event.id.is_empty() || !events.iter().any(|known| known.id == event.id) {
            events.push(event);
        }
    }
}

/// A page of events, newest first.
async fn page(client: &Client, stack_id: &str, token: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
    let answer = client.describe_stack_events().stack_name(stack_id).set_next_token(token).send().await;
    let answer = answer.map_err(|e| failure("cloudformation:DescribeStackEvents", &format!("stack {stack_id}"), &e))?;
    Ok((answer.stack_events().iter().map(stack_event).collect(), answer.next_token))
}

fn stack_event(event: &StackEvent) -> Event {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let some = |part: Option<&str>| part.filter(|text| !text.is_empty()).map(str::to_owned);
    Event {
        id: text(event.event_id()),
        time: time(event.timestamp()),
        status: text(event.resource_status().map(|status| status.as_str())),
        logical_id: text(event.logical_resource_id()),
        resource_type: text(event.resource_type()),
        physical_id: some(event.physical_resource_id()),
        reason: some(event.resource_status_reason()).or_else(|| some(event.hook_status_reason())),
        path: None,
        operation: some(event.operation_id()),
        token: some(event.client_request_token()),
        seconds: event.timestamp().map(DateTime::as_secs_f64).unwrap_or_default(),
    }
}

fn time(time: Option<&DateTime>) -> String {
    time.and_then(|time| time.fmt(DateTimeFormat::DateTime).ok()).unwrap_or_default()
}

/// Whose failed events are read.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    Operation(&'a str),
    /// The newest operation of the stack that has any.
    Stack(&'a str),
    ChangeSet(&'a str),
}

/// The failed events of `DescribeEvents`, oldest first. Unlike the history of the stack, they include those of early
/// validation. Emulators may not know this call, and older roles may not allow it.
pub async fn failed_events(client: &Client, of: Scope<'_>) -> Result<Vec<Event>, Failure> {
    let (mut events, mut token) = (Vec::new(), None);
    for _ in 0..FAILED_PAGES {
        let request = client.describe_events().filters(EventFilter::builder().failed_events(true).build());
        let request = match of {
            Scope::Operation(id) => request.operation_id(id),
            Scope::Stack(id) => request.stack_name(id),
            Scope::ChangeSet(id) => request.change_set_name(id),
        };
        let answer = request.set_next_token(token).send().await;
        let answer = answer.map_err(|error| failure("cloudformation:DescribeEvents", "events", &error))?;
        add(&mut events, answer.operation_events().iter().map(operation_event));
        token = answer.next_token;
        if token.is_none() {
            break;
        }
    }
    events.reverse();
    events.sort_by(|one: &Event, other| one.seconds.total_cmp(&other.seconds));
    if let (Scope::Stack(_), Some(last)) = (of, events.last().and_then(|event| event.operation.clone())) {
        events.retain(|event| event.operation.as_deref() == Some(&last));
    }
    Ok(events)
}

/// A note that events cannot be read.
pub fn unreadable_events(failure: &Failure) -> String {
    format!("events cannot be read: {failure}: {}", failure.reason.as_deref().unwrap_or_default())
}

fn operation_event(event: &OperationEvent) -> Event {
    let some = |part: Option<&str>| part.filter(|text| !text.is_empty()).map(str::to_owned);
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let warns = [event.validation_failure_mode(), event.hook_failure_mode()].contains(&Some(&HookFailureMode::Warn));
    let status = match (event.validation_status(), event.hook_status(), event.resource_status()) {
        // A warning has stopped nothing.
        _ if warns => "WARNED".to_owned(),
        (Some(status), _, _) => format!("VALIDATION_{}", status.as_str()),
        (_, Some(status), _) => status.as_str().to_owned(),
        (_, _, status) => text(status.map(|status| status.as_str())),
    };
    let time = event.timestamp().or(event.start_time());
    Event {
        id: text(event.event_id()),
        time: time.and_then(|time| time.fmt(DateTimeFormat::DateTime).ok()).unwrap_or_default(),
        status,
        logical_id: text(event.logical_resource_id()),
        resource_type: text(event.resource_type()),
        physical_id: some(event.physical_resource_id()),
        reason: some(event.validation_status_reason())
            .or_else(|| some(event.hook_status_reason()))
            .or_else(|| some(event.resource_status_reason())),
        path: some(event.validation_path()),
        operation: some(event.operation_id()),
        token: some(event.client_request_token()),
        seconds: time.map(DateTime::as_secs_f64).unwrap_or_default(),
    }
}
