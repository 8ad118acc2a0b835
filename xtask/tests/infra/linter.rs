//! cfn-lint over every rendered combination.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use requirements::{CFN_LINT, Programs, Suite};

use super::rendered::{self, Rendered};

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    vec![suite.test("cfn-lint::every_combination_is_clean", &[CFN_LINT], every_combination)]
}

/// One process a region: starting it takes longer than a template.
fn every_combination(programs: &Programs) -> Result<()> {
    let mut regions: BTreeMap<&str, Vec<&Rendered>> = BTreeMap::new();
    for one in rendered::all()? {
        regions.entry(&one.region).or_default().push(one);
    }
    let mut findings = Vec::new();
    for (region, templates) in regions {
        let mut command = programs.command(CFN_LINT);
        // Not where the repository's own settings are found: they name the templates, and hints that only a template
        // with parameters can follow.
        command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(["--non-zero-exit-code", "warning", "--regions", region]);
        // A zone by name is what `Fn::GetAZs` has become.
        // An output that hands another stack's on is meant, and said so in the template's metadata.
        // A major version of PostgreSQL takes RDS's preferred minor one; the linter knows these only.
        command.args(["--ignore-checks", "W3010", "W3690", "W3691", "W6001"]);
        let output = command.arg("--template").args(templates.iter().map(|one| &one.path)).output()?;
        if !output.status.success() {
            findings.push(format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?));
        }
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}
