//! How near the templates are to AWS's limits: none within ten percent, so that a user can add to them.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{combinations, rendered, template, test};

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const TEMPLATE: usize = 1_000_000;
const DESCRIPTION: usize = 1_024;
const PARAMETERS: usize = 200;
const PARAMETER_DESCRIPTION: usize = 4_000;
const PARAMETER_VALUE: usize = 4_096;
const RESOURCES: usize = 500;
const OUTPUTS: usize = 200;
const MAPPINGS: usize = 200;
const MAPPING_KEYS: usize = 200;
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: white space does not count.
const MANAGED_POLICY: usize = 6_144;
const INLINE_POLICIES: usize = 10_240;
const TRUST: usize = 2_048;
/// <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>
const KEY_POLICY: usize = 32_768;
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const TASK_DEFINITION: usize = 65_536;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("limits::nothing_is_within_ten_percent_of_a_limit", distance)]
}

/// The largest use of each limit, and whose it is.
#[derive(Default)]
struct Largest(BTreeMap<(&'static str, usize), (usize, String)>);

impl Largest {
    fn note(&mut self, what: &'static str, limit: usize, used: usize, whose: impl FnOnce() -> String) {
        let largest = self.0.entry((what, limit)).or_default();
        if used > largest.0 {
            *largest = (used, whose());
        }
    }
}

fn distance() -> Result<()> {
    let mut largest = Largest::default();
    for matrix in combinations::all()? {
        let path = template::directory().join(&matrix.file);
        of_template(&matrix.file, &template::load(&path)?, &mut largest);
        largest.note("bytes of a template", TEMPLATE, fs::read(&path)?.len(), || matrix.file.clone());
    }
    for one in rendered::all()? {
        let whose = |id: &str| format!("{} with {}: {id}", one.file, one.combination);
        for (name, value) in &one.parameters {
            largest.note("bytes of a parameter's value", PARAMETER_VALUE, value.len(), || whose(name));
        }
        for (id, resource) in one.template["Resources"].as_object().context("no resources")? {
            of_resource(resource, &mut largest, || whose(id));
        }
    }
    let mut near = Vec::new();
    for ((what, limit), (used, whose)) in &largest.0 {
        let line = format!("{what}: {used} of {limit} ({} %), {whose}", used * 100 / limit);
        #[expect(clippy::print_stdout, reason = "--nocapture shows how near each limit is")]
        {
            println!("{line}");
        }
        if used * 10 > limit * 9 {
            near.push(line);
        }
    }
    ensure!(largest.0.len() == 14, "not every limit was looked at: {:?}", largest.0.keys());
    ensure!(near.is_empty(), "within ten percent of a limit:\n{}", near.join("\n"));
    Ok(())
}

fn of_template(file: &str, template: &Value, largest: &mut Largest) {
    let whose = |name: &str| format!("{file} {name}");
    let sections = [
        ("parameters", "Parameters", PARAMETERS),
        ("resources", "Resources", RESOURCES),
        ("outputs", "Outputs", OUTPUTS),
        ("mappings", "Mappings", MAPPINGS),
    ];
    for (what, section, limit) in sections {
        largest.note(what, limit, template[section].as_object().map_or(0, serde_json::Map::len), || whose(""));
    }
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    largest.note("bytes of a description", DESCRIPTION, length(&template["Description"]), || whose(""));
    for (name, output) in template["Outputs"].as_object().into_iter().flatten() {
        largest.note("bytes of a description", DESCRIPTION, length(&output["Description"]), || whose(name));
    }
    for (name, parameter) in template["Parameters"].as_object().into_iter().flatten() {
        let description = length(&parameter["Description"]);
        largest.note("characters of a parameter's description", PARAMETER_DESCRIPTION, description, || whose(name));
    }
    for (name, mapping) in template["Mappings"].as_object().into_iter().flatten() {
        largest.note("keys of a mapping", MAPPING_KEYS, mapping.as_object().map_or(0, serde_json::Map::len), || {
            whose(name)
        });
    }
}

fn of_resource(resource: &Value, largest: &mut Largest, whose: impl Fn() -> String) {
    let properties = &resource["Properties"];
    let length = |value: &Value| value.to_string().len();
    match resource["Type"].as_str() {
        Some("AWS::IAM::ManagedPolicy") => {
            largest.note("a managed policy", MANAGED_POLICY, length(&properties["PolicyDocument"]), whose);
        }
        Some("AWS::IAM::Role") => {
            let policies = properties["Policies"].as_array().into_iter().flatten();
            let inline = policies.map(|policy| length(&policy["PolicyDocument"])).sum();
            largest.note("the policies inside a role", INLINE_POLICIES, inline, &whose);
            largest.note("a role's trust", TRUST, length(&properties["AssumeRolePolicyDocument"]), whose);
        }
        Some("AWS::KMS::Key") => largest.note("a key's policy", KEY_POLICY, length(&properties["KeyPolicy"]), whose),
        Some("AWS::ECS::TaskDefinition") => {
            largest.note("a task definition", TASK_DEFINITION, length(properties), whose);
        }
        _ => {}
    }
}
