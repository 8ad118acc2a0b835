//! Evaluates a template with given parameters: which resources exist, with which properties.
//!
//! A function whose value only AWS knows stays a function, with its arguments evaluated and in one form of several that
//! mean the same: `Fn::GetAtt` as a list, `Fn::Sub` as `Fn::Join`. So equal results mean equal properties.

mod rules;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::{Document, RepeatedKey};
use super::value::{entries, function, text};
use crate::partition;
pub use rules::{BrokenRule, broken_rules};

/// The pseudo parameters that are known.
#[derive(Debug, Clone, Copy)]
pub struct Pseudo<'a> {
    pub region: &'a str,
    pub account: Option<&'a str>,
    /// The stack's name.
    pub stack: Option<&'a str>,
}

impl<'a> From<&'a str> for Pseudo<'a> {
    /// Only the region is known.
    fn from(region: &'a str) -> Self {
        Self { region, account: None, stack: None }
    }
}

impl<'a> From<&'a String> for Pseudo<'a> {
    fn from(region: &'a String) -> Self {
        region.as_str().into()
    }
}

/// Resources by logical id.
pub type Resources = BTreeMap<String, TemplateResource>;

/// An evaluated template.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// The resources that exist.
    pub resources: Resources,
    /// Resources whose condition only AWS can evaluate: logical id and type.
    pub uncertain: Vec<(String, String)>,
    /// Macros, transforms and loops, which AWS expands: names.
    pub expanded: Vec<String>,
    /// Those that may add resources, or change what others cost: names and kinds.
    pub uncounted: Vec<(String, String)>,
    /// Keys that occur twice.
    pub repeated: Vec<RepeatedKey>,
}

/// Parts of a resource, besides its properties, whose change is a change of the resource. `DependsOn` is none.
const ATTRIBUTES: [&str; 5] = ["CreationPolicy", "DeletionPolicy", "Metadata", "UpdatePolicy", "UpdateReplacePolicy"];

#[derive(Debug, Clone, PartialEq)]
pub struct TemplateResource {
    pub kind: String,
    pub properties: Value,
    /// Metadata and policies, by name.
    pub attributes: BTreeMap<String, Value>,
}

/// Evaluates a template.
///
/// # Errors
/// Why the text is neither JSON nor YAML, as the end of a sentence that begins with the text's name and `is`.
pub fn evaluate<'a>(
    body: &str,
    given: &BTreeMap<String, String>,
    known: impl Into<Pseudo<'a>>,
) -> Result<Evaluated, String> {
    let Document { root, repeated, expansion } = Document::read(body)?;
    let owned = |(name, kind): (&str, &str)| (name.to_owned(), kind.to_owned());
    let (resources, uncertain) = existing(&root, given, known.into());
    Ok(Evaluated {
        resources,
        uncertain,
        expanded: expansion.names().map(str::to_owned).collect(),
        uncounted: expansion.uncounted().map(owned).collect(),
        repeated,
    })
}

/// The resources of a template that was read already, as far as it is known that they exist.
pub fn resources<'a>(root: &Value, given: &BTreeMap<String, String>, known: impl Into<Pseudo<'a>>) -> Resources {
    existing(root, given, known.into()).0
}

/// The resources that exist, and those that only AWS knows to exist.
fn existing(root: &Value, given: &BTreeMap<String, String>, known: Pseudo<'_>) -> (Resources, Vec<(String, String)>) {
    let evaluator = Evaluator::new(root, given, known);
    let (mut resources, mut uncertain) = (BTreeMap::new(), Vec::new());
    for (id, definition) in entries(&root["Resources"]).filter(|(id, _)| !id.starts_with("Fn::")) {
        let kind = definition["Type"].as_str().unwrap_or("no type").to_owned();
        match definition["Condition"].as_str().map(|name| evaluator.conditions.get(name)) {
            Some(Some(false)) => {}
            Some(None) => uncertain.push((id.clone(), kind)),
            None | Some(Some(true)) => {
                let properties = evaluator.resolve(&definition["Properties"]).unwrap_or_default();
                let attribute = |name: &&str| definition.get(*name).and_then(|value| evaluator.resolve(value));
                let attributes = ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), attribute(name)?)));
                let attributes = attributes.collect();
                resources.insert(id.clone(), TemplateResource { kind, properties, attributes });
            }
        }
    }
    (resources, uncertain)
}

/// Stands for a parameter store's value, with its name as argument.
const STORED: &str = "Fn::Stored";

/// The values of names in the template.
struct Evaluator<'a> {
    root: &'a Value,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
}

impl<'a> Evaluator<'a> {
    fn new(root: &'a Value, given: &BTreeMap<String, String>, known: Pseudo<'_>) -> Self {
        let Pseudo { region, account, stack } = known;
        let partition = partition::of(region);
        let pseudo = [
            ("AWS::Region", Some(region)),
            ("AWS::Partition", partition.map(|one| one.name)),
            ("AWS::URLSuffix", partition.map(|one| one.suffix)),
            ("AWS::AccountId", account),
            ("AWS::StackName", stack),
        ];
        let pseudo = pseudo.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from((*value)?))));
        let mut parameters: BTreeMap<String, Value> = pseudo.collect();
        for (name, definition) in entries(&root["Parameters"]) {
            let kind = definition["Type"].as_str().unwrap_or_default();
            let Some(value) = given.get(name).cloned().or_else(|| text(&definition["Default"])) else { continue };
            // Only AWS knows the value behind a name in the parameter store.
            if kind.starts_with("AWS::SSM::Parameter::Value<") {
                parameters.insert(name.clone(), open(STORED, value.into()));
                continue;
            }
            let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
            let value = if is_list { value.split(',').map(str::trim).collect() } else { Value::String(value) };
            parameters.insert(name.clone(), value);
        }
        let mut evaluator = Self { root, parameters, conditions: BTreeMap::new() };
        // Conditions refer to each other in any order: repeat until nothing more becomes known. A condition that refers
        // to itself never does.
        loop {
            let known = evaluator.conditions.len();
            for (name, condition) in entries(&root["Conditions"]) {
                if let Some(holds) = evaluator.holds(condition) {
                    evaluator.conditions.insert(name.clone(), holds);
                }
            }
            if evaluator.conditions.len() == known {
                return evaluator;
            }
        }
    }

    fn holds(&self, condition: &Value) -> Option<bool> {
        let (name, argument) = function(condition)?;
        let all = || argument.as_array().into_iter().flatten().map(|item| self.holds(item));
        match name {
            "Condition" => self.conditions.get(argument.as_str()?).copied(),
            "Fn::Equals" => {
                let [left, right] = argument.as_array()?.as_slice() else { return None };
                Some(text(&self.resolve(left)?)? == text(&self.resolve(right)?)?)
            }
            "Fn::Not" => all().next()?.map(|holds| !holds),
            "Fn::And" | "Fn::Or" => {
                let operands: Vec<Option<bool>> = all().collect();
                // One known operand may decide it.
                let decisive = name == "Fn::Or";
                let is_decided = operands.contains(&Some(decisive));
                (is_decided || operands.iter().all(Option::is_some)).then_some(decisive == is_decided)
            }
            "Fn::Contains" => {
                let (all, one) = self.list_and(argument, |second| text(&second))?;
                Some(all.contains(&one))
            }
            "Fn::EachMemberEquals" => {
                let (all, one) = self.list_and(argument, |second| text(&second))?;
                Some(all.iter().all(|item| *item == one))
            }
            "Fn::EachMemberIn" => {
                let (all, others) = self.list_and(argument, |second| items(&second))?;
                Some(all.iter().all(|item| others.contains(item)))
            }
            _ => None,
        }
    }

    /// The two arguments of a function whose first one is a list.
    fn list_and<T>(&self, argument: &Value, read: impl Fn(Value) -> Option<T>) -> Option<(Vec<String>, T)> {
        let [list, second] = argument.as_array()?.as_slice() else { return None };
        Some((items(&self.resolve(list)?)?, read(self.resolve(second)?)?))
    }

    /// The value with its functions evaluated; `None` for `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Option<Value> {
        if let Some((name, argument)) = function(value) {
            return match (name, argument) {
                ("Ref", Value::String(name)) if name == "AWS::NoValue" => None,
                ("Fn::If", Value::Array(parts)) => {
                    let holds = parts.first().and_then(Value::as_str).and_then(|name| self.conditions.get(name));
                    match (holds, parts.as_slice()) {
                        (Some(true), [_, value, _]) | (Some(false), [_, _, value]) => self.resolve(value),
                        _ => Some(open(name, self.argument(name, argument))),
                    }
                }
                _ => {
                    // Once: one argument may stand in another, and each time more would double the work at each depth.
                    let argument = self.argument(name, argument);
                    Some(self.apply(name, &argument).unwrap_or_else(|| open(name, argument)))
                }
            };
        }
        Some(match value {
            Value::Array(items) => items.iter().filter_map(|item| self.resolve(item)).collect(),
            Value::Object(map) => {
                map.iter().filter_map(|(key, value)| Some((key.clone(), self.resolve(value)?))).collect()
            }
            other => other.clone(),
        })
    }

    /// A function's argument, evaluated as far as possible.
    fn argument(&self, name: &str, argument: &Value) -> Value {
        match name {
            // Names of resources and conditions.
            "Ref" | "Condition" => argument.clone(),
            "Fn::GetAtt" => self.attribute(argument),
            // Which branch is AWS::NoValue must show.
            "Fn::If" => {
                let branches = argument.as_array().into_iter().flatten();
                branches.map(|branch| self.resolve(branch).unwrap_or_else(|| branch.clone())).collect()
            }
            _ => self.resolve(argument).unwrap_or_default(),
        }
    }

    /// `A.B` and `[A, B]` are the same.
    fn attribute(&self, argument: &Value) -> Value {
        match argument {
            Value::String(whole) => {
                let (resource, attribute) = whole.split_once('.').unwrap_or((whole, ""));
                Value::from(vec![resource, attribute])
            }
            Value::Array(parts) => {
                let rest: Option<Vec<String>> = parts.iter().skip(1).map(|part| text(&self.resolve(part)?)).collect();
                match (parts.first(), rest) {
                    (Some(resource), Some(rest)) => Value::from(vec![resource.clone(), rest.join(".").into()]),
                    _ => argument.clone(),
                }
            }
            other => other.clone(),
        }
    }

    /// The value of a function with an evaluated argument, if the template determines it.
    fn apply(&self, name: &str, argument: &Value) -> Option<Value> {
        match name {
            "Ref" => self.parameters.get(argument.as_str()?).cloned(),
            "Fn::FindInMap" => {
                let [map, first, second] = [0, 1, 2].map(|index| text(&argument[index]));
                let found = &self.root["Mappings"][map?.as_str()][first?.as_str()][second?.as_str()];
                let default = &argument[3]["DefaultValue"];
                [found, default].into_iter().find(|value| !value.is_null()).cloned()
            }
            "Fn::Select" => {
                let index: usize = text(&argument[0])?.parse().ok()?;
                let items = argument[1].as_array()?;
                if items.iter().take(index).any(may_lack) { None } else { items.get(index).cloned() }
            }
            "Fn::Split" => {
                let (separator, whole) = (argument[0].as_str()?, text(&argument[1])?);
                Some(whole.split(separator).collect())
            }
            "Fn::Join" => {
                let (separator, items) = (argument[0].as_str()?, argument[1].as_array()?);
                // An item that is not there takes its separator with it.
                if !separator.is_empty() && items.iter().any(may_lack) {
                    return None;
                }
                let mut pieces = Pieces::default();
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        pieces.literal(separator);
                    }
                    pieces.add(item);
                }
                Some(pieces.joined())
            }
            "Fn::Length" => {
                let items = argument.as_array()?;
                (!items.iter().any(may_lack)).then(|| items.len().into())
            }
            "Fn::Sub" => match argument {
                Value::String(pattern) => Some(self.substitute(pattern, &Value::Null)),
                Value::Array(parts) => Some(self.substitute(parts.first()?.as_str()?, parts.get(1)?)),
                _ => None,
            },
            "Fn::RefAll" => {
                let of_type =
                    entries(&self.root["Parameters"]).filter(|(_, definition)| definition["Type"] == *argument);
                of_type.map(|(name, _)| self.parameters.get(name).cloned()).collect()
            }
            _ => None,
        }
    }

    /// A pattern of `Fn::Sub`, with the values of its own names.
    fn substitute(&self, pattern: &str, own: &Value) -> Value {
        let mut pieces = Pieces::default();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            pieces.literal(before);
            match (name.strip_prefix('!'), own.get(name).or_else(|| self.parameters.get(name)), name.split_once('.')) {
                (Some(literal), ..) => pieces.literal(&format!("${{{literal}}}")),
                (None, Some(value), _) => pieces.add(value),
                (None, None, Some((resource, attribute))) => pieces.add(&json!({"Fn::GetAtt": [resource, attribute]})),
                (None, None, None) => pieces.add(&json!({"Ref": name})),
            }
            rest = tail;
        }
        pieces.literal(rest);
        pieces.joined()
    }
}

/// A function that cannot be evaluated.
fn open(name: &str, argument: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), argument)]))
}

/// Whether only AWS knows if an item of a list is there.
fn may_lack(item: &Value) -> bool {
    function(item).is_some_and(|(name, _)| name == "Fn::If")
}

/// The texts of a list; `None` if some are not known.
fn items(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

/// The pieces of a text: literals, and functions between them.
#[derive(Default)]
struct Pieces(Vec<Value>);

impl Pieces {
    fn literal(&mut self, more: &str) {
        match self.0.last_mut() {
            Some(Value::String(last)) => last.push_str(more),
            _ if more.is_empty() => {}
            _ => self.0.push(more.into()),
        }
    }

    fn add(&mut self, value: &Value) {
        match (text(value), &value["Fn::Join"]) {
            (Some(literal), _) => self.literal(&literal),
            (None, Value::Array(parts)) if parts[0] == "" && parts[1].is_array() => {
                parts[1].as_array().into_iter().flatten().for_each(|piece| self.add(piece));
            }
            _ => self.0.push(value.clone()),
        }
    }

    /// The text, or the `Fn::Join` that makes it.
    fn joined(mut self) -> Value {
        match self.0.as_slice() {
            [] => "".into(),
            [one] if one.is_string() || function(one).is_some() => self.0.remove(0),
            _ => json!({"Fn::Join": ["", self.0]}),
        }
    }
}

#[cfg(test)]
mod tests;
