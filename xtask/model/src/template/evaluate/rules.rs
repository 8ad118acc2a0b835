//! A template's `Rules`: what CloudFormation demands of the parameters as a whole
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html>).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Evaluator, Pseudo};
use crate::template::value::entries;

/// An assertion that does not hold.
#[derive(Debug, PartialEq, Eq)]
pub struct BrokenRule {
    pub name: String,
    /// In the template's words, if it has any.
    pub description: Option<String>,
}

/// The assertions of a template that these parameters break. One that only AWS can evaluate is not judged.
pub fn broken_rules<'a>(
    root: &Value,
    given: &BTreeMap<String, String>,
    known: impl Into<Pseudo<'a>>,
) -> Vec<BrokenRule> {
    let evaluator = Evaluator::new(root, given, known.into());
    let mut broken = Vec::new();
    for (name, rule) in entries(&root["Rules"]) {
        let condition = &rule["RuleCondition"];
        if !condition.is_null() && evaluator.holds(condition) != Some(true) {
            continue;
        }
        for assertion in rule["Assertions"].as_array().into_iter().flatten() {
            if evaluator.holds(&assertion["Assert"]) == Some(false) {
                let description = assertion["AssertDescription"].as_str().map(str::to_owned);
                broken.push(BrokenRule { name: name.clone(), description });
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Document;

    const TEMPLATE: &str = "
Parameters:
  Kind: {Type: String, Default: small}
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
  One: {Type: 'AWS::EC2::VPC::Id'}
  Two: {Type: 'AWS::EC2::VPC::Id'}
  Stored: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b}
Rules:
  It:
    RuleCondition: CONDITION
    Assertions:
      - Assert: ASSERT
        AssertDescription: that is wrong
";

    /// An assertion, the given parameters, and whether it is broken.
    type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

    fn broken(condition: &str, assert: &str, given: &[(&str, &str)]) -> bool {
        let body = TEMPLATE.replace("CONDITION", condition).replace("ASSERT", assert);
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let broken = broken_rules(&Document::read(&body).unwrap().root, &given, "eu-central-1");
        assert!(broken.iter().all(|rule| rule.description.as_deref() == Some("that is wrong") && rule.name == "It"));
        !broken.is_empty()
    }

    #[test]
    fn every_function_of_rules_is_evaluated() {
        let cases: [Case; 14] = [
            ("!Equals [!Ref Kind, large]", &[], true),
            ("!Equals [!Ref Kind, large]", &[("Kind", "large")], false),
            ("!Not [!Equals [!Ref Kind, small]]", &[], true),
            ("!And [!Equals [!Ref Kind, small], !Equals ['1', 1]]", &[], false),
            ("!Or [!Equals [!Ref Kind, large], !Equals ['1', 2]]", &[], true),
            ("{'Fn::Contains': [[small, large], !Ref Kind]}", &[], false),
            ("!Contains [[small, large], !Ref Kind]", &[("Kind", "odd")], true),
            ("!EachMemberIn [!Ref Zones, [a, b, c]]", &[], false),
            ("!EachMemberIn [!Ref Zones, [a, b, c]]", &[("Zones", "a,d")], true),
            ("!EachMemberEquals [!RefAll 'AWS::EC2::VPC::Id', vpc-1]", &[("One", "vpc-1"), ("Two", "vpc-1")], false),
            ("!EachMemberEquals [!RefAll 'AWS::EC2::VPC::Id', vpc-1]", &[("One", "vpc-1"), ("Two", "vpc-2")], true),
            ("!EachMemberEquals [!RefAll 'AWS::EC2::VPC::Id', vpc-1]", &[("One", "vpc-2")], false),
            ("!Equals [!ValueOf [One, DefaultCidr], 10.0.0.0/8]", &[("One", "vpc-1")], false),
            ("!Equals [!Ref Stored, x]", &[], false),
        ];
        for (assert, given, expected) in cases {
            assert_eq!(broken("!Equals ['1', 1]", assert, given), expected, "{assert} with {given:?}");
        }
    }

    #[test]
    fn a_rule_applies_only_where_its_condition_holds() {
        assert!(broken("null", "!Equals ['1', 2]", &[]));
        assert!(!broken("!Equals [!Ref Kind, large]", "!Equals ['1', 2]", &[]));
        assert!(broken("!Equals [!Ref Kind, large]", "!Equals ['1', 2]", &[("Kind", "large")]));
        assert!(!broken("!Equals [!Ref One, vpc-1]", "!Equals ['1', 2]", &[]), "nobody knows");
    }
}
