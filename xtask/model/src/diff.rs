//! What another template or other parameters would change in a stack, from the texts alone.
//!
//! Pure. A change set needs permission to create one; this comparison needs only reading. It predicts a change set:
//! which resources and properties change, and by the types' schemas which resources are replaced.

pub mod markdown;
mod paths;
mod references;
mod schema;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use crate::stack::ResourceChange;
use crate::template::evaluate::{self, Evaluated, Pseudo, TemplateResource};
use references::Reference;
use schema::Recreation;
pub use schema::Schema;
pub use summary::{Image, Summary};

/// A template with its parameters. Those left out have the template's default.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub body: &'a str,
    pub parameters: &'a BTreeMap<String, String>,
}

/// Both sides, compared.
#[derive(Debug)]
pub struct Comparison {
    before: Evaluated,
    after: Evaluated,
    /// The paths that differ, for resources on both sides that differ.
    direct: BTreeMap<String, Vec<String>>,
    /// The references of resources on both sides.
    references: BTreeMap<String, Vec<Reference>>,
}

/// The change of a resource that is on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Effect {
    replacement: Replacement,
    paths: BTreeSet<String>,
    /// Whether its properties change, so that its attributes may have other values.
    inside: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replacement {
    Never,
    Perhaps,
    Surely,
}

impl Comparison {
    /// Compares; `before` is `None` if there is no stack yet.
    ///
    /// # Errors
    /// Which of the templates cannot be read, and why.
    pub fn of<'a>(before: Option<Side<'_>>, after: Side<'_>, known: impl Into<Pseudo<'a>>) -> Result<Self, String> {
        let known = known.into();
        let evaluate = |side: Side<'_>, which: &str| {
            let evaluated = evaluate::evaluate(side.body, side.parameters, known);
            evaluated.map_err(|reason| format!("the {which} template is {reason}"))
        };
        let before = before.map(|side| evaluate(side, DEPLOYED)).transpose()?.unwrap_or_default();
        let after = evaluate(after, NEW)?;
        let (mut direct, mut references) = (BTreeMap::new(), BTreeMap::new());
        for (id, now) in &after.resources {
            let Some(then) = before.resources.get(id) else { continue };
            let differing = differing_paths(then, now);
            if !differing.is_empty() || then.kind != now.kind {
                direct.insert(id.clone(), differing);
            }
            let mut named = references::find(&now.properties);
            named.retain(|reference| before.resources.contains_key(&reference.target) && reference.target != *id);
            references.insert(id.clone(), named);
        }
        Ok(Self { before, after, direct, references })
    }

    /// The types of all resources that change or may change: their schemas decide what is replaced.
    pub fn types(&self) -> BTreeSet<&str> {
        let effects = self.effects(&BTreeMap::new());
        effects.keys().map(|id| self.after.resources[id].kind.as_str()).collect()
    }

    /// Resources on either side whose condition only AWS can evaluate.
    pub fn uncertain(&self) -> BTreeSet<&str> {
        self.before.uncertain.iter().chain(&self.after.uncertain).map(|(id, _)| id.as_str()).collect()
    }

    /// What else is worth knowing of the texts: which says something twice, and what is not compared.
    pub fn notes(&self) -> Vec<String> {
        let repeated = [(DEPLOYED, &self.before), (NEW, &self.after)].into_iter().flat_map(|(which, side)| {
            side.repeated.iter().map(move |repeated| format!("in the {which} template {repeated}"))
        });
        let mut notes: Vec<String> = repeated.collect();
        let expanded: BTreeSet<&str> =
            self.before.expanded.iter().chain(&self.after.expanded).map(String::as_str).collect();
        if !expanded.is_empty() {
            let names = expanded.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("AWS expands {names}; what comes of it is not compared"));
        }
        notes
    }

    /// The changes, by logical id. Without a type's schema, every change may be a replacement.
    pub fn changes(&self, schemas: &BTreeMap<String, Schema>) -> Vec<ResourceChange> {
        let uncertain = self.uncertain();
        let change = |action: &str, id: &String, resource: &TemplateResource| ResourceChange {
            action: action.to_owned(),
            logical_id: id.clone(),
            resource_type: resource.kind.clone(),
            replacement: None,
            properties: Vec::new(),
        };
        let only = |these: &Evaluated, those: &Evaluated, action: &str| -> Vec<ResourceChange> {
            let missing = these.resources.iter().filter(|(id, _)| !those.resources.contains_key(*id));
            let missing = missing.filter(|(id, _)| !uncertain.contains(id.as_str()));
            missing.map(|(id, resource)| change(action, id, resource)).collect()
        };
        let mut changes = only(&self.after, &self.before, "Add");
        changes.extend(only(&self.before, &self.after, "Remove"));
        changes.extend(self.effects(schemas).into_iter().map(|(id, effect)| ResourceChange {
            replacement: Some(effect.replacement.word().to_owned()),
            properties: effect.paths.into_iter().collect(),
            ..change("Modify", &id, &self.after.resources[&id])
        }));
        changes.sort_by(|one, other| one.logical_id.cmp(&other.logical_id));
        changes
    }

    /// The changes of resources on both sides: their own, and those that follow from their references. A replaced
    /// resource has another name; the attributes of a changed one may have other values.
    fn effects(&self, schemas: &BTreeMap<String, Schema>) -> BTreeMap<String, Effect> {
        let mut effects = BTreeMap::new();
        loop {
            let next: BTreeMap<String, Effect> = self
                .references
                .keys()
                .filter_map(|id| Some((id.clone(), self.effect(id, &effects, schemas)?)))
                .collect();
            if next == effects {
                return effects;
            }
            effects = next;
        }
    }

    fn effect(
        &self,
        id: &str,
        others: &BTreeMap<String, Effect>,
        schemas: &BTreeMap<String, Schema>,
    ) -> Option<Effect> {
        let now = &self.after.resources[id];
        let recreation = |path: &str| match path.strip_prefix(PROPERTIES) {
            Some(path) => schemas.get(&now.kind).map_or(Recreation::Perhaps, |schema| schema.recreation(path)),
            None => Recreation::Never,
        };
        let moved = self.before.resources[id].kind != now.kind;
        let mut replacement = if moved { Replacement::Surely } else { Replacement::Never };
        let (mut paths, mut inside) = (BTreeSet::new(), moved);
        for path in self.direct.get(id).into_iter().flatten() {
            replacement = replacement.or(recreation(path), true);
            inside |= path.starts_with(PROPERTIES);
            paths.insert(path.clone());
        }
        for Reference { path, target, attribute } in &self.references[id] {
            let Some(other) = others.get(target) else { continue };
            if other.replacement == Replacement::Never && !(attribute.is_some() && other.inside) {
                continue;
            }
            replacement = replacement.or(recreation(path), other.replacement == Replacement::Surely);
            inside = true;
            paths.insert(path.clone());
        }
        (moved || !paths.is_empty()).then_some(Effect { replacement, paths, inside })
    }
}

/// The two texts, as messages name them.
const DEPLOYED: &str = "deployed";
const NEW: &str = "new";
/// Prefix of the paths of properties.
const PROPERTIES: &str = "Properties.";

/// The paths in which a resource differs.
fn differing_paths(then: &TemplateResource, now: &TemplateResource) -> Vec<String> {
    let mut differing = paths::differing("Properties", &then.properties, &now.properties);
    let names: BTreeSet<&String> = then.attributes.keys().chain(now.attributes.keys()).collect();
    let attribute = |of: &TemplateResource, name: &str| of.attributes.get(name).cloned().unwrap_or_default();
    let differs = |name: &&String| !paths::same(&attribute(then, name), &attribute(now, name));
    differing.extend(names.into_iter().filter(differs).cloned());
    differing
}

impl Replacement {
    /// As in change sets.
    fn word(self) -> &'static str {
        match self {
            Self::Never => "False",
            Self::Perhaps => "Conditional",
            Self::Surely => "True",
        }
    }

    /// The replacement with one more property that changes, `surely` or perhaps.
    fn or(self, recreation: Recreation, surely: bool) -> Self {
        match (self, recreation) {
            (Self::Surely, _) => self,
            (_, Recreation::Always) if surely => Self::Surely,
            (_, Recreation::Always | Recreation::Perhaps) => Self::Perhaps,
            (_, Recreation::Never) => self,
        }
    }
}

#[cfg(test)]
mod tests;
