//! A template with its parameters put in: only the resources and outputs that exist, nothing left to decide.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::resolve::{Stack, function};

/// What CloudFormation would create of `template`. Among the parameters, `AWS::Region` names the region.
///
/// # Errors
/// Parameters that the template does not take, functions that are not understood, and references to what does not
/// exist.
pub(crate) fn render(template: &Value, parameters: &BTreeMap<String, String>) -> Result<Value> {
    let mut parameters = parameters.clone();
    let region = parameters.remove("AWS::Region").context("the combination has no AWS::Region")?;
    accepted(&template["Parameters"], &parameters)?;
    let stack = Stack { template: template.clone(), parameters, names: pseudo(&region), variables: BTreeMap::new() };
    permitted(&stack)?;
    let mut whole = json!({"AWSTemplateFormatVersion": "2010-09-09"});
    for section in ["Resources", "Outputs"] {
        let mut existing = Map::new();
        for (name, entry) in template[section].as_object().with_context(|| format!("no {section}"))? {
            if let Some(condition) = entry["Condition"].as_str()
                && !stack.holds(condition)?
            {
                continue;
            }
            let mut entry = entry.clone();
            entry.as_object_mut().and_then(|entry| entry.remove("Condition"));
            let entry = stack.resolve(&entry).with_context(|| format!("in {section}: {name}"))?;
            existing.insert(name.clone(), entry.context("AWS::NoValue")?);
        }
        whole[section] = Value::Object(existing);
    }
    let dangling = dangling(&whole);
    ensure!(dangling.is_empty(), "these refer to what does not exist: {}", dangling.join(", "));
    Ok(whole)
}

fn pseudo(region: &str) -> BTreeMap<String, String> {
    let (partition, suffix) = match region.split_once('-') {
        Some(("cn", _)) => ("aws-cn", "amazonaws.com.cn"),
        Some(("us", rest)) if rest.starts_with("gov-") => ("aws-us-gov", "amazonaws.com"),
        _ => ("aws", "amazonaws.com"),
    };
    let (account, name, unique) = ("111122223333", "example", "51af3dc0-da77-11e4-872e-1234567db123");
    let id = format!("arn:{partition}:cloudformation:{region}:{account}:stack/{name}/{unique}");
    let names = [("AccountId", account), ("Partition", partition), ("Region", region), ("StackId", &id)];
    let names = names.into_iter().chain([("StackName", name), ("URLSuffix", suffix)]);
    names.map(|(name, value)| (format!("AWS::{name}"), value.to_owned())).collect()
}

/// The template's own `Rules`: what must go together.
fn permitted(stack: &Stack) -> Result<()> {
    for (name, rule) in stack.template["Rules"].as_object().into_iter().flatten() {
        let context = || format!("in the rule {name}");
        if let Some(condition) = rule.get("RuleCondition")
            && !stack.is_true(condition).with_context(context)?
        {
            continue;
        }
        for assertion in rule["Assertions"].as_array().with_context(context)? {
            if !stack.is_true(&assertion["Assert"]).with_context(context)? {
                bail!("the rule {name} is broken: {}", assertion["AssertDescription"]);
            }
        }
    }
    Ok(())
}

/// As CloudFormation does before it does anything: the limits of each parameter, and that there is a value for it.
fn accepted(declared: &Value, given: &BTreeMap<String, String>) -> Result<()> {
    let declared = declared.as_object().context("no Parameters")?;
    for name in given.keys() {
        ensure!(declared.contains_key(name), "there is no parameter {name}");
    }
    for (name, limits) in declared {
        let default =
            limits.get("Default").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let value = given.get(name).cloned().or(default).with_context(|| format!("{name} is not given"))?;
        let mut schema = Map::new();
        for (limit, keyword) in [("AllowedPattern", "pattern"), ("MinLength", "minLength"), ("MaxLength", "maxLength")]
        {
            schema.extend(limits.get(limit).map(|value| (keyword.to_owned(), value.clone())));
        }
        for (limit, keyword) in [("MinValue", "minimum"), ("MaxValue", "maximum")] {
            schema.extend(limits.get(limit).map(|value| (keyword.to_owned(), value.clone())));
        }
        let is_number = limits["Type"] == "Number";
        if let Some(allowed) = limits["AllowedValues"].as_array() {
            let texts = allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            ensure!(texts.into_iter().any(|text| text == value), "{name} must not be '{value}'");
        }
        let schema = jsonschema::draft202012::new(&Value::Object(schema)).with_context(|| format!("{name}: limits"))?;
        // Each value of a list is checked by itself; an empty list has none.
        let is_list = limits["Type"] == "CommaDelimitedList";
        let parts = if is_list { value.split(',').map(str::trim).collect() } else { vec![value.as_str()] };
        for part in parts.into_iter().filter(|part| !is_list || !part.is_empty()) {
            let instance = if is_number { part.parse::<f64>().map(Value::from)? } else { Value::from(part) };
            ensure!(schema.is_valid(&instance), "{name} must not be '{part}'");
        }
    }
    Ok(())
}

/// Who refers to a resource that does not exist, and to which.
fn dangling(whole: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for section in ["Resources", "Outputs"] {
        for (name, entry) in whole[section].as_object().into_iter().flatten() {
            let mut referred = Vec::new();
            references(entry, &mut referred);
            match &entry["DependsOn"] {
                Value::Array(names) => referred.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
                one => referred.extend(one.as_str().map(str::to_owned)),
            }
            let missing = referred.into_iter().filter(|referred| whole["Resources"].get(referred).is_none());
            found.extend(missing.map(|referred| format!("{name} to {referred}")));
        }
    }
    found
}

/// The resources that functions in a rendered value name.
fn references(value: &Value, found: &mut Vec<String>) {
    match function(value) {
        Some(("Ref", Value::String(name))) => found.push(name.clone()),
        Some(("Fn::GetAtt", argument)) => found.extend(argument[0].as_str().map(str::to_owned)),
        Some(("Fn::Sub", argument)) => {
            let text = argument.as_str().or_else(|| argument[0].as_str()).unwrap_or_default();
            let names = text.split("${").skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name));
            let own = |name: &&str| !name.starts_with('!') && argument[1].get(*name).is_none();
            found.extend(names.filter(own).filter_map(|name| name.split('.').next()).map(str::to_owned));
            references(&argument[1], found);
        }
        _ => match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(object) => object.values().for_each(|value| references(value, found)),
            _ => {}
        },
    }
}
