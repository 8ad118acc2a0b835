//! The SBOM as other tools read it: from the registry, by the published schema of CycloneDX.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{CYCLONEDX, Programs, Suite};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::client::ask_for;
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{self, ENVIRONMENT, text};

/// Strictly: keys that the schema does not know are errors.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(problem)[:2000] if problem else 0)
";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = rehearsal::needed(Names::Machine, &[CYCLONEDX]);
    vec![suite.test("sbom::the_sbom_in_the_registry_is_valid_cyclonedx", &needed, |programs| {
        rehearsal::prepared(programs, Names::Machine, valid)
    })]
}

fn valid(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    // A plan changes no need.
    for need in ["rehearsal-bootstrap", "rehearsal-network"] {
        checkout.xtask(&["deploy", need, "--yes"])?.well()?;
    }
    let planned = checkout.xtask(&["plan", ENVIRONMENT, "--out", "plan.json"])?.well()?;
    let digest = text(&planned, "/digest")?;
    let get = |path: &str| -> Result<Vec<u8>> {
        let reply = ask_for("GET", &format!("http://{}/v2/rest-api/{path}", emulator.authority()), &[], b"")?;
        ensure!(reply.status == 200, "{path}: {}", reply.status);
        Ok(reply.body)
    };
    let manifest = get(&format!("manifests/{}.sbom", digest.replace(':', "-")))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    ensure!(manifest["subject"]["digest"] == digest, "it is about the image: {manifest}");
    let bill = get(&format!("blobs/{}", text(&manifest, "/layers/0/digest")?))?;
    validate(checkout.programs(), &bill)?;
    // The validator can say no.
    let mut other: Value = serde_json::from_slice(&bill)?;
    other["components"][0]["colour"] = "red".into();
    ensure!(validate(checkout.programs(), other.to_string().as_bytes()).is_err(), "an unknown key is valid");
    Ok(())
}

fn validate(programs: &Programs, bill: &[u8]) -> Result<()> {
    let mut python = programs.command(CYCLONEDX);
    let mut python = python.args(["-c", VALIDATE]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    python.stdin.take().context("stdin is piped")?.write_all(bill)?;
    let ended = python.wait_with_output()?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
