//! What AWS replaces in a template before it deploys it: macros, transforms, loops. What comes of them is not known here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::value::{entries, texts};

/// Transforms of AWS that add no resources of a fixed price, and change none that the template declares.
const HARMLESS: [&str; 5] = [
    "AWS::CodeDeployBlueGreen",
    "AWS::LanguageExtensions",
    "AWS::SecretsManager-2020-07-23",
    "AWS::SecretsManager-2024-09-16",
    "AWS::Serverless-2016-10-31",
];
const LOOP: &str = "Fn::ForEach";
const STACK: &str = "AWS::CloudFormation::Stack";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Names of macros and transforms, of the whole template or inside it.
    transforms: BTreeSet<String>,
    /// Keys such as `Fn::ForEach::Buckets`.
    loops: BTreeSet<String>,
    has_nested_stacks: bool,
}

impl Expansion {
    pub(super) fn of(root: &Value) -> Self {
        let mut expansion = Self::default();
        match &root["Transform"] {
            Value::Array(items) => items.iter().for_each(|item| expansion.add(item)),
            one => expansion.add(one),
        }
        expansion.walk(root);
        let mut resources = entries(&root["Resources"]);
        expansion.has_nested_stacks = resources.any(|(_, resource)| resource["Type"].as_str() == Some(STACK));
        expansion
    }

    /// Everything that is expanded, by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.transforms.iter().chain(&self.loops).map(String::as_str)
    }

    /// Whether CloudFormation asks for `CAPABILITY_AUTO_EXPAND`: for macros, also those of nested stacks
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html>).
    pub fn needs_capability(&self) -> bool {
        self.names().next().is_some() || self.has_nested_stacks
    }

    /// What may add resources, or change the price of those that the template declares; with a kind.
    pub(crate) fn uncounted(&self) -> impl Iterator<Item = (&str, &str)> {
        let macros = self.transforms.iter().filter(|name| !HARMLESS.contains(&name.as_str()));
        macros.map(|name| (name.as_str(), "a macro")).chain(self.loops.iter().map(|name| (name.as_str(), "a loop")))
    }

    /// Whether anything but AWS's own transforms changes the text.
    pub(super) fn has_own_macros(&self) -> bool {
        self.transforms.iter().any(|name| !name.starts_with("AWS::"))
    }

    /// A transform: its name, or an object with the name.
    fn add(&mut self, transform: &Value) {
        self.transforms.extend(texts(transform));
        self.transforms.extend(texts(&transform["Name"]));
    }

    fn walk(&mut self, value: &Value) {
        for (name, inside) in entries(value) {
            if name == "Fn::Transform" {
                self.add(inside);
            } else if name.starts_with(LOOP) {
                self.loops.insert(name.clone());
            }
            self.walk(inside);
        }
        value.as_array().into_iter().flatten().for_each(|item| self.walk(item));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(root: &Value) -> Vec<String> {
        Expansion::of(root).names().map(str::to_owned).collect()
    }

    #[test]
    fn macros_and_loops_are_found_wherever_they_are() {
        assert_eq!(names(&json!({"Transform": "AWS::LanguageExtensions"})), ["AWS::LanguageExtensions"]);
        let list = json!({"Transform": ["Mine", {"Name": "AWS::Include", "Parameters": {"Location": "s3://b/k"}}]});
        assert_eq!(names(&list), ["AWS::Include", "Mine"]);
        let inside = json!({"Resources": {
            "Fn::ForEach::Buckets": ["Name", ["A"], {"${Name}": {"Type": "AWS::S3::Bucket"}}],
            "It": {"Properties": [{"Fn::Transform": {"Name": "Other"}}]},
        }});
        assert_eq!(names(&inside), ["Other", "Fn::ForEach::Buckets"]);
        assert!(names(&json!({"Resources": {"It": {"Properties": {"Transform": "no"}}}})).is_empty());
    }

    #[test]
    fn the_capability_is_needed_for_macros_and_for_nested_stacks() {
        let needs = |root: Value| Expansion::of(&root).needs_capability();
        assert!(!needs(json!({"Resources": {"It": {"Type": "AWS::S3::Bucket"}}})));
        assert!(needs(json!({"Resources": {"It": {"Type": "AWS::CloudFormation::Stack"}}})));
        assert!(needs(json!({"Transform": "AWS::Serverless-2016-10-31"})));
    }
}
