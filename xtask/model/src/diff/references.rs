//! The references of a resource to others.

use serde_json::Value;

use crate::template::value::function;

/// A reference to another resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its path, from `Properties` on.
    pub(super) path: String,
    pub(super) target: String,
    /// The requested attribute; `None` for the resource's name.
    pub(super) attribute: Option<String>,
}

/// All references in these evaluated properties to resources, or to names that may be resources.
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
        ("Fn::GetAtt", Value::Array(parts)) => {
            if let Some(target) = parts.first().and_then(Value::as_str) {
                note(target, Some(parts.get(1).and_then(Value::as_str).unwrap_or_default()));
            }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_reference_is_found_at_its_path() {
        let properties = json!({
            "A": {"Ref": "One"},
            "B": [{"C": {"Fn::GetAtt": ["Two", "Arn"]}}],
            "D": {"Fn::Join": ["", ["x", {"Ref": "Three"}, {"Fn::GetAtt": ["Four", "Arn"]}]]},
            "E": {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "Five"}]}]},
        });
        let found: Vec<String> = find(&properties)
            .into_iter()
            .map(|found| format!("{} {} {}", found.path, found.target, found.attribute.unwrap_or_default()))
            .collect();
        let expected = [
            "Properties.A One ",
            "Properties.B.0.C Two Arn",
            "Properties.D Three ",
            "Properties.D Four Arn",
            "Properties.E Five ",
        ];
        assert_eq!(found, expected);
    }
}
