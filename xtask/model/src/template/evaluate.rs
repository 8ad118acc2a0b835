//! Evaluates a template with given parameters: which resources exist, with which properties.
//!
//! A function whose value only AWS knows stays a function, with its arguments evaluated. So equal results mean equal
//! properties.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// An evaluated template.
#[derive(Debug)]
pub struct Evaluated {
    /// The resources that exist, by logical id.
    pub resources: BTreeMap<String, TemplateResource>,
    /// Resources whose condition only AWS can evaluate: logical id and type.
    pub uncertain: Vec<(String, String)>,
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
/// Text that is not YAML (or JSON, which is YAML too).
pub fn evaluate(body: &str, given: &BTreeMap<String, String>, region: &str) -> Result<Evaluated, String> {
    let documents = Yaml::load_from_str(body).map_err(|error| format!("the template is not YAML: {error}"))?;
    let root = documents.first().map_or(Value::Null, to_json);
    let evaluator = Evaluator::new(&root, given, region);
    let mut evaluated = Evaluated { resources: BTreeMap::new(), uncertain: Vec::new() };
    for (id, definition) in entries(&root["Resources"]) {
        let kind = definition["Type"].as_str().unwrap_or("no type").to_owned();
        match definition["Condition"].as_str().map(|name| evaluator.conditions.get(name)) {
            Some(Some(false)) => {}
            Some(None) => evaluated.uncertain.push((id.clone(), kind)),
            None | Some(Some(true)) => {
                let properties = evaluator.resolve(&definition["Properties"]).unwrap_or_default();
                let attribute = |name: &&str| definition.get(*name).and_then(|value| evaluator.resolve(value));
                let attributes = ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), attribute(name)?)));
                let attributes = attributes.collect();
                evaluated.resources.insert(id.clone(), TemplateResource { kind, properties, attributes });
            }
        }
    }
    Ok(evaluated)
}

/// A scalar as CloudFormation compares it: as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn entries(section: &Value) -> impl Iterator<Item = (&String, &Value)> {
    section.as_object().into_iter().flatten()
}

/// YAML without tags: a short form such as `!If` becomes its long form.
fn to_json(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => Value::Bool(*flag),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::String(text.to_string()),
        Yaml::Representation(text, ..) => Value::String(text.to_string()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(to_json).collect()),
        Yaml::Mapping(map) => {
            let entry = |(key, value): (&Yaml<'_>, &Yaml<'_>)| Some((text(&to_json(key))?, to_json(value)));
            Value::Object(map.iter().filter_map(entry).collect())
        }
        Yaml::Tagged(tag, inner) if tag.handle == "!" => {
            let name = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                other => format!("Fn::{other}"),
            };
            Value::Object(Map::from_iter([(name, to_json(inner))]))
        }
        Yaml::Tagged(_, inner) => to_json(inner),
    }
}

/// Stands for a parameter store's value, with its name as argument.
const STORED: &str = "Fn::Stored";

/// The values of names in the template.
struct Evaluator<'a> {
    parameters: BTreeMap<String, Value>,
    mappings: &'a Value,
    conditions: BTreeMap<String, bool>,
}

impl<'a> Evaluator<'a> {
    fn new(root: &'a Value, given: &BTreeMap<String, String>, region: &str) -> Self {
        let (partition, suffix) = match region.split('-').next() {
            Some("cn") => ("aws-cn", "amazonaws.com.cn"),
            _ if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
            _ => ("aws", "amazonaws.com"),
        };
        let pseudo = [("AWS::Region", region), ("AWS::Partition", partition), ("AWS::URLSuffix", suffix)];
        let mut parameters: BTreeMap<String, Value> =
            pseudo.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        for (name, definition) in entries(&root["Parameters"]) {
            let kind = definition["Type"].as_str().unwrap_or_default();
            let Some(value) = given.get(name).cloned().or_else(|| text(&definition["Default"])) else { continue };
            // Only AWS knows the value behind a name in the parameter store.
            if kind.starts_with("AWS::SSM::Parameter::Value<") {
                parameters.insert(name.clone(), Value::Object(Map::from_iter([(STORED.to_owned(), value.into())])));
                continue;
            }
            let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
            let value = if is_list { value.split(',').map(str::trim).collect() } else { Value::String(value) };
            parameters.insert(name.clone(), value);
        }
        let mut evaluator = Self { parameters, mappings: &root["Mappings"], conditions: BTreeMap::new() };
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
            // One known operand may decide it.
            "Fn::And" if all().any(|holds| holds == Some(false)) => Some(false),
            "Fn::Or" if all().any(|holds| holds == Some(true)) => Some(true),
            "Fn::And" => all().all(|holds| holds.is_some()).then_some(true),
            "Fn::Or" => all().all(|holds| holds.is_some()).then_some(false),
            _ => None,
        }
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
                        _ => Some(self.open(name, argument)),
                    }
                }
                _ => Some(self.apply(name, argument).unwrap_or_else(|| self.open(name, argument))),
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

    /// A function that cannot be evaluated, with its arguments evaluated as far as possible.
    fn open(&self, name: &str, argument: &Value) -> Value {
        let argument = match (name, argument) {
            ("Fn::Sub", Value::String(pattern)) => Value::String(self.filled(pattern, &Value::Null)),
            ("Fn::Sub", Value::Array(parts)) => {
                let own = parts.get(1).and_then(|own| self.resolve(own)).unwrap_or_default();
                let pattern = parts.first().and_then(Value::as_str).map(|pattern| self.filled(pattern, &own));
                Value::Array(vec![pattern.into(), own])
            }
            // Names of resources and conditions.
            ("Ref" | "Fn::GetAtt" | "Condition", _) => argument.clone(),
            _ => self.resolve(argument).unwrap_or_default(),
        };
        Value::Object(Map::from_iter([(name.to_owned(), argument)]))
    }

    /// A pattern of `Fn::Sub` with known names replaced. Others stay, and `${` in a replacement is escaped so that it
    /// is not taken for a name.
    fn filled(&self, pattern: &str, own: &Value) -> String {
        let mut whole = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            whole.push_str(before);
            match own.get(name).or_else(|| self.parameters.get(name)).and_then(text) {
                Some(value) => whole.push_str(&value.replace("${", "${!")),
                None => whole.push_str(&format!("${{{name}}}")),
            }
            rest = tail;
        }
        whole + rest
    }

    /// The value of a function, if the template determines it.
    fn apply(&self, name: &str, argument: &Value) -> Option<Value> {
        let resolved = || self.resolve(argument);
        match name {
            "Ref" => self.parameters.get(argument.as_str()?).cloned(),
            "Fn::FindInMap" => {
                let parts = resolved()?;
                let [map, first, second] = [0, 1, 2].map(|index| text(&parts[index]));
                let found = &self.mappings[map?.as_str()][first?.as_str()][second?.as_str()];
                let default = &parts[3]["DefaultValue"];
                [found, default].into_iter().find(|value| !value.is_null()).cloned()
            }
            "Fn::Select" => {
                let parts = resolved()?;
                let index: usize = text(&parts[0])?.parse().ok()?;
                parts[1].as_array()?.get(index).cloned()
            }
            "Fn::Split" => {
                let parts = resolved()?;
                let (separator, whole) = (parts[0].as_str()?, text(&parts[1])?);
                Some(whole.split(separator).collect())
            }
            "Fn::Join" => {
                let parts = resolved()?;
                let items = parts[1].as_array()?.iter().map(text).collect::<Option<Vec<_>>>()?;
                Some(items.join(parts[0].as_str()?).into())
            }
            "Fn::Length" => Some(resolved()?.as_array()?.len().into()),
            "Fn::Sub" => match argument {
                Value::String(pattern) => self.substitute(pattern, &Value::Null),
                Value::Array(parts) => self.substitute(parts.first()?.as_str()?, &self.resolve(parts.get(1)?)?),
                _ => None,
            },
            _ => None,
        }
    }

    fn substitute(&self, pattern: &str, own: &Value) -> Option<Value> {
        let mut whole = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}')?;
            whole.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => whole.push_str(&format!("${{{literal}}}")),
                None => whole.push_str(&own.get(name).or_else(|| self.parameters.get(name)).and_then(text)?),
            }
            rest = tail;
        }
        Some((whole + rest).into())
    }
}

/// A value that is a function: its name and its argument.
pub fn function(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, argument) = map.iter().next()?;
    (name.starts_with("Fn::") || name == "Ref" || name == "Condition").then_some((name, argument))
}

#[cfg(test)]
mod tests;
