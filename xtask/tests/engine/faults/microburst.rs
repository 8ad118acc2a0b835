//! microburst for the suite: a process between the tool and the emulator that makes chosen calls fail as AWS does.
//!
//! Cases share it: every rule is for one access key, which each request names in its signature.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use requirements::{MICROBURST, Programs, free_port};
use serde_json::{Value, json};

use crate::client;

const START: Duration = Duration::from_secs(60);

pub(crate) struct Microburst {
    process: Child,
    url: String,
}

impl Microburst {
    /// Starts one in front of the emulator at `upstream`.
    pub(crate) fn start(programs: &Programs, folder: &Path, upstream: &str) -> Result<Self> {
        let port = free_port();
        let log = File::create(folder.join("microburst.log"))?;
        let mut command = programs.command(MICROBURST);
        command.args(["--upstream", upstream, "--host", "127.0.0.1", "--port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().context("cannot start microburst")?;
        let microburst = Self { process, url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + START;
        while microburst.control("GET", "health", &Value::Null).is_err() {
            ensure!(Instant::now() < deadline, "microburst does not answer");
            sleep(Duration::from_millis(100));
        }
        Ok(microburst)
    }

    /// What stands for AWS's endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Adds a rule for requests signed with `key`; gives its number.
    pub(crate) fn add(&self, key: &str, mut rule: Value) -> Result<u64> {
        rule["headers"] = signed_with(key);
        let added = self.control("PATCH", "rules", &json!([rule]))?;
        added.pointer("/0/id").and_then(Value::as_u64).with_context(|| format!("the rule was not taken: {added}"))
    }

    /// How often a rule has fired.
    pub(crate) fn fired(&self, rule: u64) -> Result<u64> {
        let rules = self.control("GET", "rules", &Value::Null)?;
        let found = rules.as_array().into_iter().flatten().find(|found| found["id"] == rule);
        found.and_then(|rule| rule["fired_count"].as_u64()).with_context(|| format!("no rule {rule} among {rules}"))
    }

    /// The calls on which a rule has fired, as `service:Operation`.
    pub(crate) fn calls(&self, rule: u64) -> Result<BTreeSet<String>> {
        let fired = self.control("GET", &format!("fired?limit=2000&rule_id={rule}"), &Value::Null)?;
        let name = |event: &Value| Some(format!("{}:{}", event["service"].as_str()?, event["operation"].as_str()?));
        Ok(fired.as_array().into_iter().flatten().filter_map(name).collect())
    }

    /// Takes away every rule for `key`.
    pub(crate) fn clear(&self, key: &str) -> Result<()> {
        let removed = self.control("DELETE", "rules", &json!([{ "headers": signed_with(key) }]))?;
        ensure!(removed.get("removed").is_some(), "the rules stay: {removed}");
        Ok(())
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = client::send(method, &format!("{}/_microburst/{path}", self.url), body)?;
        if answer.status != 200 {
            bail!("{method} {path}: {answer:?}");
        }
        serde_json::from_str(&answer.body).with_context(|| format!("{path} answers no JSON"))
    }
}

/// Part of the header of a signature (Signature Version 4).
fn signed_with(key: &str) -> Value {
    json!({ "authorization": format!("Credential={key}/") })
}

impl Drop for Microburst {
    fn drop(&mut self) {
        self.process.kill().expect("it was started");
        self.process.wait().expect("it was started");
    }
}
