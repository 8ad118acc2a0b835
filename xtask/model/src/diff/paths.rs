//! Where two values differ.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::value::{function, text};

/// The paths, from `root` on, at which the values differ: as deep as both have the same shape. Items of a list are
/// numbered from 0; lists of different lengths differ as a whole.
pub(super) fn differing(root: &str, before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(root, before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    if same(before, after) {
        return;
    }
    let whole = function(before).is_some() || function(after).is_some();
    match (before, after) {
        (Value::Object(then), Value::Object(now)) if !whole => {
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            for name in names {
                let part = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                compare(&format!("{path}.{name}"), &part(then), &part(now), found);
            }
        }
        (Value::Null, Value::Object(now)) if !whole && !path.contains('.') => {
            found.extend(now.keys().map(|name| format!("{path}.{name}")));
        }
        (Value::Object(then), Value::Null) if !whole && !path.contains('.') => {
            found.extend(then.keys().map(|name| format!("{path}.{name}")));
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (number, (then, now)) in then.iter().zip(now).enumerate() {
                compare(&format!("{path}.{number}"), then, now, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Whether two values are one to CloudFormation, as a number, a flag and its text are.
pub(super) fn same(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(then), Value::Object(now)) => {
            then.len() == now.len() && then.iter().all(|(name, then)| now.get(name).is_some_and(|now| same(then, now)))
        }
        (Value::Array(then), Value::Array(now)) => {
            then.len() == now.len() && then.iter().zip(now).all(|(then, now)| same(then, now))
        }
        _ => before == after || text(before).zip(text(after)).is_some_and(|(before, after)| same_text(&before, &after)),
    }
}

/// CloudFormation returns a question mark for each character of a deployed template that is not ASCII
/// (<https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1220>).
fn same_text(before: &str, after: &str) -> bool {
    let same = |(before, after): (char, char)| before == after || (before == '?' && !after.is_ascii());
    before.chars().count() == after.chars().count() && before.chars().zip(after.chars()).all(same)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn characters_that_cloudformation_does_not_return_are_no_difference() {
        let [deployed, new] = [json!({"A": "Gr??e", "B": {"Ref": "C?"}}), json!({"A": "Größe", "B": {"Ref": "Cü"}})];
        assert!(differing("P", &deployed, &new).is_empty());
        assert_eq!(differing("P", &json!({"A": "Große"}), &json!({"A": "Größe"})), ["P.A"]);
        assert_eq!(differing("P", &json!({"A": "a?"}), &json!({"A": "ab"})), ["P.A"]);
        assert_eq!(differing("P", &json!({"A": "a?"}), &json!({"A": "aüü"})), ["P.A"]);
    }

    #[test]
    fn paths_are_as_deep_as_the_shapes_agree() {
        let cases = [
            (json!({"A": 1}), json!({"A": "1"}), vec![]),
            (json!({"A": true}), json!({"A": false}), vec!["P.A"]),
            (json!({"A": {"B": 1, "C": 2}}), json!({"A": {"B": 1, "C": 3}}), vec!["P.A.C"]),
            (json!({"A": [{"B": 1}, {"B": 2}]}), json!({"A": [{"B": 1}, {"B": 3}]}), vec!["P.A.1.B"]),
            (json!({"A": [1]}), json!({"A": [1, 2]}), vec!["P.A"]),
            (json!({"A": 1}), json!({"B": {"C": 1}}), vec!["P.A", "P.B"]),
            (json!({"A": {"Ref": "X"}}), json!({"A": {"Ref": "Y"}}), vec!["P.A"]),
            (json!({"A": {"B": 1}}), json!({"A": {"Ref": "Y"}}), vec!["P.A"]),
            (Value::Null, json!({"A": {"B": 1}}), vec!["P.A"]),
        ];
        for (before, after, expected) in cases {
            assert_eq!(differing("P", &before, &after), expected, "{before} {after}");
            assert_eq!(differing("P", &after, &before), expected, "{after} {before}");
        }
    }
}
