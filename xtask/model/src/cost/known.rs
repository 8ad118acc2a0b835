//! Properties that decide a price. One that only AWS can evaluate makes the price unknown: a wrong one is worse than none.

use serde_json::Value;

use crate::template::evaluate::{Resources, TemplateResource};
use crate::template::value::{function, text};

/// A text; `None` if it is not given.
///
/// # Errors
/// `what` is only known at AWS.
pub(super) fn known_text(value: &Value, what: &str) -> Result<Option<String>, String> {
    match text(value) {
        None if !value.is_null() => Err(format!("{what} is only known at AWS")),
        text => Ok(text),
    }
}

/// A number; `None` if it is not given.
///
/// # Errors
/// `what` is only known at AWS, or is no number.
pub(super) fn known_number(value: &Value, what: &str) -> Result<Option<f64>, String> {
    let text = known_text(value, what)?;
    text.map(|text| text.parse().map_err(|_| format!("{what} is no number"))).transpose()
}

/// Whether a flag is set; `None` if it is not given.
///
/// # Errors
/// `what` is only known at AWS.
pub(super) fn known_flag(value: &Value, what: &str) -> Result<Option<bool>, String> {
    Ok(known_text(value, what)?.map(|text| text.eq_ignore_ascii_case("true")))
}

/// A list; empty if it is not given.
///
/// # Errors
/// `what` is only known at AWS: the list, or whether an item is there.
pub(super) fn known_list<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], String> {
    let may_lack = |item: &Value| function(item).is_some_and(|(name, _)| name == "Fn::If");
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) if !items.iter().any(may_lack) => Ok(items),
        _ => Err(format!("{what} is only known at AWS")),
    }
}

/// The logical id that a value refers to, if it is a reference.
pub(super) fn target(value: &Value) -> Option<&str> {
    value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str())
}

/// The resource that a value refers to.
pub(super) fn referenced<'a>(value: &Value, all: &'a Resources) -> Option<&'a TemplateResource> {
    all.get(target(value)?)
}
