//! A small evaluator of IAM policies, for what no emulator enforces: conditions about the role that CloudFormation gets,
//! about whom a role is passed to, about permissions boundaries and about tags.
//!
//! It knows what the templates use and refuses whatever it does not know
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>).

use std::collections::BTreeMap;

use serde_json::Value;

/// An attempted call.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    /// Condition keys and their values; a key that is not here is absent.
    pub(crate) context: BTreeMap<&'a str, &'a str>,
}

/// Whether documents, within a boundary where there is one, allow a request.
pub(crate) fn allows(documents: &[Value], boundary: Option<&Value>, request: &Request<'_>) -> bool {
    let within = |documents: &[Value]| {
        let says = |effect: &str| {
            let statements =
                documents.iter().flat_map(|document| document["Statement"].as_array().expect("statements"));
            statements.filter(|statement| statement["Effect"] == effect).any(|statement| applies(statement, request))
        };
        says("Allow") && !says("Deny")
    };
    within(documents) && boundary.is_none_or(|boundary| within(std::slice::from_ref(boundary)))
}

fn applies(statement: &Value, request: &Request<'_>) -> bool {
    for key in statement.as_object().expect("a statement").keys() {
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"].contains(&key.as_str());
        assert!(known, "{key} is not understood");
    }
    let action = request.action.to_lowercase();
    texts(&statement["Action"]).iter().any(|pattern| fits(&pattern.to_lowercase(), &action))
        && texts(&statement["Resource"]).iter().any(|pattern| fits(pattern, request.resource))
        && holds(&statement["Condition"], request)
}

/// Whether all of a statement's conditions are met.
pub(crate) fn holds(condition: &Value, request: &Request<'_>) -> bool {
    condition.as_object().into_iter().flatten().all(|(operator, keys)| {
        keys.as_object().expect("keys").iter().all(|(key, expected)| {
            let found = request.context.get(key.as_str());
            let expected = texts(expected);
            match operator.as_str() {
                "StringEquals" => found.is_some_and(|found| expected.iter().any(|one| one == found)),
                "StringLikeIfExists" => found.is_none_or(|found| expected.iter().any(|one| fits(one, found))),
                // What is not there is not equal either.
                "StringNotEquals" => found.is_none_or(|found| expected.iter().all(|one| one != found)),
                "ArnLike" | "StringLike" => found.is_some_and(|found| expected.iter().any(|one| fits(one, found))),
                other => panic!("{other} is not understood"),
            }
        })
    })
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().map(|item| item.as_str().expect("text")).collect(),
        other => panic!("no text: {other}"),
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    assert!(!pattern.contains('?'), "? is not understood");
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.is_char_boundary(at) && fits(rest, &left[at..]))),
    }
}
