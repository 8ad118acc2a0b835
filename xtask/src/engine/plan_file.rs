//! A plan as a file: what a release would do, so that it can be reviewed, and exactly that be done later.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use config::deployment::Environment;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::desired::Desired;
use super::plan::PricedProposal;
use aws::journal;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Value;
use model::record::Change;
use model::reference::{ImageReference, hex};
use model::stack::{ResourceChange, Stack};
use model::template::{HIDDEN, Template};

/// The format's version.
const FORMAT: u32 = 1;
/// What this version can read.
const READS: &str = concat!("version ", env!("CARGO_PKG_VERSION"), " reads format 1");
/// What stands for a value that the stack keeps.
const KEPT: &str = "(as it is)";

/// A reviewed plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
    format: u32,
    /// When it was made, in RFC 3339.
    made: String,
    pub(crate) environment: String,
    account: String,
    region: String,
    pub(crate) stack: String,
    pub(crate) change: Change,
    /// By digest.
    pub(crate) image: String,
    /// The image that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    template: TemplateMark,
    /// What is sent; values that the stack keeps, and secret ones, are not shown.
    parameters: BTreeMap<String, String>,
    /// Hash of all that is sent, the values that are not shown included.
    parameters_sha256: String,
    pub(crate) changes: Vec<ResourceChange>,
    /// The change set that waits to be executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change_set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stack_id: Option<String>,
    /// The stack's last change, by its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stack_updated: Option<String>,
    /// The command that runs before a new task serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before_release: Vec<String>,
    /// What else a reviewer may want to know: cost and time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outlook: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateMark {
    path: String,
    sha256: String,
}

impl PlanFile {
    /// The plan of an operation on a stack as it is `before`; `plan` is `None` where nothing would change.
    pub(crate) fn new(
        desired: &Desired<'_>,
        account: &str,
        commit: Option<String>,
        before: Option<&Stack>,
        plan: Option<&PricedProposal>,
    ) -> Self {
        let environment = desired.environment;
        let sent = desired.parameters();
        let template = &desired.template;
        let proposal = plan.map(|plan| &plan.proposal);
        let outlook = plan.map(|PricedProposal { cost, eta, .. }| {
            let cost = cost.as_ref().map(serde_json::to_value).and_then(Result::ok);
            let eta = eta.as_ref().map(serde_json::to_value).and_then(Result::ok);
            let known = [("cost", cost), ("eta", eta)].into_iter();
            known.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        });
        Self {
            format: FORMAT,
            made: journal::now(),
            environment: environment.name.clone(),
            account: account.to_owned(),
            region: environment.region.clone(),
            stack: environment.stack.clone(),
            change: match proposal {
                None => Change::None,
                Some(proposal) if proposal.create => Change::Create,
                Some(_) => Change::Update,
            },
            image: desired.image.as_ref().map(ToString::to_string).unwrap_or_default(),
            runs: before.and_then(|stack| stack.image_uri(desired.environment)).map(str::to_owned),
            commit,
            template: TemplateMark { path: template.path.clone(), sha256: sha256(template.body.as_bytes()) },
            parameters: shown_parameters(template, sent),
            parameters_sha256: hash(sent),
            changes: proposal.map(|proposal| proposal.set.changes.clone()).unwrap_or_default(),
            change_set: proposal.map(|proposal| proposal.set.id.clone()),
            stack_id: proposal.map(|proposal| proposal.set.stack_id.clone()),
            stack_updated: before.and_then(|stack| stack.updated.clone()),
            before_release: Vec::new(),
            outlook: outlook.unwrap_or_default(),
        }
    }

    /// Reads a file that [`PlanFile::text`] has made.
    ///
    /// # Errors
    /// A file that is not there, not a plan, or one of another version of the tool.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |reason: String| {
            Failure::new(Exit::Usage, FailureKind::Plan, "the plan cannot be read")
                .resource(path.display().to_string())
                .reason(reason)
                .hint("cargo xtask plan ENV --out FILE makes one")
        };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let object: Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        // Before the other keys, which another version may have changed.
        match object.get("format").map(|format| (format, format.as_u64())) {
            Some((_, Some(format))) if format == u64::from(FORMAT) => {}
            None => {
                let reason = format!("it names no format, so an older version of the tool has written it; {READS}");
                return Err(other_version(path, &reason, "cargo xtask plan ENV --out FILE, and review that"));
            }
            Some((_, Some(format))) if format > u64::from(FORMAT) => {
                let reason = format!("its format is {format}, of a newer version of the tool; {READS}");
                let next =
                    "apply it with the version that wrote it, or make a new plan: cargo xtask plan ENV --out FILE";
                return Err(other_version(path, &reason, next));
            }
            Some((format, _)) => {
                let reason = format!("its format is {format}; {READS}");
                return Err(other_version(path, &reason, "cargo xtask plan ENV --out FILE, and review that"));
            }
        }
        serde_json::from_value(object.into()).map_err(|error| fail(error.to_string()))
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan is maps with text keys") + "\n"
    }

    /// The image that is to run.
    ///
    /// # Errors
    /// A plan that was changed by hand.
    pub(crate) fn image(&self) -> Result<ImageReference, Failure> {
        self.image.parse().map_err(|error: model::reference::InvalidReference| {
            Failure::new(Exit::Usage, FailureKind::Plan, "the plan cannot be used")
                .resource("image")
                .reason(error.to_string())
        })
    }

    /// Whether it was made of this text.
    pub(crate) fn is_of(&self, template: &Template) -> bool {
        self.template.sha256 == sha256(template.body.as_bytes())
    }

    /// Everything that is not as it was when the plan was made, a line each.
    pub(crate) fn moved(&self, account: &str, desired: &Desired<'_>, stack: Option<&Stack>) -> Vec<String> {
        let Desired { environment, template, .. } = desired;
        let mut moved = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                moved.push(format!("{what}: {then} when planned, {now} now"));
            }
        };
        let none = "none";
        let option = |text: &Option<String>| text.clone().unwrap_or_else(|| none.to_owned());
        compare("account", &self.account, account);
        compare("region", &self.region, &environment.region);
        compare("stack", &self.stack, &environment.stack);
        compare("template", &self.template.path, &template.path);
        compare(&format!("content of {}", template.path), &self.template.sha256, &sha256(template.body.as_bytes()));
        let first = stack.filter(|stack| stack.status == "REVIEW_IN_PROGRESS");
        let there = stack.filter(|_| first.is_none());
        let runs = there.and_then(|stack| stack.image_uri(desired.environment)).unwrap_or(none);
        compare("image that runs", &option(&self.runs), runs);
        if self.runs.as_deref().unwrap_or(none) == runs {
            compare(
                "last change of the stack",
                &option(&self.stack_updated),
                &option(&there.and_then(|s| s.updated.clone())),
            );
        }
        let now = desired.parameters();
        if self.parameters_sha256 != hash(now) {
            let shown = shown_parameters(template, now);
            let names = self.parameters.keys().chain(shown.keys()).collect::<std::collections::BTreeSet<_>>();
            let differ: Vec<&str> = names
                .into_iter()
                .filter(|name| self.parameters.get(*name) != shown.get(*name))
                .map(String::as_str)
                .collect();
            let which = if differ.is_empty() { "a secret value".to_owned() } else { differ.join(", ") };
            moved.push(format!("parameters: {which} differ from the plan"));
        }
        moved
    }
}

/// A plan of a version that this one does not read.
fn other_version(path: &Path, reason: &str, next: &str) -> Failure {
    Failure::new(Exit::Preflight, FailureKind::Plan, "the plan was written by another version of the tool")
        .resource(path.display().to_string())
        .reason(reason)
        .hint(next)
}

/// A plan that does not hold any more.
pub(crate) fn refusal(environment: &Environment, moved: &[String]) -> Failure {
    Failure::new(Exit::Failed, FailureKind::Moved, "the plan does not hold any more; nothing was changed")
        .resource(format!("stack {}", environment.stack))
        .reason(moved.join("\n"))
        .hint(format!("cargo xtask plan {} --out FILE, and review that", environment.name))
}

/// The parameters as a reviewer may see them.
fn shown_parameters(template: &Template, sent: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let shown = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Is(_) if template.secret.contains(name) => HIDDEN.to_owned(),
            Value::Is(value) => value.clone(),
            Value::Previous => KEPT.to_owned(),
        };
        (name.clone(), text)
    };
    sent.iter().map(shown).collect()
}

fn hash(sent: &BTreeMap<String, Value>) -> String {
    let lines: Vec<String> = sent.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    sha256(lines.join("\n").as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
