//! How a command ends: exit codes, and failures with the next step.

use serde::Serialize;

/// The tool's exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Usage,
    Preflight,
    RolledBack,
    NeedsHuman,
    Interrupted,
    /// What a command of the user's own ended with, which `run` passes on.
    Command(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Preflight => 3,
            Self::RolledBack => 4,
            Self::NeedsHuman => 5,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

/// The table of [`Exit`], as `--help` shows it.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed; the environment's stack was not changed
  2    usage
  3    preflight: something is missing, all of it is listed
  4    failed and rolled back
  5    needs a human
  130  interrupted; says what still runs and how to re-attach
A command that `run` has started ends it with its own exit code.";

/// What kind of failure, stable for machines: `--json` shows it in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    Account,
    Attestation,
    Aws,
    AwsUnreachable,
    BeforeRelease,
    Build,
    Cargo,
    ChangeSet,
    Clock,
    Command,
    Compile,
    Confirmation,
    Container,
    Credentials,
    Deadline,
    Declined,
    Denied,
    Digest,
    Docker,
    Doctor,
    Drift,
    DriftDetection,
    Environment,
    EnvironmentVariable,
    Failed,
    Findings,
    Git,
    Github,
    Gone,
    Guard,
    Image,
    InProgress,
    Input,
    Instances,
    Interrupted,
    Journal,
    Locked,
    Missing,
    Moved,
    Needed,
    Network,
    NoImage,
    NoLogGroup,
    NoRelease,
    NoStack,
    NotAnswering,
    NotRecorded,
    NotSeen,
    NothingToCancel,
    NothingToRecover,
    OldVersion,
    Open,
    Output,
    Parameters,
    Plan,
    Platform,
    Preflight,
    Proof,
    Provider,
    Push,
    Registry,
    RegistryLogin,
    RollbackAlarms,
    RolledBack,
    Sbom,
    Scan,
    Secrets,
    Settings,
    Shared,
    SignIn,
    Skip,
    SmokeUrl,
    Stack,
    StackState,
    Stuck,
    Superseded,
    Target,
    Task,
    Template,
    TerminationProtection,
    Timeout,
    Token,
    Trust,
    Unhealthy,
    Unreachable,
    Url,
    Usage,
    Version,
}

/// A failure that a user can act on. It serializes as `error` of the JSON object.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct Failure {
    #[serde(skip)]
    pub exit: Exit,
    /// What kind of failure, for programs: `message` may be reworded.
    pub kind: FailureKind,
    /// What failed, in words.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub message: String,
    /// What it failed at: a stack's resource, a file, a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Why, in the words of the program or service that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is in the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The page of the AWS console that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// The last log lines of what failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub log: Vec<String>,
    /// What else is known, or could not be checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub notes: Vec<String>,
    /// The next command or step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Several problems, each by itself. `reason` has them all as text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 2)))]
    pub problems: Vec<Failure>,
    /// AWS's answer, if a call to AWS failed: decisions depend on it, never on the texts above.
    #[serde(skip)]
    pub aws: Option<Box<AwsError>>,
}

/// AWS's answer to a call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// As IAM names it, such as `cloudformation:ExecuteChangeSet`.
    pub operation: String,
    /// AWS's own code; `None` without an answer, or with one that is not AWS's.
    pub code: Option<String>,
    pub class: AwsClass,
    /// Whether AWS itself refused the call, so that it cannot have had an effect.
    pub refused: bool,
}

/// What a failed call to AWS means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsClass {
    /// AWS rejects the request, for a reason of its own.
    Refused,
    /// The outcome is unknown: no answer, an answer that is not AWS's, or a failure inside AWS.
    Lost,
    Throttled,
    /// The credentials have expired, or AWS does not accept them.
    Expired,
    /// This machine's clock is wrong.
    Skewed,
    Denied,
    Absent,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Place {
    /// The template, from the repository's root.
    pub file: String,
    /// The number of the line; the first is 1.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

impl Failure {
    pub fn new(exit: Exit, kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            exit,
            kind,
            message: message.into(),
            resource: None,
            reason: None,
            place: None,
            console: None,
            log: Vec::new(),
            notes: Vec::new(),
            hint: None,
            problems: Vec::new(),
            aws: None,
        }
    }

    pub fn aws(mut self, error: AwsError) -> Self {
        self.aws = Some(Box::new(error));
        self
    }

    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub fn place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub fn console(mut self, url: Option<String>) -> Self {
        self.console = url;
        self
    }

    pub fn log(mut self, lines: Vec<String>) -> Self {
        self.log = lines;
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure inside an error, with the context around it in its message; or a plain one of the error's chain,
    /// with the first line as message and the rest as reason.
    pub fn of(error: &anyhow::Error) -> Self {
        let mut around = String::new();
        for cause in error.chain() {
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return Self { message: around + &failure.message, ..failure.clone() };
            }
            around.push_str(&format!("{cause}: "));
        }
        let mut chain = error.chain().map(ToString::to_string);
        let failure = Self::new(Exit::Failed, FailureKind::Failed, chain.next().unwrap_or_default());
        let mut rest: Vec<String> = chain.collect();
        rest.dedup();
        if rest.is_empty() { failure } else { failure.reason(rest.join(": ")) }
    }
}

/// A question that was answered with no; `consequence` says what did not happen.
pub fn declined(consequence: &str, resource: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, FailureKind::Declined, consequence).resource(resource)
}

/// Several problems found before anything was changed, as one failure.
pub fn preflight(problems: &[Failure]) -> Failure {
    let problems = each(problems);
    if let [only] = problems.as_slice() {
        return Failure { exit: Exit::Preflight, kind: FailureKind::Preflight, ..only.clone() };
    }
    let list = problems.iter().map(|problem| {
        let mut text = format!("- {problem}");
        for (label, part) in [("resource", &problem.resource), ("reason", &problem.reason), ("next", &problem.hint)] {
            if let Some(part) = part {
                text.push_str(&format!("\n  {label}: {part}"));
            }
        }
        text
    });
    let list: Vec<String> = list.collect();
    let failure =
        Failure::new(Exit::Preflight, FailureKind::Preflight, format!("{} things are missing", problems.len()));
    Failure { problems, ..failure.reason(list.join("\n")) }
}

/// The problems; one that consists of several is replaced by them.
fn each(problems: &[Failure]) -> Vec<Failure> {
    let parts = |problem: &Failure| match problem.problems.as_slice() {
        [] => vec![problem.clone()],
        several => several.to_vec(),
    };
    problems.iter().flat_map(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_table_lists_every_code() {
        use Exit::{Done, Failed, Interrupted, NeedsHuman, Preflight, RolledBack, Usage};
        for exit in [Done, Failed, Usage, Preflight, RolledBack, NeedsHuman, Interrupted] {
            assert!(EXIT_CODES.contains(&format!("\n  {:<5}", exit.code())), "{exit:?} is not in the table");
        }
    }

    #[test]
    fn a_failure_is_found_under_its_context() {
        let error = anyhow::Error::new(Failure::new(Exit::NeedsHuman, FailureKind::Stack, "stuck").hint("check"))
            .context("deploy");
        let failure = Failure::of(&error);
        assert_eq!((failure.exit, failure.hint.as_deref()), (Exit::NeedsHuman, Some("check")));
        assert_eq!(failure.message, "deploy: stuck");
    }

    #[test]
    fn a_plain_error_keeps_its_chain_as_the_reason() {
        let error = Err::<(), _>(std::io::Error::other("disk full")).context("cannot write the plan").unwrap_err();
        let failure = Failure::of(&error);
        assert_eq!(failure.message, "cannot write the plan");
        assert_eq!(failure.reason.as_deref(), Some("disk full"));
        assert_eq!(failure.exit, Exit::Failed);
    }

    #[test]
    fn several_problems_are_also_listed_one_by_one() {
        let problem = |message: &str| Failure::new(Exit::Failed, FailureKind::Docker, message).hint("fix it");
        let inner = preflight(&[problem("one"), problem("two")]);
        let outer = preflight(&[inner, problem("three")]);
        assert_eq!(outer.message, "3 things are missing");
        let json = serde_json::to_value(&outer).unwrap();
        let listed: Vec<&str> =
            json["problems"].as_array().unwrap().iter().map(|part| part["message"].as_str().unwrap()).collect();
        assert_eq!(listed, ["one", "two", "three"]);
        assert!(serde_json::to_value(preflight(&[problem("one")])).unwrap().get("problems").is_none());
    }
}
