//! The references of a resource to others.

use serde_json::Value;

use crate::template::evaluate::function;

/// A reference to another resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its path, from `Properties` on.
    pub(super) path: String,
    pub(super) target: String,
    /// The requested attribute; `None` for the resource's name.
    pub(super) attribute: Option<String>,
}

/// All references in these properties to resources, or to names that may be resources.
pub(super) fn find(properties: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    walk("Properties", properties, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut Vec<Reference>) {
    match (function(value), value) {
        (Some((name, argument)), _) => call(path, name, argument, found),
        (None, Value::Object(map)) => {
            map.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value, found))
        }
        (None, Value::Array(items)) => {
            for (number, item) in items.iter().enumerate() {
                walk(&format!("{path}.{number}"), item, found);
            }
        }
        _ => {}
    }
}

fn call(path: &str, name: &str, argument: &Value, found: &mut Vec<Reference>) {
    let mut note = |target: &str, attribute: Option<&str>| {
        let attribute = attribute.map(str::to_owned);
        found.push(Reference { path: path.to_owned(), target: target.to_owned(), attribute });
    };
    match (name, argument) {
        ("Ref", Value::String(target)) => note(target, None),
        ("Fn::GetAtt", Value::String(text)) => {
            let (target, attribute) = text.split_once('.').unwrap_or((text, ""));
            note(target, Some(attribute));
        }
        ("Fn::GetAtt", Value::Array(parts)) => {
            if let Some(target) = parts.first().and_then(Value::as_str) {
                note(target, Some(parts.get(1).and_then(Value::as_str).unwrap_or_default()));
            }
        }
        ("Fn::Sub", Value::String(pattern)) => {
            placeholders(pattern, &Value::Null).for_each(|(id, part)| note(id, part))
        }
        ("Fn::Sub", Value::Array(parts)) => {
            let own = parts.get(1).unwrap_or(&Value::Null);
            let pattern = parts.first().and_then(Value::as_str).unwrap_or_default();
            placeholders(pattern, own).for_each(|(id, part)| note(id, part));
            inside(path, own, found);
        }
        _ => inside(path, argument, found),
    }
}

/// References in a function's argument have the function's path.
fn inside(path: &str, argument: &Value, found: &mut Vec<Reference>) {
    let begin = found.len();
    walk(path, argument, found);
    found[begin..].iter_mut().for_each(|reference| path.clone_into(&mut reference.path));
}

/// The names in a pattern of `Fn::Sub` that are not its own variables.
fn placeholders<'a>(pattern: &'a str, own: &'a Value) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let names = pattern.split("${").skip(1).filter_map(|part| Some(part.split_once('}')?.0));
    let names = names.filter(|name| !name.starts_with('!') && own.get(*name).is_none());
    names.map(|name| name.split_once('.').map_or((name, None), |(id, attribute)| (id, Some(attribute))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_reference_is_found_at_its_path() {
        let properties = json!({
            "A": {"Ref": "One"},
            "B": [{"C": {"Fn::GetAtt": "Two.Arn"}}, {"Fn::GetAtt": ["Three", "Arn"]}],
            "D": {"Fn::Sub": "${Four}/${Five.Arn}/${!Six}"},
            "E": {"Fn::Join": ["", ["x", {"Ref": "Seven"}]]},
            "F": {"Fn::Sub": ["${Own}${Eight}", {"Own": {"Ref": "Nine"}}]},
        });
        let found: Vec<String> = find(&properties)
            .into_iter()
            .map(|found| format!("{} {} {}", found.path, found.target, found.attribute.unwrap_or_default()))
            .collect();
        let expected = [
            "Properties.A One ",
            "Properties.B.0.C Two Arn",
            "Properties.B.1 Three Arn",
            "Properties.D Four ",
            "Properties.D Five Arn",
            "Properties.E Seven ",
            "Properties.F Eight ",
            "Properties.F Nine ",
        ];
        assert_eq!(found, expected);
    }
}
