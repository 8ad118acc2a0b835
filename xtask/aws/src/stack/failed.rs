//! The failed events of one operation, as `DescribeEvents` gives them: it also knows what early validation found, which
//! the stack's own history does not.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudformation::types::{EventFilter, HookFailureMode, OperationEvent};

use crate::stack::cause::Cause;
use crate::stack::events;
use model::outcome::Failure;
use model::stack::{Event, texts};
use model::template::Template;

/// Most pages that are read; the first failures are what counts.
const PAGES: usize = 10;

/// Whose failures are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    Operation(&'a str),
    /// Of its newest operation that has any.
    Stack(&'a str),
    ChangeSet(&'a str),
}

/// Failed events, oldest first; none where nothing failed.
///
/// # Errors
/// What AWS says; it may not know this call, or not allow it.
pub async fn failed(client: &Client, of: Of<'_>) -> Result<Vec<Event>, Failure> {
    let (mut events, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let request = client.describe_events().filters(EventFilter::builder().failed_events(true).build());
        let request = match of {
            Of::Operation(id) => request.operation_id(id),
            Of::Stack(id) => request.stack_name(id),
            Of::ChangeSet(id) => request.change_set_name(id),
        };
        let answer = request.set_next_token(token).send().await;
        let answer =
            answer.map_err(|error| crate::error::failure("cloudformation:DescribeEvents", "events", &error))?;
        events::add(&mut events, answer.operation_events().iter().map(read));
        token = answer.next_token;
        if token.is_none() {
            break;
        }
    }
    events.reverse();
    events.sort_by(|one: &Event, other| one.seconds.total_cmp(&other.seconds));
    if let (Of::Stack(_), Some(last)) = (of, events.last().and_then(|event| event.operation.clone())) {
        events.retain(|event| event.operation.as_deref() == Some(&last));
    }
    Ok(events)
}

/// Why a change set was refused, if early validation refused it. To be asked before the change set is deleted.
pub async fn change_set_failure(
    client: &Client,
    template: &Template,
    change_set_id: &str,
    failure: Failure,
) -> Failure {
    let events = match failed(client, Of::ChangeSet(change_set_id)).await {
        Ok(events) => events,
        // Other refusals say all there is to say.
        Err(_) if !failure.reason.as_deref().is_some_and(texts::is_early_validation) => {
            return failure;
        }
        Err(reason) => return failure.note(unread(&reason)),
    };
    let mut causes = events.iter().filter(|event| event.is_failure() && !event.logical_id.is_empty()).map(Cause::from);
    let Some(first) = causes.next() else { return failure };
    let failure = first.onto(failure, Some(template));
    causes.fold(failure, |failure, other| {
        let place = other.path.as_deref().and_then(|path| template.place_of(path));
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        failure.note(format!("also {}: {}{place}", other.resource(), other.reason))
    })
}

/// A note that events could not be asked for.
pub fn unread(failure: &Failure) -> String {
    format!("events cannot be read: {failure}: {}", failure.reason.as_deref().unwrap_or_default())
}

fn read(event: &OperationEvent) -> Event {
    let some = |part: Option<&str>| part.filter(|text| !text.is_empty()).map(str::to_owned);
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let warns = [event.validation_failure_mode(), event.hook_failure_mode()].contains(&Some(&HookFailureMode::Warn));
    let status = match (event.validation_status(), event.hook_status(), event.resource_status()) {
        // What only warns has stopped nothing.
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
