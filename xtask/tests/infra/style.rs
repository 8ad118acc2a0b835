//! How a template is written: what a linter of YAML cannot see.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{combinations, template, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("style::every_parameter_is_described_and_in_one_group", parameters),
        test("style::a_list_has_an_item_a_line", lists),
    ]
}

fn parameters() -> Result<()> {
    let mut wrong = Vec::new();
    for matrix in combinations::all()? {
        let file = &matrix.file;
        let body = template::load(&template::directory().join(file))?;
        let declared = body["Parameters"].as_object().with_context(|| format!("{file}: no parameters"))?;
        for (name, parameter) in declared {
            if parameter["Description"].as_str().is_none_or(|text| text.len() < 20) {
                wrong.push(format!("{file}: {name} is not described"));
            }
            let is_limited = parameter["AllowedPattern"].is_string() && parameter["ConstraintDescription"].is_null();
            if is_limited {
                wrong.push(format!("{file}: {name} does not say in words what its AllowedPattern takes"));
            }
        }
        let interface = &body["Metadata"]["AWS::CloudFormation::Interface"];
        let groups = interface["ParameterGroups"].as_array().into_iter().flatten();
        let grouped: Vec<&str> = groups
            .flat_map(|group| group["Parameters"].as_array().into_iter().flatten())
            .filter_map(|name| name.as_str())
            .collect();
        let distinct: BTreeSet<&str> = grouped.iter().copied().collect();
        let names: BTreeSet<&str> = declared.keys().map(String::as_str).collect();
        if distinct != names || distinct.len() != grouped.len() {
            let differs: Vec<_> = distinct.symmetric_difference(&names).collect();
            wrong.push(format!("{file}: not in exactly one group of AWS::CloudFormation::Interface: {differs:?}"));
        }
        for name in interface["ParameterLabels"].as_object().into_iter().flat_map(|labels| labels.keys()) {
            if !names.contains(name.as_str()) {
                wrong.push(format!("{file}: a label for {name}, which is no parameter"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Brackets are the arguments of a short function; a difference then shows one action, one subnet, one value a line.
fn lists() -> Result<()> {
    let mut wrong = Vec::new();
    for matrix in combinations::all()? {
        let text = fs::read_to_string(template::directory().join(&matrix.file))?;
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            let is_list = code.starts_with("- [") || code.contains(": [");
            if is_list && !code.starts_with('#') && !code.starts_with("Fn::Contains: [") && !code.starts_with('"') {
                wrong.push(format!("{}:{}: {code}", matrix.file, number + 1));
            }
        }
    }
    ensure!(wrong.is_empty(), "lists in brackets that are no function's arguments:\n{}", wrong.join("\n"));
    Ok(())
}
