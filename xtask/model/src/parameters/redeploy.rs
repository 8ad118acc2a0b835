//! Redeploys an API when its parameters change.
//!
//! A deployment of API Gateway is a snapshot of the API, and CloudFormation makes a new one only under another logical
//! id. A template with one deployment for each of two values of a parameter lists, in `Release.Redeploy` of its
//! metadata, the parameters that define its API; when one of those changes, the other value is sent.

use std::collections::BTreeMap;

use super::Value;
use crate::template::Template;

/// Sets the parameter that selects the deployment: to the other value if the API changes, to the stack's own if not.
/// `current` are the stack's parameters, `None` for a stack that does not exist yet.
pub fn redeploy(template: &Template, current: Option<&BTreeMap<String, String>>, values: &mut BTreeMap<String, Value>) {
    let Some(redeploy) = &template.redeploy else { return };
    values.remove(&redeploy.parameter);
    let Some(current) = current else { return };
    let Some(now) = current.get(&redeploy.parameter) else { return };
    let changes = |name: &String| match values.get(name) {
        Some(Value::Is(value)) => current.get(name) != Some(value),
        Some(Value::Previous) => false,
        None => current.get(name) != template.parameters.get(name).and_then(Option::as_ref),
    };
    let value = if redeploy.when.iter().any(changes) {
        let [first, second] = &redeploy.values;
        Value::Is(if now == first { second } else { first }.clone())
    } else {
        Value::Previous
    };
    values.insert(redeploy.parameter.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Metadata: {Release: {Redeploy: {Parameter: Revision, Values: [A, B], When: [Origin, Key]}}}
Parameters:
  ContainerURI: {Type: String}
  Revision: {Type: String, Default: A}
  Origin: {Type: String, Default: ''}
  Key: {Type: String, Default: 'false'}
  Tasks: {Type: Number, Default: 2}
Outputs: {ApiGatewayURL: {Value: x}}
";

    /// What is sent for `Revision`.
    fn revision(current: Option<&[(&str, &str)]>, values: &[(&str, Value)]) -> Option<Value> {
        let template = Template::read("t", TEMPLATE.to_owned()).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let current: Option<BTreeMap<_, _>> = current.map(|current| current.iter().map(owned).collect());
        let mut values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        redeploy(&template, current.as_ref(), &mut values);
        values.remove("Revision")
    }

    fn is(text: &str) -> Value {
        Value::Is(text.to_owned())
    }

    #[test]
    fn only_a_changed_api_gets_the_other_value() {
        let stack: &[_] = &[("Revision", "A"), ("Origin", "x"), ("Key", "false"), ("Tasks", "2")];
        let kept = [("Origin", Value::Previous), ("Key", Value::Previous), ("Tasks", Value::Previous)];
        let with = |name, value: Value| {
            let mut values = kept.to_vec();
            values.retain(|(kept, _)| *kept != name);
            [values, vec![(name, value)]].concat()
        };
        assert_eq!(revision(Some(stack), &kept), Some(Value::Previous));
        assert_eq!(revision(Some(stack), &with("Tasks", is("3"))), Some(Value::Previous), "is not part of the API");
        assert_eq!(revision(Some(stack), &with("Key", is("false"))), Some(Value::Previous), "is what it was");
        assert_eq!(revision(Some(stack), &with("Key", is("true"))), Some(is("B")));
        let other: &[_] = &[("Revision", "B"), ("Origin", "x"), ("Key", "false")];
        assert_eq!(revision(Some(other), &with("Origin", is("y"))), Some(is("A")));
    }

    #[test]
    fn a_recorded_value_is_ignored() {
        // An earlier release had this value, and so has the API that it must replace.
        let stack: &[_] = &[("Revision", "A"), ("Origin", "y"), ("Key", "false")];
        let recorded = [("Revision", is("A")), ("Origin", is("x")), ("Key", is("false"))];
        assert_eq!(revision(Some(stack), &recorded), Some(is("B")));
    }

    #[test]
    fn a_new_stack_and_an_older_template_keep_the_default() {
        assert_eq!(revision(None, &[("Revision", is("B"))]), None);
        assert_eq!(revision(Some(&[("Origin", "x")]), &[("Origin", is("y"))]), None);
    }

    #[test]
    fn a_parameter_that_goes_back_to_its_default_counts() {
        let stack: &[_] = &[("Revision", "A"), ("Origin", "x"), ("Key", "false")];
        assert_eq!(revision(Some(stack), &[("Key", Value::Previous)]), Some(is("B")), "Origin is no longer sent");
    }
}
