//! The one JSON object that `--json` prints, for every command and also on failure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::attestation::Attestation;
use crate::container::VariableChange;
use crate::cost::CostDifference;
use crate::drift::Drift;
use crate::eta::Eta;
use crate::outcome::Failure;
use crate::record::{Change, Record};
use crate::scan::Finding;
use crate::stack::{Event, ResourceChange};

/// The version of what `--json` prints. It changes if a key disappears or means something else.
pub const FORMAT: u32 = 1;

/// Exactly one such object on stdout, also on failure. Keys that do not apply to a command are left out; none is ever
/// null.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "What `cargo xtask COMMAND --json` prints"))]
pub struct Report {
    /// The version number of this format; a new one means that a key has disappeared or means something else.
    #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
    pub format: u32,
    /// Whether the command succeeded: true exactly if the exit code is 0, false exactly if there is `error`.
    pub ok: bool,
    /// The environment of deploy.toml, or `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// `build`: a reference that the engine knows. Others: the image by digest, HOST/REPOSITORY@sha256:…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// `build`: the image's platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["linux/amd64", "linux/arm64"])))]
    pub platform: Option<String>,
    /// `build`: the image's size in bytes, uncompressed, as the engine counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The digest of `image`, or with `smoke` the expected one; `compile`: that of the list of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(regex(pattern = "^sha256:[0-9a-f]{64}$")))]
    pub digest: Option<String>,
    /// Bytes of the layers that the registry did not have, as the engine counts; 0 if nothing was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_bytes: Option<u64>,
    /// Name of the CloudFormation stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// `status`: CloudFormation's name for the stack's state. Absent where there is no stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Z_]+$")))]
    pub stack_status: Option<String>,
    /// `status`: when the stack was created or last updated, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub stack_updated: Option<String>,
    /// What the command did to the stack; `plan`, `diff`: what a release would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// `diff`: the resources that would change, by their names in the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<ResourceChange>>,
    /// Variables, secrets and permissions of the container that change, or with `plan` and `diff` would.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub container: Vec<VariableChange>,
    /// The environments that this one needs, in the order in which they were brought up to date before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub needs: Vec<Need>,
    /// `diff`, `drift`: what would be lost, and what else is worth knowing or could not be determined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub notes: Vec<String>,
    /// What the change means for the monthly bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostDifference>,
    /// How long earlier changes of this kind took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
    /// `drift`: resources that differ from their template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Vec<Drift>>,
    /// The vulnerabilities that ECR found in the image, the worst first. Absent without a scan result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// The number of this release, as `status` shows it and `rollback` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub release: Option<i64>,
    /// `status`: the recorded releases, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub releases: Option<Vec<Release>>,
    /// `status`: what the newest release changed. Absent where the records or their inputs do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// `status`: the command that goes back to the release before. Absent where there is none to go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_back: Option<String>,
    /// `status`: the tasks of the stack's services. Absent without a service, or where ECS does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Tasks>,
    /// `status`: who holds the environment's lock, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<String>,
    /// `plan`, `diff`: the file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_file: Option<String>,
    /// The stack's outputs, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, String>>,
    /// `bootstrap`: values for the pipeline, by the names of its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, String>>,
    /// Where the service answers, without a trailing slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The result of the smoke test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoke: Option<Smoke>,
    /// `doctor`, `bootstrap --check-token`: the checks, in the order in which they ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<Check>>,
    /// What is attached to the image in the registry. Absent where that was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<Vec<Attestation>>,
    /// `destroy`: what was removed, or with --dry-run would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<String>>,
    /// With --dry-run: what would be done, step by step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<String>>,
    /// `version`: the next version; `announce`: the published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `iam-policy`: an IAM policy document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("type" = "object", "required" = ["Version", "Statement"])))]
    pub policy: Option<Value>,
    /// `template`: the text that would be deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `completions`: the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<String>,
    /// `events`: the newest ones, oldest first. With --follow each is an object on a line of its own instead, and the
    /// last line is this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
    /// `run`: the ARN of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// `run`: the number that the command ended with, its exit code. Absent where it did not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// `logs`: the newest lines, oldest first. With --follow each is an object on a line of its own instead, and the
    /// last line is this object. `run`: all lines of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Vec<Line>>,
    /// `secret set`, `secret list`: the secrets, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Secret>>,
    /// The phases that were started, in the order in which they ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseRecord>,
    /// How long the command took, in seconds, to the millisecond.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub seconds: f64,
    /// Why the command failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Report {
    /// Whether the command has changed something that outlives it.
    pub fn changed(&self) -> bool {
        let changed = self.change.is_some_and(|change| !matches!(change, Change::None));
        let need = |need: &Need| need.change.is_some_and(|change| !matches!(change, Change::None));
        let needs = self.plan.is_none() && self.needs.iter().any(need);
        changed || needs || self.release.is_some() || (self.removed.is_some() && self.plan.is_none())
    }
}

/// An environment that another one builds on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Need {
    /// The environment of deploy.toml.
    pub environment: String,
    /// Name of its stack.
    pub stack: String,
    /// What was done to the stack; with --dry-run, `plan`, `diff`, `apply` and `doctor`: what a release would do. Absent where that
    /// failed, or where the stack runs an image of its own and is used as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The resources that were changed, by their names in the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<ResourceChange>>,
    /// What the change means for the monthly bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostDifference>,
}

/// The tasks of a stack's services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tasks {
    /// The number of tasks that run.
    pub running: i32,
    /// The number of tasks that should run.
    pub desired: i32,
}

/// What a release changed as compared with the release before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// The number of the release that it is compared with.
    pub since: i64,
    /// Whether the image differs.
    pub image: bool,
    /// Whether the template's text differs.
    pub template: bool,
    /// The names of parameters that differ.
    pub parameters: Vec<String>,
    /// The names of variables, secrets and permissions of the container that differ.
    pub variables: Vec<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        // Variables are a part of the template's text.
        let template = self.template && self.variables.is_empty();
        let parts = [
            self.image.then(|| "image".to_owned()),
            template.then(|| "template".to_owned()),
            named("parameters", &self.parameters),
            named("variables", &self.variables),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let what = if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") };
        write!(f, "{what} (compared with release {})", self.since)
    }
}

/// A recorded release.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Release {
    #[serde(flatten)]
    pub record: Record,
    /// Whether the stack runs it.
    pub running: bool,
    /// Whether `rollback` can deploy it again.
    pub can_go_back: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Smoke {
    /// `right`: the right answer, from the right image as far as it says which. `old-version`: another image answers.
    /// `open`: requests without a token get in, though there is an authorizer. `not-answering`: no right answer.
    #[cfg_attr(test, schemars(extend("enum" = ["right", "old-version", "open", "not-answering"])))]
    pub status: &'static str,
    /// The digest that the service said it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_digest: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether a release can work with it.
    pub ok: bool,
    /// `doctor`: true where it is only advice, or could not be checked; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, schemars(extend("const" = true)))]
    pub note: bool,
    /// What was found, in words.
    pub detail: String,
    /// The next command or step, where something is missing or could be better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A secret of the container. Its value is not among what is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Secret {
    /// The variable that the container gets it in.
    pub name: String,
    /// Where its value is kept, as deploy.toml names it.
    pub reference: String,
    /// Whether deploy.toml names it.
    pub declared: bool,
    /// Whether AWS keeps it encrypted. Absent where there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The newest version, as AWS calls it. Absent where there is no value, or where only its owner sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When that was written, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub changed: Option<String>,
    /// The version that the running service has. Absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed: Option<String>,
}

impl Secret {
    /// Whether the running service has the newest version.
    pub fn is_current(&self) -> bool {
        self.deployed.is_some() && self.deployed == self.version
    }
}

/// How long a phase took, for the result.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhaseRecord {
    /// The phase, such as `preflight`, `compile`, `image`, `registry`, `push`, `stack` or `smoke`.
    pub name: &'static str,
    /// How long it took, in seconds, to the millisecond.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub seconds: f64,
    /// Whether there was nothing to do in it.
    pub skipped: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line {
    /// When it was logged, in RFC 3339.
    pub time: String,
    /// Its log stream.
    pub stream: String,
    /// The logged text, unchanged.
    pub message: String,
    /// CloudWatch's id: lines of the same text and time are different lines.
    #[serde(skip)]
    pub id: String,
    /// Milliseconds since 1970.
    #[serde(skip)]
    pub millis: i64,
}

#[cfg(test)]
mod tests;
