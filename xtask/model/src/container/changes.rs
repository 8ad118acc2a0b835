//! What changes for a container, name by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Container;

/// A value is shown up to so many characters.
const SHOWN: usize = 100;

/// A variable, a secret or a permission that changes. The value of a secret is never among these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VariableChange {
    /// What happens to it.
    pub action: Action,
    /// What it is.
    pub kind: Kind,
    /// The variable's name, or an IAM statement.
    pub name: String,
    /// The value now; of a secret, where it is and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value after the change; of a secret, where it is and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Add,
    Change,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A plain variable.
    Env,
    Secret,
    /// A statement of what the service itself may do at AWS.
    Permission,
}

/// What another text changes for its container, by kind and name.
pub fn changes(before: &Container, after: &Container) -> Vec<VariableChange> {
    let secrets = |container: &Container| {
        let shown = |(name, from): (&String, &String)| {
            let version = container.versions.get(name).map(|version| format!(", version {version}"));
            (name.clone(), format!("{from}{}", version.unwrap_or_default()))
        };
        container.secrets.iter().map(shown).collect::<BTreeMap<_, _>>()
    };
    let statements = |container: &Container| {
        container.permissions.iter().map(|one| (one.clone(), String::new())).collect::<BTreeMap<_, _>>()
    };
    let mut all = compare(Kind::Env, &before.env, &after.env);
    all.extend(compare(Kind::Secret, &secrets(before), &secrets(after)));
    all.extend(compare(Kind::Permission, &statements(before), &statements(after)));
    all
}

fn compare(kind: Kind, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<VariableChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (then, now) = (before.get(name), after.get(name));
        let action = match (then, now) {
            (None, _) => Action::Add,
            (_, None) => Action::Remove,
            (then, now) if then == now => return None,
            _ => Action::Change,
        };
        let shown =
            |value: Option<&String>| value.filter(|value| !value.is_empty() || kind != Kind::Permission).cloned();
        Some(VariableChange { action, kind, name: name.clone(), before: shown(then), after: shown(now) })
    };
    names.into_iter().filter_map(change).collect()
}

impl fmt::Display for VariableChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, kind, name, before, after } = self;
        let kind = match kind {
            Kind::Env => "variable",
            Kind::Secret => "secret",
            Kind::Permission => "permission",
        };
        let action = match action {
            Action::Add => "Add",
            Action::Change => "Modify",
            Action::Remove => "Remove",
        };
        write!(f, "{action:<6} {kind} {name}")?;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, ": {} -> {}", one_line(before), one_line(after)),
            (None, Some(after)) => write!(f, ": {}", one_line(after)),
            _ => Ok(()),
        }
    }
}

/// A value without line breaks and other control characters, and not too long.
fn one_line(value: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let shown: String = value.chars().take(SHOWN).map(escape).collect();
    if value.chars().count() > SHOWN { format!("{shown} ...") } else { shown }
}
