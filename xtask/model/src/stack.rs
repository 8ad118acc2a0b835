//! A CloudFormation stack as plain values: its state, its events, its drift, and what a change set would change.

pub mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use config::deployment::Environment;
use serde::{Deserialize, Serialize};

use crate::progress::ResourceState;
use crate::reference::ImageReference;
use texts::{is_cancelled, is_summary};

/// A stack that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN, which identifies it even after its deletion.
    pub id: String,
    pub name: String,
    pub status: String,
    pub status_reason: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
    /// Names under which other stacks can import its outputs.
    pub exports: BTreeSet<String>,
    /// Without those of AWS.
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

    /// The image that its parameters name, as an environment's stack; `None` also for a value that is no image reference.
    pub fn image(&self, environment: &Environment) -> Option<ImageReference> {
        self.image_uri(environment)?.parse().ok()
    }

    /// The parameter of [`Stack::image`], unparsed.
    pub fn image_uri(&self, environment: &Environment) -> Option<&str> {
        self.parameters.get(&environment.image_parameter).map(String::as_str)
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
    /// Whether it exists at AWS; it may outlive its stack.
    pub fn exists(&self) -> bool {
        self.physical_id.is_some() && self.status != "DELETE_COMPLETE"
    }
}

pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// What happened to a stack or one of its resources. A line of `events --follow --json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    #[serde(skip)]
    pub id: String,
    /// When, in RFC 3339; empty where AWS gave no time.
    pub time: String,
    /// CloudFormation's name for the state.
    pub status: String,
    /// The resource's name in the template, or the stack's.
    pub logical_id: String,
    /// CloudFormation's name for the kind of resource.
    pub resource_type: String,
    /// The resource's name at AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// Why, in the words of AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The property that early validation rejected, as a path in the template.
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

    /// How far the work on its resource is.
    pub fn state(&self) -> ResourceState {
        if self.is_failure() || self.begins_rollback() && self.reason.is_some() {
            ResourceState::Failed
        } else if self.status.ends_with("_IN_PROGRESS") {
            ResourceState::Begun
        } else {
            ResourceState::Done
        }
    }

    fn begins_rollback(&self) -> bool {
        self.status.ends_with("ROLLBACK_IN_PROGRESS")
    }

    pub fn is_cancelled(&self) -> bool {
        self.reason.as_deref().is_some_and(is_cancelled)
    }

    /// Whether it is about the stack itself.
    pub fn is_own(&self, stack_id: &str) -> bool {
        self.resource_type == STACK_TYPE && self.physical_id.as_deref() == Some(stack_id)
    }
}

/// The first failure that is not a consequence of another, or why the stack rolled back where no resource failed: an
/// alarm, or a cancelled update. A stack's event of its own failure only repeats its resources.
pub fn first_cause<'a>(events: &'a [Event], stack_id: &str) -> Option<&'a Event> {
    let mut failures = events.iter().filter(|event| event.is_failure());
    let real = |event: &&Event| !event.is_cancelled() && !event.is_own(stack_id);
    let mut rollbacks = events.iter().filter(|event| event.begins_rollback() && event.reason.is_some());
    let says_why = |event: &&Event| !event.reason.as_deref().is_some_and(is_summary);
    failures
        .clone()
        .find(real)
        .or_else(|| rollbacks.clone().find(says_why))
        .or_else(|| failures.next())
        .or_else(|| rollbacks.next())
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, or another word of CloudFormation's.
    pub action: String,
    /// The resource's name in the template.
    pub logical_id: String,
    /// CloudFormation's name for the kind of resource.
    pub resource_type: String,
    /// Whether a new resource replaces the old one; only with `Modify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["True", "False", "Conditional"])))]
    pub replacement: Option<String>,
    /// What changes in it, as far as known: `Properties.Name`, or another attribute; never values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub properties: Vec<String>,
}

/// The result of a drift detection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftDetection {
    /// The number of resources that were compared.
    pub checked: usize,
    pub found: Vec<DriftedResource>,
    /// What could not be compared: logical id and CloudFormation's reason.
    pub unknown: Vec<(String, String)>,
    /// Why the detection as a whole did not succeed, if it did not.
    pub reason: Option<String>,
}

/// A resource that differs from its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftedResource {
    pub logical_id: String,
    pub resource_type: String,
    pub is_deleted: bool,
    pub differences: Vec<ValueDifference>,
}

/// A property that differs from the template, with values as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueDifference {
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
        let rollback = ("UPDATE_ROLLBACK_IN_PROGRESS", Some("The following resource(s) failed"));
        let cancelled = ("CREATE_FAILED", Some("Resource creation cancelled"));
        let failed = ("UPDATE_FAILED", Some("no such image"));
        assert_eq!(cause(&[rollback, cancelled, failed]).as_deref(), Some("no such image"));
        assert_eq!(cause(&[rollback, cancelled]).as_deref(), Some("Resource creation cancelled"));
        let user = ("UPDATE_ROLLBACK_IN_PROGRESS", Some("User Initiated"));
        assert_eq!(cause(&[user, cancelled]).as_deref(), Some("User Initiated"));
    }

    #[test]
    fn an_alarm_that_rolls_a_stack_back_is_the_cause() {
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
