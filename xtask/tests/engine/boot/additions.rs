//! Variables, secrets and the command before a release, as `deploy.toml` gives them to the container.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use config::deployment::SecretReference;
use model::container::{Additions, Secret};
use model::template::Template;
use requirements::Programs;
use serde_json::Value;
use tempfile::TempDir;

use super::images::{self, PASSWORD};
use super::instance::{Instance, STORED, stack, user_data};
use super::{failed, template};
use crate::registry::Registry;

/// What a shell, a file of variables or a template could take for something else, on two lines.
const PLAIN: &str = "it's \"$HOME\" `id` ${AWS::Region}\n#second=line";

/// The template with additions, as this tool would send it.
fn with(additions: &Additions) -> Result<Value> {
    let path = template::directory().join("api-backend.yaml");
    let written = Template::read("infra/api-backend.yaml", std::fs::read_to_string(path)?)?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), written.with_container(additions)?.body)?;
    template::load(file.path())
}

fn additions(before: &[&str]) -> Additions {
    let secret = |reference: &str| Secret {
        reference: SecretReference::parse(reference).expect("a reference"),
        version: Some("7".to_owned()),
        key: None,
    };
    let stored = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3:password::";
    Additions {
        env: BTreeMap::from([("PLAIN".to_owned(), PLAIN.to_owned()), ("PATH".to_owned(), "/nowhere".to_owned())]),
        secrets: BTreeMap::from([
            ("KEY".to_owned(), secret("/secrets/boot/KEY")),
            ("PGPASSWORD".to_owned(), secret(stored)),
        ]),
        permissions: Vec::new(),
        before: before.iter().map(|word| (*word).to_owned()).collect(),
    }
}

pub(super) fn arrive(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let image = images::push(programs, &registry, folder.path(), "serves")?;
    let stack = stack(with(&additions(&["migrate", "all of it"]))?, &image, &[])?;
    let secrets = [STORED.key, STORED.password];
    let is_shown = |text: &str| secrets.iter().any(|secret| text.contains(secret.lines().next().unwrap_or_default()));
    ensure!(!is_shown(&user_data(&stack)?), "the user data has a secret");
    let instance = Instance::boot(programs, stack)?;
    let output = instance.output();
    ensure!(instance.signal()?.starts_with("SUCCESS "), "{output}");
    ensure!(output.contains("migrated all of it with a password of 20 characters"), "{output}");
    let container = instance.container()?;
    let has: Vec<&str> =
        container["Config"]["Env"].as_array().context("Env")?.iter().filter_map(Value::as_str).collect();
    let versions = "KEY=7 PGPASSWORD=7";
    for (name, value) in [
        ("PLAIN", PLAIN),
        ("PATH", "/nowhere"),
        ("KEY", STORED.key),
        ("PGPASSWORD", STORED.password),
        ("SECRET_VERSIONS", versions),
    ] {
        ensure!(has.contains(&format!("{name}={value}").as_str()), "{name} is not what was given: {has:?}");
    }
    ensure!(has.iter().any(|variable| variable.starts_with("IMAGE_DIGEST=sha256:")), "{has:?}");
    ensure!(!is_shown(&output) && !is_shown(&instance.boot_log()?.join("\n")), "a secret was printed: {output}");
    let lines = instance.command_lines()?;
    ensure!(lines.contains("--env\0KEY\0") && !is_shown(&lines), "a command line has a secret: {lines}");
    ensure!(instance.leftovers()? == 0, "a file with the secrets stays behind");
    Ok(())
}

pub(super) fn a_command_that_fails(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let image = images::push(programs, &registry, folder.path(), "serves")?;
    let instance = Instance::boot(programs, stack(with(&additions(&["fail"]))?, &image, &[])?)?;
    failed(&instance, "it ended with exit code 7")?;
    ensure!(instance.boot_log()?.contains(&"the schema cannot be changed".to_owned()), "its words are missing");
    ensure!(instance.container().is_err(), "the service was started all the same");
    Ok(())
}

/// The user data with additions, for the linter.
pub(super) fn linted(image: &str) -> Result<String> {
    user_data(&stack(with(&additions(&["migrate"]))?, image, &[])?)
}
