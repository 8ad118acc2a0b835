//! Values as text that YAML 1.1 and CloudFormation take as they are.

use std::collections::BTreeMap;

use serde_json::Value;

/// A value in flow style: JSON, its keys in order, with the spaces that YAML 1.1 demands (section 5.3).
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let pair = |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), flow(value));
            format!("{{{}}}", sorted.into_iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

/// A value in flow style, in ASCII alone, as a part of YAML.
pub(super) fn yaml(value: &Value) -> String {
    ascii(&flow(value), yaml_escape)
}

/// As [`yaml`], as JSON.
pub(super) fn json(value: &Value) -> String {
    ascii(&flow(value), json_escape)
}

/// JSON text in ASCII alone, for CloudFormation returns a question mark for every other character.
fn ascii(json: &str, escape: fn(char) -> String) -> String {
    let is_plain = |c: char| matches!(c, ' '..='~');
    json.chars().map(|c| if is_plain(c) { c.to_string() } else { escape(c) }).collect()
}

/// RFC 8259, section 7.
fn json_escape(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// YAML 1.1, section 5.6: what is outside of 16 bits has an escape of its own.
fn yaml_escape(c: char) -> String {
    let code = u32::from(c);
    if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") }
}
