//! Why something failed, as far as it is known.

use model::outcome::Failure;
use model::stack::Event;
use model::template::Template;

/// Words for a failure that AWS gave none for.
const NO_REASON: &str = "CloudFormation gave no reason";

/// One resource that failed, and all that could be learned of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    pub logical_id: String,
    pub resource_type: String,
    pub physical_id: Option<String>,
    pub reason: String,
    /// The property at fault, as a path in the template.
    pub path: Option<String>,
    /// Logical ids of the nested stacks that it is in, from the outside.
    pub within: Vec<String>,
    /// Whether it only followed from something else: it was cancelled, or turned back.
    pub is_consequence: bool,
    /// Whether `reason` includes why a task stopped.
    pub has_task: bool,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// What else is known, or could not be looked at.
    pub notes: Vec<String>,
}

impl From<&Event> for Cause {
    fn from(event: &Event) -> Self {
        Self {
            logical_id: event.logical_id.clone(),
            resource_type: event.resource_type.clone(),
            physical_id: event.physical_id.clone(),
            reason: event.reason.clone().unwrap_or_else(|| NO_REASON.to_owned()),
            path: event.path.clone(),
            is_consequence: !event.is_failure() || event.is_cancelled(),
            ..Self::default()
        }
    }
}

impl Cause {
    /// What failed, in words.
    pub fn resource(&self) -> String {
        let name = [self.within.as_slice(), std::slice::from_ref(&self.logical_id)].concat().join("/");
        if self.resource_type.is_empty() { name } else { format!("{name} ({})", self.resource_type) }
    }

    /// Puts all of it on a failure; with the template, also the place there.
    pub fn onto(self, failure: Failure, template: Option<&Template>) -> Failure {
        let template = template.filter(|_| self.within.is_empty());
        let by_path = self.path.as_deref().and_then(|path| template?.place_of(path));
        let place = by_path.or_else(|| template?.place(&self.logical_id));
        let resource = self.resource();
        let reason = match &self.path {
            Some(path) => format!("{} ({path})", self.reason),
            None => self.reason,
        };
        let failure = failure.resource(resource).reason(reason).place(place).log(self.log);
        self.notes.into_iter().fold(failure, Failure::note)
    }
}
