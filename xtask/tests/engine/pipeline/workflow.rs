//! Runs the jobs of a workflow as GitHub's runner would: conditions, environments, outputs, artifacts, and every `run:`
//! by a shell in a clean clone. An action or an expression that is not known fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use requirements::{BASH, GIT};
use serde_json::{Map, Value, json};

use super::expression;
use super::github::{BEARER, GitHub, REPOSITORY, TOKEN};
use super::trigger::{MAIN, Trigger};
use crate::checkout::Checkout;

/// What started the run, and where it runs.
pub(super) struct Run<'a> {
    pub(super) github: &'a GitHub,
    /// What jobs clone; what they compile is kept for all jobs of all runs.
    pub(super) checkout: &'a Checkout,
    /// The artifacts, besides what jobs have.
    pub(super) folder: PathBuf,
    /// Clones and the files of jobs.
    pub(super) place: PathBuf,
    pub(super) trigger: &'a Trigger<'a>,
    /// Variables of the repository, and of its environments by their names.
    pub(super) variables: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// Replaces what cannot be run as it is.
    pub(super) instead: fn(&str) -> Option<String>,
}

/// How a job ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) ran: bool,
    pub(super) failed: bool,
    /// The commands that ran, as the workflow has them.
    pub(super) commands: Vec<String>,
    pub(super) summary: String,
    /// Both streams of all steps.
    pub(super) log: String,
    /// The address that its environment shows.
    pub(super) url: String,
    /// What it may do with GitHub's token, and which environment it is in.
    pub(super) permissions: Value,
    /// What it gives to the jobs that need it.
    outputs: Value,
}

/// A workflow of this repository.
pub(super) fn load(root: &Path, name: &str) -> Result<Value> {
    crate::boot::template::load(&root.join(".github/workflows").join(name))
}

impl Run<'_> {
    /// Runs a workflow's jobs in the order that they need; the jobs by their names.
    pub(super) fn jobs(&self, name: &str) -> Result<BTreeMap<String, Ended>> {
        let workflow = load(self.checkout.root(), name)?;
        let jobs = workflow["jobs"].as_object().context("no jobs")?;
        let mut ended: BTreeMap<String, Ended> = BTreeMap::new();
        while ended.len() < jobs.len() {
            let needs = |job: &Value| match &job["needs"] {
                Value::String(one) => vec![one.clone()],
                Value::Array(all) => all.iter().map(expression::as_text).collect(),
                _ => Vec::new(),
            };
            let (id, job) = jobs
                .iter()
                .find(|(id, job)| !ended.contains_key(*id) && needs(job).iter().all(|need| ended.contains_key(need)))
                .context("jobs that need each other")?;
            let left_out = !self.trigger.only.is_empty() && !self.trigger.only.contains(&id.as_str());
            let skip = left_out || needs(job).iter().any(|need| !ended[need].ran || ended[need].failed);
            let needed = needs(job).into_iter().map(|need| {
                let outputs = json!({"outputs": ended[&need].outputs});
                (need, outputs)
            });
            let needed = Value::Object(needed.collect());
            let done =
                if skip { Ended::default() } else { self.job(id, job, needed).with_context(|| format!("job {id}"))? };
            ended.insert(id.clone(), done);
        }
        Ok(ended)
    }

    fn job(&self, id: &str, job: &Value, needed: Value) -> Result<Ended> {
        let mut contexts = self.contexts();
        contexts["needs"] = needed;
        if !expression::holds(&job["if"], &contexts, false)? {
            return Ok(Ended::default());
        }
        if let Some(called) = job["uses"].as_str() {
            return self.called(called, job, &contexts);
        }
        let environment = match &job["environment"]["name"] {
            Value::String(name) => Some(expression::text(name, &contexts)?),
            _ => None,
        };
        if let Some(name) = &environment {
            let own = self.variables.get(name).with_context(|| format!("there is no GitHub environment {name}"))?;
            let reference = self.trigger.reference;
            ensure!(admits(name, reference), "GitHub's environment {name} does not admit {reference}");
            own.iter().for_each(|(name, value)| contexts["vars"][name] = json!(value));
        }
        let pull_request = self.trigger.name == "pull_request";
        self.github.runs_for(&match &environment {
            Some(name) => format!("environment:{name}"),
            None if pull_request => "pull_request".to_owned(),
            None => format!("ref:{}", self.trigger.reference),
        })?;
        let place = self.place.join(id);
        let mut at_work = AtWork { run: self, id, job, place, contexts, ended: Ended::default() };
        at_work.ended.ran = true;
        at_work.ended.permissions = job["permissions"].clone();
        at_work.steps()?;
        let url = job["environment"]["url"].as_str().unwrap_or_default();
        at_work.ended.url = expression::text(url, &at_work.contexts)?;
        at_work.ended.outputs = texts(&job["outputs"], |value| value, &at_work.contexts)?;
        Ok(at_work.ended)
    }

    /// Runs the jobs of a workflow that a job calls, as one.
    fn called(&self, path: &str, job: &Value, contexts: &Value) -> Result<Ended> {
        let name = path.strip_prefix("$/.github/workflows/").context("another repository's workflow")?;
        let workflow = load(self.checkout.root(), name)?;
        let interface = &workflow["on"]["workflow_call"];
        let mut inputs = Map::new();
        for (name, input) in interface["inputs"].as_object().context("no inputs")? {
            let value = match &job["with"][name] {
                Value::Null => input["default"].clone(),
                Value::String(text) => json!(expression::text(text, contexts)?),
                other => other.clone(),
            };
            inputs.insert(name.clone(), value);
        }
        let given = job["with"].as_object().into_iter().flatten();
        ensure!(given.map(|(name, _)| name).all(|name| inputs.contains_key(name)), "{path} has no such input: {job}");
        let trigger = Trigger { inputs: inputs.into(), only: &[], event: self.trigger.event.clone(), ..*self.trigger };
        // In one place for all runs, as on a runner: the flags of the compiler name it.
        let place = self.folder.with_file_name("called");
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        let jobs = Run { trigger: &trigger, folder: self.folder.clone(), place, ..*self }.jobs(name)?;
        let outputs = jobs.iter().map(|(id, job)| (id.clone(), json!({"outputs": job.outputs})));
        let outputs = json!({"jobs": Value::Object(outputs.collect())});
        let mut ended = Ended { ran: true, permissions: job["permissions"].clone(), ..Ended::default() };
        ended.outputs = texts(&interface["outputs"], |output| &output["value"], &outputs)?;
        for job in jobs.into_values() {
            ensure!(job.permissions == ended.permissions, "{path} has other rights than it is called with");
            ended.failed |= job.failed;
            ended.commands.extend(job.commands);
            ended.log.push_str(&job.log);
            ended.summary.push_str(&job.summary);
        }
        Ok(ended)
    }

    fn contexts(&self) -> Value {
        let Trigger { name, event, reference, inputs, .. } = self.trigger;
        let kind = if reference.starts_with("refs/tags/") { "tag" } else { "branch" };
        json!({
            "github": {
                "actor": "octocat", "event": event, "event_name": name, "ref": reference,
                "ref_type": kind, "repository": REPOSITORY, "token": TOKEN,
            },
            "inputs": inputs,
            "runner": {"os": "Linux", "arch": "X64"},
            "steps": {},
            "vars": self.variables.get("").cloned().unwrap_or_default(),
            "env": {},
        })
    }
}

/// A job while it runs.
struct AtWork<'a> {
    run: &'a Run<'a>,
    id: &'a str,
    job: &'a Value,
    place: PathBuf,
    contexts: Value,
    ended: Ended,
}

impl AtWork<'_> {
    fn steps(&mut self) -> Result<()> {
        fs::create_dir_all(self.place.join("files"))?;
        for (number, step) in self.job["steps"].as_array().context("no steps")?.iter().enumerate() {
            if !expression::holds(&step["if"], &self.contexts, self.ended.failed)? {
                continue;
            }
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) => self.action(action, step)?,
                (None, Some(command)) => self.command(number, command, step)?,
                _ => bail!("a step neither uses nor runs something: {step}"),
            }
        }
        Ok(())
    }

    fn clone(&self) -> PathBuf {
        self.place.join("clone")
    }

    /// The commit that is checked out.
    fn commit(&self) -> Result<String> {
        let output =
            self.run.checkout.programs().command(GIT).args(["rev-parse", "HEAD"]).current_dir(self.clone()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn action(&self, action: &str, step: &Value) -> Result<()> {
        let with = |name: &str| step["with"][name].as_str().unwrap_or_default();
        match action.split('@').next().unwrap_or_default() {
            "actions/checkout" => {
                ensure!(step["with"]["persist-credentials"] == false, "the token would stay in the clone");
                let source = self.run.checkout.root().to_str().context("a path")?;
                let clone = self.clone();
                let output = self
                    .run
                    .checkout
                    .programs()
                    .command(GIT)
                    .args(["clone", "--quiet", source])
                    .arg(&clone)
                    .output()?;
                ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                // A tool that is younger than every file of the clone is not compiled again.
                for name in ["local", "xtask"] {
                    let tool =
                        fs::File::options().write(true).open(self.run.checkout.target().join("debug").join(name))?;
                    tool.set_modified(SystemTime::now() + Duration::from_secs(2))?;
                }
            }
            "actions/cache/save" | "actions/cache/restore" => {
                ensure!(!expression::text(with("key"), &self.contexts)?.is_empty(), "a cache without a key");
            }
            "actions/upload-artifact" => {
                copy(&self.clone().join(with("path")), &self.artifact(with("name")))?;
            }
            "actions/download-artifact" => {
                let there = self.artifact(with("name"));
                for file in fs::read_dir(&there).with_context(|| format!("no artifact {}", with("name")))? {
                    let file = file?;
                    let to = self.clone().join(with("path"));
                    fs::create_dir_all(&to)?;
                    fs::copy(file.path(), to.join(file.file_name()))?;
                }
            }
            other => bail!("{other} is not known here"),
        }
        Ok(())
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.run.folder.join("artifacts").join(name)
    }

    /// Runs a command as `bash -e` in the clone, with what GitHub sets and nothing of this machine's accounts.
    fn command(&mut self, number: usize, command: &str, step: &Value) -> Result<()> {
        ensure!(!command.contains("${{"), "an expression inside a command could be anybody's words: {command}");
        let file = |name: &str| self.place.join("files").join(format!("{number}-{name}"));
        let (summary, outputs, event) = (file("summary"), file("output"), file("event"));
        fs::write(&event, self.run.trigger.event.to_string())?;
        let script = (self.run.instead)(command).unwrap_or_else(|| command.to_owned());
        let mut shell = self.run.checkout.programs().command(BASH);
        shell.args(["-e", "-c", &script]).current_dir(self.clone()).env_clear();
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "DOCKER_HOST", "CI_RUN", "CARGO_INCREMENTAL"] {
            if let Some(value) = std::env::var_os(name) {
                shell.env(name, value);
            }
        }
        shell.envs(self.run.checkout.cargo()).envs(self.variables(&summary, &outputs, &event)?);
        for scope in [&self.job["env"], &step["env"]] {
            for (name, value) in scope.as_object().into_iter().flatten() {
                let value = expression::text(&expression::as_text(value), &self.contexts)?;
                // No other Rust is fetched for a test.
                if name != "RUSTUP_TOOLCHAIN" {
                    shell.env(name, value);
                }
            }
        }
        let output = shell.output().context("bash cannot be started")?;
        let log = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.ended.commands.push(command.to_owned());
        self.ended.log.push_str(&format!("$ {command}\n{log}"));
        self.ended.summary.push_str(&fs::read_to_string(&summary).unwrap_or_default());
        self.ended.failed |= !output.status.success();
        if let Some(id) = step["id"].as_str() {
            let told = fs::read_to_string(&outputs).unwrap_or_default();
            let told = told.lines().filter_map(|line| line.split_once('='));
            let outputs: Map<String, Value> = told.map(|(name, value)| (name.to_owned(), json!(value))).collect();
            self.contexts["steps"][id] = json!({"outputs": outputs});
        }
        Ok(())
    }

    /// What a job finds in its environment.
    fn variables(&self, summary: &Path, outputs: &Path, event: &Path) -> Result<Vec<(&'static str, String)>> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path");
        let name = self.run.trigger.reference.splitn(3, '/').last().unwrap_or_default();
        let mut variables = vec![
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_API_URL", self.run.github.address()),
            ("GITHUB_EVENT_NAME", self.run.trigger.name.to_owned()),
            ("GITHUB_EVENT_PATH", text(event)?),
            ("GITHUB_JOB", self.id.to_owned()),
            ("GITHUB_OUTPUT", text(outputs)?),
            ("GITHUB_REF", self.run.trigger.reference.to_owned()),
            ("GITHUB_REF_NAME", name.to_owned()),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_RUN_ID", "4711".to_owned()),
            ("GITHUB_SHA", self.commit()?),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_STEP_SUMMARY", text(summary)?),
            ("GITHUB_WORKSPACE", text(&self.clone())?),
            ("RUNNER_OS", "Linux".to_owned()),
        ];
        if self.job["permissions"]["id-token"] == "write" {
            variables
                .push(("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2.0", self.run.github.address())));
            variables.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", BEARER.to_owned()));
        }
        Ok(variables)
    }
}

/// Each of a map's values, with its expressions replaced.
fn texts(map: &Value, text: impl Fn(&Value) -> &Value, contexts: &Value) -> Result<Value> {
    let all = map.as_object().into_iter().flatten();
    let all = all.map(|(name, value)| {
        let value = expression::text(&expression::as_text(text(value)), contexts)?;
        Ok((name.clone(), json!(value)))
    });
    Ok(Value::Object(all.collect::<Result<_>>()?))
}

/// A file into a folder, or a folder's files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let files = if from.is_dir() {
        fs::read_dir(from)?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?
    } else {
        vec![from.to_owned()]
    };
    for file in files {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(&file, to.join(name)).with_context(|| format!("{} cannot be kept", file.display()))?;
    }
    Ok(())
}

/// Whether an environment on GitHub lets jobs of a branch or tag run, as set up by the commands that `bootstrap` prints.
fn admits(environment: &str, reference: &str) -> bool {
    match environment.trim_end_matches("-plan") {
        "dev" => reference == MAIN,
        "production" => reference == MAIN || reference.starts_with("refs/tags/v"),
        _ => true,
    }
}
