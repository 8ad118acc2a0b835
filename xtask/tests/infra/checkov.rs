//! checkov over every rendered combination, its findings compared with `infra/tests/checkov.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{CHECKOV, Programs, Suite};
use serde_json::Value;

use super::combinations::{Demands, alternatives};
use super::rendered::{self, Rendered};
use super::template;

/// Why a finding stays.
struct Explanation {
    file: String,
    check: String,
    resource: String,
    /// The parameters with which the finding must be gone.
    gone: Option<Vec<Demands>>,
}

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    vec![suite.test("checkov::every_finding_is_explained_and_every_explanation_is_needed", &[CHECKOV], findings)]
}

fn findings(programs: &Programs) -> Result<()> {
    let explanations = explanations()?;
    let (mut wrong, mut needed) = (BTreeSet::new(), BTreeSet::new());
    let all = rendered::all()?;
    let output = programs
        .command(CHECKOV)
        .args(["--framework", "cloudformation", "--output", "json", "--quiet", "--compact", "--skip-download"])
        .arg("--directory")
        .arg(rendered::root())
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("checkov: {}", String::from_utf8_lossy(&output.stderr)))?;
    let looked = report["summary"]["resource_count"].as_u64().unwrap_or_default();
    ensure!(looked > 100 && report["summary"]["parsing_errors"] == 0, "checkov: {}", report["summary"]);
    for finding in report["results"]["failed_checks"].as_array().context("no failed_checks")? {
        let check = finding["check_id"].as_str().unwrap_or_default();
        let resource = finding["resource"].as_str().and_then(|name| name.split('.').nth(1)).unwrap_or_default();
        let path = finding["file_path"].as_str().unwrap_or_default().trim_start_matches('/');
        let one = all.iter().find(|one| one.path == rendered::root().join(path));
        let Rendered { file, combination, parameters, .. } =
            one.with_context(|| format!("checkov found something in {path}"))?;
        let explains = |one: &Explanation| {
            (&one.file, one.check.as_str()) == (file, check) && rendered::named(&one.resource, resource)
        };
        let Some(explanation) = explanations.iter().position(explains) else {
            wrong.insert(format!("{file}: {check} at {resource} is not explained: {}", finding["check_name"]));
            continue;
        };
        needed.insert(explanation);
        if let Some(gone) = &explanations[explanation].gone
            && rendered::met(gone, parameters)?
        {
            wrong.insert(format!("{file}: {check} at {resource} should be gone with {combination}"));
        }
    }
    for (number, Explanation { file, check, resource, .. }) in explanations.iter().enumerate() {
        if !needed.contains(&number) {
            wrong.insert(format!("{file}: {check} at {resource} is explained, but never found"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}

fn explanations() -> Result<Vec<Explanation>> {
    let table = template::load(&template::directory().join("tests/checkov.yaml"))?;
    let mut all = Vec::new();
    let mut seen = BTreeMap::new();
    for (file, entries) in table.as_object().context("no templates")? {
        for entry in entries.as_array().with_context(|| format!("{file}: no list"))? {
            let check = entry["check"].as_str().with_context(|| format!("{file}: {entry} names no check"))?;
            let reason = entry["reason"].as_str().unwrap_or_default();
            ensure!(reason.len() > 20, "{file}: {check} has no reason");
            let gone = entry.get("gone").map(alternatives).transpose()?;
            for resource in entry["resources"].as_array().with_context(|| format!("{file}: {check}: no resources"))? {
                let resource = resource.as_str().context("a resource is named by its logical id")?.to_owned();
                let before = seen.insert((file.clone(), check.to_owned(), resource.clone()), ());
                ensure!(before.is_none(), "{file}: {check} at {resource} is explained twice");
                all.push(Explanation { file: file.clone(), check: check.to_owned(), resource, gone: gone.clone() });
            }
        }
    }
    Ok(all)
}
