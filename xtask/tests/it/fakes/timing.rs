//! When things happen: an operation that takes some polls, and a request whose answer comes after a signal.

use std::sync::mpsc::Sender;
use std::time::Duration;

use wiremock::{Request, ResponseTemplate};

use super::World;

/// How long the answer waits for the signal to arrive.
const DELAY: Duration = Duration::from_millis(400);
/// How often the stack is at work when it is asked for.
const POLLS: u32 = 1;

/// A request that is reported to the test, and answered late.
#[derive(Clone)]
pub(crate) struct Watched {
    /// Its number.
    pub(crate) number: usize,
    pub(crate) arrived: Sender<String>,
}

/// An operation that is under way.
#[derive(Clone)]
pub(crate) struct UnderWay {
    /// What the stack comes to.
    status: String,
    polls: u32,
}

/// Notes the request that was just answered.
pub(super) fn note(world: &mut World, request: &Request, answer: ResponseTemplate) -> ResponseTemplate {
    let path = request.url.path();
    let action = world.asked.last().filter(|_| path == "/").map_or("", String::as_str);
    let request = format!("{} {path} {action}", request.method);
    world.requests.push(request.clone());
    match &world.watched {
        Some(watched) if watched.number == world.requests.len() => {
            // Nobody listens any more where the tool has ended.
            drop(watched.arrived.send(request));
            answer.set_delay(DELAY)
        }
        _ => answer,
    }
}

/// Lets what has just been done be under way instead, where operations take their time.
pub(super) fn begin(world: &mut World) {
    if !world.slow {
        return;
    }
    let status = world.stack.clone();
    let kind = if status.is_empty() { "DELETE" } else { status.split('_').next().unwrap() };
    world.stack = format!("{kind}_IN_PROGRESS");
    world.under_way = Some(UnderWay { status, polls: POLLS });
}

/// Comes nearer to the end with each poll.
pub(super) fn poll(world: &mut World) {
    let Some(operation) = &mut world.under_way else { return };
    match operation.polls.checked_sub(1) {
        Some(left) => operation.polls = left,
        None => {
            world.stack = operation.status.clone();
            world.under_way = None;
            world.ended_at = world.requests.len() + 1;
        }
    }
}
