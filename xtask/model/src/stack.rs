//! A CloudFormation stack as plain values: what it is, what happened to it, and what would change.

pub mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reference::ImageReference;
use crate::template::CONTAINER_URI;
use texts::{is_cancelled, is_summary};

/// A stack that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN, which names it even after its end.
    pub id: String,
    pub name: String,
    pub status: String,
    pub status_reason: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
    /// Without AWS's own.
    pub tags: BTreeMap<String, String>,
    /// When it was created or last updated, in RFC 3339.
    pub updated: Option<String>,
    /// Whether CloudFormation refuses to delete it.
    pub has_termination_protection: bool,
}

impl Stack {
    pub fn parameter_names(&self) -> BTreeSet<String> {
        self.parameters.keys().cloned().collect()
    }

    /// The image that it was told to run; `None` also where it was told something that is no image's name.
    pub fn image(&self) -> Option<ImageReference> {
        self.container_uri()?.parse().ok()
    }

    /// As [`Stack::image`], as it was sent.
    pub fn container_uri(&self) -> Option<&str> {
        self.parameters.get(CONTAINER_URI).map(String::as_str)
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub logical_id: String,
    pub physical_id: Option<String>,
    pub resource_type: String,
    pub status: String,
}

impl Resource {
    /// Whether there is such a thing, also after its stack's end.
    pub fn exists(&self) -> bool {
        self.physical_id.is_some() && self.status != "DELETE_COMPLETE"
    }
}

pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// One line of a stack's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Event {
    #[serde(skip)]
    pub id: String,
    /// RFC 3339; empty where AWS gave none.
    pub time: String,
    pub status: String,
    pub logical_id: String,
    pub resource_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The property that early validation found fault with, as a path in the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The operation that it belongs to, where CloudFormation names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The token of the call that began its operation.
    #[serde(skip)]
    pub token: Option<String>,
    /// Seconds since 1970, for comparisons.
    #[serde(skip)]
    pub seconds: f64,
}

impl Event {
    pub fn is_failure(&self) -> bool {
        self.status.ends_with("_FAILED")
    }

    fn turns_back(&self) -> bool {
        self.status.ends_with("ROLLBACK_IN_PROGRESS")
    }

    pub fn is_cancelled(&self) -> bool {
        self.reason.as_deref().is_some_and(is_cancelled)
    }

    /// Whether the stack speaks of itself.
    pub fn is_own(&self, stack_id: &str) -> bool {
        self.resource_type == STACK_TYPE && self.physical_id.as_deref() == Some(stack_id)
    }
}

/// The first failure that is not a consequence of another, or why the stack turned back where nothing in it failed: an
/// alarm went off, or someone cancelled the update. What a stack says of its own failure only repeats its resources.
pub fn first_cause<'a>(events: &'a [Event], stack_id: &str) -> Option<&'a Event> {
    let mut failures = events.iter().filter(|event| event.is_failure());
    let real = |event: &&Event| !event.is_cancelled() && !event.is_own(stack_id);
    let mut turned = events.iter().filter(|event| event.turns_back() && event.reason.is_some());
    let says_why = |event: &&Event| !event.reason.as_deref().is_some_and(is_summary);
    failures
        .clone()
        .find(real)
        .or_else(|| turned.clone().find(says_why))
        .or_else(|| failures.next())
        .or_else(|| turned.next())
}

/// One plain line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28} {} ({})", self.status, self.logical_id, self.resource_type)?;
        let words = self.reason.as_deref().unwrap_or_default().split_whitespace();
        words.enumerate().try_for_each(|(at, word)| write!(f, "{}{word}", if at == 0 { "  " } else { " " }))
    }
}

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, …
    pub action: String,
    pub logical_id: String,
    pub resource_type: String,
    /// `True`, `False` or `Conditional`; only for what is modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What of it changes, as far as that is known: `Properties.Name`, or a part beside the properties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<String>,
}

/// What a detection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detected {
    /// Resources that were compared, whatever came of it.
    pub checked: usize,
    pub found: Vec<Found>,
    /// What could not be compared: logical id and CloudFormation's words.
    pub unknown: Vec<(String, String)>,
    /// Why the detection as a whole did not succeed, if it did not.
    pub reason: Option<String>,
}

/// A resource that is not as the template says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub logical_id: String,
    pub resource_type: String,
    pub is_deleted: bool,
    pub differences: Vec<Difference>,
}

/// A property that is not as the template says, with values as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From the properties on: `/Tags/0/Value`.
    pub path: String,
    pub expected: String,
    pub actual: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(events: &[(&str, Option<&str>)]) -> Option<String> {
        let event = |(status, reason): &(&str, Option<&str>)| Event {
            logical_id: "It".to_owned(),
            resource_type: "A::B".to_owned(),
            status: (*status).to_owned(),
            reason: reason.map(str::to_owned),
            ..Event::default()
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        first_cause(&events, "").map(|event| event.reason.clone().unwrap_or_default())
    }

    #[test]
    fn a_failure_comes_before_its_consequences() {
        let turned = ("UPDATE_ROLLBACK_IN_PROGRESS", Some("The following resource(s) failed"));
        let cancelled = ("CREATE_FAILED", Some("Resource creation cancelled"));
        let failed = ("UPDATE_FAILED", Some("no such image"));
        assert_eq!(cause(&[turned, cancelled, failed]).as_deref(), Some("no such image"));
        assert_eq!(cause(&[turned, cancelled]).as_deref(), Some("Resource creation cancelled"));
        let user = ("UPDATE_ROLLBACK_IN_PROGRESS", Some("User Initiated"));
        assert_eq!(cause(&[user, cancelled]).as_deref(), Some("User Initiated"));
    }

    #[test]
    fn an_alarm_that_turns_a_stack_back_is_the_cause() {
        let alarm = "Alarm arn:aws:cloudwatch:eu-central-1:111122223333:alarm:x breached";
        let events = [
            ("UPDATE_COMPLETE", None),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Some(alarm)),
            ("UPDATE_COMPLETE", None),
            ("UPDATE_ROLLBACK_COMPLETE", None),
        ];
        assert_eq!(cause(&events).as_deref(), Some(alarm));
        assert_eq!(cause(&events[2..]), None);
        assert_eq!(cause(&[("ROLLBACK_IN_PROGRESS", None)]), None);
    }
}
