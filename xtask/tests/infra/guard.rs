//! Our own policy (`infra/guard`) over every rendered combination, and each of its rules against what breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{CFN_GUARD, Programs, Suite};
use serde_json::Value;

use super::{rendered, template, test};

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    vec![
        test("guard::every_rule_has_examples_that_pass_and_fail", examples),
        suite.test("guard::every_rule_passes_and_fails_on_its_examples", &[CFN_GUARD], examples_pass_and_fail),
        suite.test("guard::every_rule_applies_to_a_combination_and_none_breaks_it", &[CFN_GUARD], every_combination),
    ]
}

fn folder() -> PathBuf {
    template::directory().join("guard")
}

/// The rules' files, without their ending.
fn files() -> Result<Vec<String>> {
    let names = fs::read_dir(folder())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<_>>>()?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".guard").map(str::to_owned)).collect())
}

fn rules(file: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(folder().join(format!("{file}.guard")))?;
    let names = text.lines().filter_map(|line| line.strip_prefix("rule ")?.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

fn examples() -> Result<()> {
    for file in files()? {
        let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let cases = template::load(&folder().join(format!("tests/{file}_tests.yaml")))?;
        for case in cases.as_array().context("a list of examples")? {
            for (rule, expected) in case["expectations"]["rules"].as_object().context("no expectations")? {
                let expected = expected.as_str().context("PASS, FAIL or SKIP")?;
                seen.entry(rule.clone()).or_default().insert(expected.to_owned());
            }
        }
        for rule in rules(&file)? {
            let seen = seen.remove(&rule).unwrap_or_default();
            for needed in ["PASS", "FAIL"] {
                ensure!(seen.contains(needed), "{file}: no example for which {rule} is {needed}");
            }
        }
        ensure!(seen.is_empty(), "{file}: examples of rules that are not there: {:?}", seen.keys());
    }
    Ok(())
}

fn examples_pass_and_fail(programs: &Programs) -> Result<()> {
    for file in files()? {
        let (rules, cases) = (format!("{file}.guard"), format!("tests/{file}_tests.yaml"));
        let output = programs
            .command(CFN_GUARD)
            .current_dir(folder())
            .args(["test", "--rules-file", &rules, "--test-data", &cases])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failure = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && !text.contains("FAIL Rules:"), "{rules}:\n{text}{failure}");
    }
    Ok(())
}

fn every_combination(programs: &Programs) -> Result<()> {
    let all = rendered::all()?;
    let templates: BTreeSet<&str> = all.iter().map(|one| one.file.as_str()).collect();
    let (mut wrong, mut applied) = (Vec::new(), BTreeSet::new());
    for file in templates {
        let output = programs
            .command(CFN_GUARD)
            .args(["validate", "--structured", "--output-format", "json", "--show-summary", "none"])
            .arg("--rules")
            .arg(folder())
            .arg("--data")
            .arg(rendered::folder(file))
            .output()?;
        let reports: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("cfn-guard: {}", String::from_utf8_lossy(&output.stderr)))?;
        let reports = reports.as_array().context("a list of reports")?;
        ensure!(!reports.is_empty(), "cfn-guard has looked at nothing of {file}");
        for report in reports {
            let path = PathBuf::from(report["name"].as_str().unwrap_or_default());
            let combination = path.file_stem().unwrap_or_default().display();
            let applicable = report["compliant"].as_array().into_iter().flatten().filter_map(Value::as_str);
            applied.extend(applicable.map(str::to_owned));
            for rule in report["not_compliant"].as_array().into_iter().flatten() {
                wrong.push(format!("{file} {combination}: {}", brief(rule)));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    for file in files()? {
        for rule in rules(&file)? {
            ensure!(applied.contains(&rule), "{file}: {rule} applies to no combination, so it guards nothing");
        }
    }
    Ok(())
}

/// The rule's name and where it is broken.
fn brief(report: &Value) -> String {
    let rule = &report["Rule"];
    let text = rule["checks"].to_string();
    let place = |rest: &str| rest.split(['[', '"', '\\']).next().map(|path| format!("/Resources/{path}"));
    let places: BTreeSet<String> = text.split("/Resources/").skip(1).filter_map(place).collect();
    let places: Vec<String> = places.into_iter().collect();
    format!("{} at {}", rule["name"].as_str().unwrap_or_default(), places.join(", "))
}
