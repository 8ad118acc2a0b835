//! cfn-lint over every rendered combination.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::Support;
use super::rendered::{self, Rendered};

pub(crate) fn trials(support: &Support) -> Vec<Trial> {
    let missing = || super::support::absent(&["cfn-lint"]);
    vec![support.trial("cfn-lint::every_combination_is_clean", missing, every_combination)]
}

/// One process a region: starting it takes longer than a template.
fn every_combination() -> Result<()> {
    let mut regions: BTreeMap<&str, Vec<&Rendered>> = BTreeMap::new();
    for one in rendered::all()? {
        regions.entry(&one.region).or_default().push(one);
    }
    let mut findings = Vec::new();
    for (region, templates) in regions {
        let mut command = Command::new("cfn-lint");
        // Not where the repository's own settings are found: they name the templates, and hints that only a template
        // with parameters can follow.
        command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(["--non-zero-exit-code", "warning", "--regions", region]);
        // A zone by name is what `Fn::GetAZs` has become.
        // An output that hands another stack's on is meant, and said so in the template's metadata.
        command.args(["--ignore-checks", "W3010", "W6001"]);
        let output = command.arg("--template").args(templates.iter().map(|one| &one.path)).output()?;
        if !output.status.success() {
            findings.push(format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?));
        }
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}
