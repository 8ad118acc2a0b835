//! Which drift counts, and which values may be shown.
//!
//! Pure. Some values change by design, such as weights during a deployment; that is no drift. Values may be secrets.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::stack::{DriftedResource, ValueDifference};
use crate::template::evaluate::{self, Resources};
use crate::template::{HIDDEN, Template};

/// Why changed weights are no drift
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html>).
const MOVED: &str = "ECS moves the weights while it deploys";
/// Why a changed count is no drift.
const SCALED: &str = "auto scaling sets it";
/// Why another version of a database's engine is no drift.
const UPGRADED: &str = "RDS chooses the minor version";
/// Most characters of a value that is shown.
const LONGEST: usize = 100;
/// Parts of names whose values are not shown, in lower case and without separators.
const SECRET: [&str; 13] = [
    "accesskey",
    "apikey",
    "authorization",
    "connectionstring",
    "credential",
    "environment",
    "httpheader",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
    "userdata",
];

/// A resource that differs from its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Drift {
    /// The resource's name in the template.
    pub resource: String,
    /// CloudFormation's name for the kind of resource.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The properties that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub properties: Vec<DriftedProperty>,
}

/// A property that differs from the template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DriftedProperty {
    /// Its path in the resource's properties.
    pub path: String,
    /// The value in the template. Absent where it may be a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value at AWS. Absent where it may be a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// Why the difference is expected, and does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

impl Drift {
    /// Whether something has to be done about it.
    pub fn counts(&self) -> bool {
        self.deleted || self.properties.is_empty() || self.properties.iter().any(|property| property.known.is_none())
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, resource_type, deleted, properties } = self;
        let state = if *deleted { "deleted" } else { "modified" };
        write!(formatter, "{resource} ({resource_type}) {state}")?;
        for DriftedProperty { path, expected, actual, known } in properties {
            write!(formatter, "\n  {path}: ")?;
            match (expected, actual) {
                (Some(expected), Some(actual)) => write!(formatter, "{expected} -> {actual}")?,
                _ => write!(formatter, "differs (values are not shown)")?,
            }
            if let Some(why) = known {
                write!(formatter, " (expected: {why})")?;
            }
        }
        Ok(())
    }
}

/// The stack's own template, which decides what drift is expected.
#[derive(Debug, Default)]
pub struct DeployedTemplate {
    resources: Resources,
    rules: Vec<String>,
}

impl DeployedTemplate {
    /// Reads the stack's template. Of one that cannot be read, no drift is expected.
    pub fn read(body: &str, parameters: &BTreeMap<String, String>, region: &str) -> Self {
        let evaluated = evaluate::evaluate(body, parameters, region);
        let template = Template::read("", body.to_owned()).ok();
        Self {
            resources: evaluated.map(|evaluated| evaluated.resources).unwrap_or_default(),
            rules: template.and_then(|template| template.gate).map(|gate| gate.rules).unwrap_or_default(),
        }
    }

    /// The drift that was found, with expected differences marked and secrets left out.
    pub fn classify(&self, found: Vec<DriftedResource>) -> Vec<Drift> {
        let drift = |found: DriftedResource| {
            let properties = found.differences.iter().map(|difference| self.property(&found, difference)).collect();
            let DriftedResource { logical_id: resource, resource_type, is_deleted: deleted, .. } = found;
            Drift { resource, resource_type, deleted, properties }
        };
        found.into_iter().map(drift).collect()
    }

    fn property(&self, found: &DriftedResource, difference: &ValueDifference) -> DriftedProperty {
        let ValueDifference { path, expected, actual } = difference;
        let shown = !self.is_secret(&found.logical_id, difference);
        let value = |text: &str| shown.then(|| cut(text));
        let known = self.known(found, difference).map(str::to_owned);
        DriftedProperty { path: path.clone(), expected: value(expected), actual: value(actual), known }
    }

    fn known(&self, found: &DriftedResource, difference: &ValueDifference) -> Option<&'static str> {
        let ValueDifference { path, expected, actual } = difference;
        let scales = || self.resources.values().any(|one| one.kind == "AWS::ApplicationAutoScaling::ScalableTarget");
        match found.resource_type.as_str() {
            "AWS::ElasticLoadBalancingV2::ListenerRule"
                if self.rules.contains(&found.logical_id) && path.contains("/ForwardConfig/TargetGroups") =>
            {
                Some(MOVED)
            }
            "AWS::ECS::Service" if path == "/DesiredCount" && scales() => Some(SCALED),
            "AWS::RDS::DBCluster" | "AWS::RDS::DBInstance"
                if path == "/EngineVersion" && major_version(expected) == major_version(actual) =>
            {
                Some(UPGRADED)
            }
            _ => None,
        }
    }

    /// Whether a value may be a secret: by its name, by its content, or because the template takes it from a secret.
    fn is_secret(&self, logical_id: &str, difference: &ValueDifference) -> bool {
        let texts = [&difference.path, &difference.expected, &difference.actual];
        let named = texts.iter().any(|text| {
            let text: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
            SECRET.iter().any(|word| text.to_ascii_lowercase().contains(word))
        });
        // The header that the load balancer demands is among the integrations' parameters.
        let parameters = difference.path.contains("RequestParameters");
        named
            || parameters
            || texts.iter().any(|text| text.contains(HIDDEN))
            || self.comes_from_a_secret(logical_id, difference)
    }

    fn comes_from_a_secret(&self, logical_id: &str, difference: &ValueDifference) -> bool {
        let Some(resource) = self.resources.get(logical_id) else { return false };
        // The nearest value in the template: an added item has none.
        let mut path = difference.path.as_str();
        let value = loop {
            match resource.properties.pointer(path) {
                Some(value) => break value,
                None => path = path.rsplit_once('/').map_or("", |(above, _)| above),
            }
        };
        let whole = path.is_empty() && !difference.path.is_empty();
        !whole && holds_secret(value)
    }
}

/// What is before the first dot, of a value that may be in quotes.
fn major_version(version: &str) -> Option<&str> {
    version.trim_matches('"').split('.').next()
}

fn holds_secret(value: &Value) -> bool {
    let text = value.to_string();
    text.contains(HIDDEN) || text.contains("{{resolve:secretsmanager") || text.contains("{{resolve:ssm-secure")
}

/// A value on one line, and not too long.
fn cut(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests;
