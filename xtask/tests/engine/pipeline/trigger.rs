//! What starts a run of a workflow.

use serde_json::{Value, json};

pub(super) const MAIN: &str = "refs/heads/main";

/// What starts a run.
#[derive(Debug)]
pub(super) struct Trigger<'a> {
    /// `push`, `pull_request`, …
    pub(super) name: &'static str,
    pub(super) event: Value,
    /// Such as `refs/heads/main`.
    pub(super) reference: &'a str,
    pub(super) inputs: Value,
    /// The only jobs that are run; all without any.
    pub(super) only: &'static [&'static str],
}

impl<'a> Trigger<'a> {
    fn of(name: &'static str, event: Value, reference: &'a str) -> Self {
        Self { name, event, reference, inputs: Value::Null, only: &[] }
    }

    /// A push of a branch or tag.
    pub(super) fn push(reference: &'a str) -> Self {
        Self::of("push", json!({}), reference)
    }

    /// Something that happened to the pull request of the event.
    pub(super) fn pull_request(event: Value) -> Self {
        Self::of("pull_request", event, "refs/pull/12/merge")
    }

    /// Somebody, who filled a form in.
    pub(super) fn by_hand(inputs: Value) -> Self {
        Self { inputs, ..Self::of("workflow_dispatch", json!({}), MAIN) }
    }

    /// The clock.
    pub(super) fn clock() -> Self {
        Self::of("schedule", json!({}), MAIN)
    }

    pub(super) fn only(self, only: &'static [&'static str]) -> Self {
        Self { only, ..self }
    }
}
