//! What environments build on: `needs`, and `{ENV.OUTPUT}` in parameters, variables and secrets.

use std::collections::BTreeMap;
use std::ops::Range;

use super::reader::Reader;
use super::{Deployment, Environment, rules};
use crate::suggestion;

/// `{ENV.OUTPUT}` in a value: an output of another environment's stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    pub environment: &'a str,
    pub output: &'a str,
    /// Where it is in the value, with its braces.
    place: Range<usize>,
}

/// The references in a value. Other braces, as in JSON or in a dynamic reference of CloudFormation, are only text.
pub fn references(value: &str) -> impl Iterator<Item = Reference<'_>> {
    value.match_indices('{').filter_map(|(start, _)| {
        let (inner, _) = value[start + 1..].split_once('}')?;
        let (environment, output) = inner.split_once('.')?;
        let fits = (rules::ENVIRONMENT.holds)(environment) && (rules::PARAMETER.holds)(output);
        fits.then(|| Reference { environment, output, place: start..start + inner.len() + 2 })
    })
}

/// A value of an environment that may contain references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<'a> {
    /// `parameters`, `env` or `secrets`.
    pub table: &'static str,
    pub name: &'a str,
    pub value: &'a str,
}

impl Environment {
    /// The values that may contain references.
    fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        let tables = [("parameters", &self.parameters), ("env", &self.env), ("secrets", &self.secrets)];
        tables
            .into_iter()
            .flat_map(|(table, values)| values.iter().map(move |(name, value)| Setting { table, name, value }))
    }

    /// The references in its parameters, variables and secrets, each with where it stands.
    pub fn references(&self) -> impl Iterator<Item = (Setting<'_>, Reference<'_>)> {
        self.settings().flat_map(|setting| references(setting.value).map(move |found| (setting, found)))
    }

    /// The environment with these references replaced; those without a value stay as they are.
    #[must_use]
    pub fn with_outputs(&self, value_of: impl Fn(&Reference<'_>) -> Option<String>) -> Self {
        let fill = |text: &String| {
            let mut filled = text.clone();
            // From the end, so that the places before stay right.
            for reference in references(text).collect::<Vec<_>>().into_iter().rev() {
                if let Some(value) = value_of(&reference) {
                    filled.replace_range(reference.place, &value);
                }
            }
            filled
        };
        let all = |values: &BTreeMap<String, String>| {
            values.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
        };
        let (parameters, env, secrets) = (all(&self.parameters), all(&self.env), all(&self.secrets));
        Self { parameters, env, secrets, ..self.clone() }
    }
}

impl Deployment {
    /// The environments that one builds on, directly or through others: each once, and after those that it needs itself.
    #[must_use]
    pub fn needs_of<'a>(&'a self, environment: &Environment) -> Vec<&'a Environment> {
        let mut needs = Vec::new();
        self.collect(environment, &mut needs);
        needs
    }

    fn collect<'a>(&'a self, environment: &Environment, into: &mut Vec<&'a Environment>) {
        for need in environment.needs.iter().filter_map(|name| self.environments.get(name)) {
            if !into.contains(&need) {
                self.collect(need, into);
                into.push(need);
            }
        }
    }
}

/// Reports needs that cannot be kept, and references to other environments than these.
pub(super) fn check(root: &Reader, environments: &BTreeMap<String, Environment>) {
    let known = || environments.keys().map(String::as_str);
    let named = |name: &str| {
        let meant = suggestion(name, known());
        format!("an environment of this file, {}{meant}", known().collect::<Vec<_>>().join(", "))
    };
    for environment in environments.values() {
        let key = format!("environments.{}.needs", environment.name);
        for (at, name) in environment.needs.iter().enumerate() {
            let problem = |allowed: &str| root.problem(&key, Some(name.clone()), allowed);
            let Some(need) = environments.get(name) else {
                problem(&named(name));
                continue;
            };
            let accounts = (&environment.account, &need.account);
            if need.name == environment.name {
                problem("other environments than itself");
            } else if environment.needs[..at].contains(name) {
                problem("each environment once");
            } else if need.instances {
                problem("environments without instances: which of them is not said");
            } else if need.endpoint != environment.endpoint {
                problem("environments with the same endpoint");
            } else if matches!(accounts, (Some(own), Some(other)) if own != other) {
                problem("environments in the same account");
            }
        }
        if let Some(circle) = circle(environment, environments) {
            root.problem(&key, Some(environment.needs.join(", ")), &format!("no circle, which this is: {circle}"));
        }
        for (Setting { table, name, value }, reference) in environment.references() {
            let key = format!("environments.{}.{table}.{name}", environment.name);
            let value = Some(value.to_owned());
            let Reference { environment: other, output, .. } = reference;
            if !environments.contains_key(other) {
                root.problem(&key, value, &format!("{{ENV.{output}}} of {}", named(other)));
            } else if !environment.needs.iter().any(|need| need == other) {
                let allowed =
                    format!("references to its needs; add {other:?} to environments.{}.needs", environment.name);
                root.problem(&key, value, &allowed);
            }
        }
    }
}

/// The circle of several environments that one is in, in words; only for the first of them by name, so that each is
/// reported once.
fn circle<'a>(environment: &'a Environment, environments: &'a BTreeMap<String, Environment>) -> Option<String> {
    let mut path = vec![environment];
    let mut seen = Vec::new();
    back_to(environment, &mut path, &mut seen, environments).then_some(())?;
    let names: Vec<&str> = path.iter().map(|environment| environment.name.as_str()).collect();
    let first = names.iter().min() == Some(&environment.name.as_str());
    first.then(|| format!("{} needs {}", names.join(" needs "), environment.name))
}

/// Whether the last environment of a path needs the first one, by a way of at least one other; the path is the way then.
fn back_to<'a>(
    first: &Environment,
    path: &mut Vec<&'a Environment>,
    seen: &mut Vec<&'a str>,
    environments: &'a BTreeMap<String, Environment>,
) -> bool {
    let last = path[path.len() - 1];
    if path.len() > 1 && last.needs.contains(&first.name) {
        return true;
    }
    for need in last.needs.iter().filter_map(|name| environments.get(name)) {
        if need.name == first.name || seen.contains(&need.name.as_str()) {
            continue;
        }
        seen.push(&need.name);
        path.push(need);
        if back_to(first, path, seen, environments) {
            return true;
        }
        path.pop();
    }
    false
}
