//! A comparison as text for people.

use crate::container::VariableChange;
use crate::cost::CostDifference;
use crate::eta::Eta;
use crate::record::Change;
use crate::stack::ResourceChange;

/// Most paths of one resource in a line of text.
const NAMED: usize = 4;

/// What a release would do to one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub environment: String,
    pub region: String,
    pub stack: String,
    /// Of a clean work tree.
    pub commit: Option<String>,
    pub change: Change,
    /// `None` for a template without one.
    pub image: Option<Image>,
    pub changes: Vec<ResourceChange>,
    /// Variables, secrets and permissions of the container.
    pub container: Vec<VariableChange>,
    pub cost: Option<CostDifference>,
    pub eta: Option<Eta>,
    /// What would be lost, and the option that allows it.
    pub warnings: Vec<String>,
    /// What else is worth knowing, or could not be determined.
    pub notes: Vec<String>,
}

/// The image that a release would deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The registry has it, and the stack runs it.
    Runs(String),
    /// The registry has it.
    Stored(String),
    /// The registry has none of these sources.
    New,
}

impl std::fmt::Display for Image {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runs(image) => write!(formatter, "{image}, which runs already"),
            Self::Stored(image) => write!(formatter, "{image}, which the registry has"),
            Self::New => write!(formatter, "a new one; the registry has none of these sources"),
        }
    }
}

impl Summary {
    /// What would happen to the stack, in one line.
    pub fn headline(&self) -> String {
        let Self { stack, region, .. } = self;
        match self.change {
            Change::Create => format!("stack {stack} in {region} would be created"),
            Change::Update => format!("stack {stack} in {region} would be updated"),
            Change::None => format!("nothing would change in stack {stack} in {region}"),
        }
    }

    /// As plain text.
    pub fn text(&self) -> String {
        let mut lines = vec![self.headline()];
        lines.extend(self.image.as_ref().map(|image| format!("image: {image}")));
        for change in &self.changes {
            let ResourceChange { action, logical_id, resource_type, .. } = change;
            let replaced = replaced(change).map(|word| format!("  {word}")).unwrap_or_default();
            lines.push(format!("{action:<6} {logical_id} ({resource_type}){replaced}"));
            if !change.properties.is_empty() {
                lines.push(format!("       {}", named(&change.properties)));
            }
        }
        lines.extend(self.container.iter().map(ToString::to_string));
        if self.change != Change::None {
            lines.extend(self.cost.as_ref().map(|cost| format!("cost: {cost}")));
            lines.extend(self.eta.as_ref().map(|eta| format!("time: {eta}")));
        }
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    }
}

/// Whether a change replaces the resource, as text.
pub(super) fn replaced(change: &ResourceChange) -> Option<&'static str> {
    match change.replacement.as_deref() {
        Some("True") => Some("replaced"),
        Some("Conditional") => Some("perhaps replaced"),
        _ => None,
    }
}

/// The first of these paths, and how many more there are.
pub(super) fn named(properties: &[String]) -> String {
    let more = properties.len().saturating_sub(NAMED);
    let first = properties.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
