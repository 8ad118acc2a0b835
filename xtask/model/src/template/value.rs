//! Values of a template, with functions in their long form.

use serde_json::Value;

/// A scalar as CloudFormation compares it: as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A value that is a function: its name and its argument.
pub fn function(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, argument) = map.iter().next()?;
    (name.starts_with("Fn::") || name == "Ref" || name == "Condition").then_some((name, argument))
}

/// The entries of a mapping; none of anything else.
pub(crate) fn entries(section: &Value) -> impl Iterator<Item = (&String, &Value)> {
    section.as_object().into_iter().flatten()
}

/// The texts of a list, or the one text that stands for a list of one.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}
