//! Who may take the deploy role of `infra/bootstrap.yaml`, and whether the claims of a pipeline's token fit that.
//!
//! Pure: no I/O and no client. It reads a token's claims without looking at its signature, which only AWS can rely on.

use std::collections::BTreeMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where GitHub's tokens come from, as IAM names the provider.
pub(crate) const PROVIDER: &str = "token.actions.githubusercontent.com";
/// For whom AWS wants a token to be.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// A repository on GitHub, in GitHub's own spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) owner: String,
    pub(crate) name: String,
}

/// Where releases are started, as the user names it.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline<'a> {
    pub(crate) repository: &'a Repository,
    /// GitHub's numbers of repository and owner.
    pub(crate) id: Option<u64>,
    pub(crate) owner_id: Option<u64>,
    /// The environment of the workflow's job.
    pub(crate) environment: &'a str,
    /// The file of the job, `OWNER/REPO/.github/workflows/FILE@REF`.
    pub(crate) workflow: Option<&'a str>,
}

/// What a token has to say; each claim as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    subjects: Vec<String>,
    repository_id: Option<String>,
    environment: Option<String>,
    workflow: Option<String>,
}

/// What a token says.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Map<String, Value>);

/// Whether one claim fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) claim: &'static str,
    pub(crate) fits: bool,
    pub(crate) expected: String,
    pub(crate) found: String,
    /// What to do where it does not.
    pub(crate) fix: Option<String>,
}

impl FromStr for Repository {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        match text.split_once('/') {
            Some((owner, name)) if word(owner) && word(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err("a repository is OWNER/REPO"),
        }
    }
}

impl Trust {
    /// The trust in the jobs of one environment of one repository: in either form of `sub` where the numbers are known.
    pub(crate) fn of(pipeline: &Pipeline<'_>) -> Self {
        let Pipeline { repository: Repository { owner, name }, id, owner_id, environment, workflow } = pipeline;
        let numbered = id.zip(*owner_id).map(|(id, owner_id)| format!("{owner}@{owner_id}/{name}@{id}"));
        let repositories = [Some(format!("{owner}/{name}")), numbered];
        let subject = |repository: String| format!("repo:{repository}:environment:{environment}");
        Self {
            subjects: repositories.into_iter().flatten().map(subject).collect(),
            repository_id: id.map(|id| id.to_string()),
            environment: Some((*environment).to_owned()),
            workflow: workflow.map(str::to_owned),
        }
    }

    /// The trust that a stack was given; `None` where it trusts nobody.
    pub(crate) fn deployed(parameters: &BTreeMap<String, String>) -> Option<Self> {
        let value = |name: &str| parameters.get(name).filter(|value| !value.is_empty()).cloned();
        let subjects = value("Subjects")?.split(',').map(str::to_owned).collect();
        let (repository_id, environment) = (value("RepositoryId"), value("GitHubEnvironment"));
        Some(Self { subjects, repository_id, environment, workflow: value("WorkflowRef") })
    }

    /// The parameters that give it to the template.
    pub(crate) fn parameters(&self) -> [(&'static str, String); 4] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        [
            ("GitHubEnvironment", text(&self.environment)),
            ("RepositoryId", text(&self.repository_id)),
            ("Subjects", self.subjects.join(",")),
            ("WorkflowRef", text(&self.workflow)),
        ]
    }

    /// Repository and environment on GitHub, of the first subject.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        self.subjects.first()?.strip_prefix("repo:")?.split_once(":environment:")
    }

    /// Whether it trusts the newer form of `sub`, which has numbers.
    pub(crate) fn knows_numbers(&self) -> bool {
        self.subjects.iter().any(|subject| subject.contains('@'))
    }

    /// Holds every claim that counts against a token; `now` is in seconds since 1970, `name` the environment's.
    pub(crate) fn check(&self, claims: &Claims, now: i64, name: &str) -> Vec<Finding> {
        let issuer = format!("https://{PROVIDER}");
        let mut findings = vec![
            one("iss", &[issuer], claims, || {
                "take the token inside a job of GitHub Actions: the trust knows no other issuer".to_owned()
            }),
            one("aud", &[AUDIENCE.to_owned()], claims, || format!("ask for the token with the audience {AUDIENCE}")),
            one("sub", &self.subjects, claims, || self.subject_fix(claims, name)),
        ];
        let rest = [
            ("repository_id", &self.repository_id),
            ("environment", &self.environment),
            ("job_workflow_ref", &self.workflow),
        ];
        for (claim, expected) in rest {
            let expected = expected.as_ref().map(|expected| vec![expected.clone()]);
            let fix = || {
                claims.command(name, self.workflow.is_some()).unwrap_or_else(|| format!("the token has to say {claim}"))
            };
            findings.extend(expected.map(|expected| one(claim, &expected, claims, fix)));
        }
        findings.push(expiry(claims, now));
        findings
    }

    fn subject_fix(&self, claims: &Claims, name: &str) -> String {
        let found = claims.text("sub");
        if self.subjects.iter().any(|subject| subject.eq_ignore_ascii_case(&found)) {
            return format!(
                "upper and lower case count, as GitHub spells them: {}",
                claims
                    .command(name, self.workflow.is_some())
                    .unwrap_or_else(|| format!("cargo xtask bootstrap {name} --github OWNER/REPO"))
            );
        }
        if !found.contains(":environment:") {
            let environment = self.environment.as_deref().unwrap_or("NAME");
            return format!("the job runs in no GitHub environment: add `environment: {environment}` to it");
        }
        match claims.command(name, self.workflow.is_some()) {
            Some(command) => format!("if this pipeline is to release: {command}"),
            None => "the token names no repository".to_owned(),
        }
    }
}

impl Claims {
    /// Reads the claims of a token, bare or as GitHub hands it out (`{"value": "…"}`).
    ///
    /// # Errors
    /// What is wrong with its form; never any of its text.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let handed_out: Option<Value> = serde_json::from_str(text).ok();
        let token = handed_out.as_ref().and_then(|json| json["value"].as_str()).unwrap_or(text);
        let parts: Vec<&str> = token.split('.').collect();
        let [_, payload, _] = parts[..] else { return Err("a token has three parts with dots between them") };
        let payload = payload.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(payload).or_else(|_| STANDARD_NO_PAD.decode(payload));
        let bytes = bytes.map_err(|_| "its second part is not base64")?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| "its second part is no JSON object")
    }

    /// A claim as text; what is not there is empty.
    pub(crate) fn text(&self, claim: &str) -> String {
        match self.0.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// Whether the claim is one of these, or a list that has one of them.
    fn is(&self, claim: &str, expected: &[String]) -> bool {
        match self.0.get(claim) {
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).any(|value| expected.iter().any(|one| one == value))
            }
            _ => expected.contains(&self.text(claim)),
        }
    }

    /// The command that has the role trust this very token's pipeline, and its one workflow where only one is trusted.
    fn command(&self, name: &str, workflow: bool) -> Option<String> {
        let repository = self.text("repository");
        repository.parse::<Repository>().ok()?;
        let mut command = format!("cargo xtask bootstrap {name} --github {repository}");
        for (flag, claim) in [
            ("--github-id", "repository_id"),
            ("--owner-id", "repository_owner_id"),
            ("--github-environment", "environment"),
        ] {
            let value = self.text(claim);
            if !value.is_empty() {
                command.push_str(&format!(" {flag} {value}"));
            }
        }
        if workflow && let Some((_, file)) = self.text("job_workflow_ref").split_once("/.github/workflows/") {
            command.push_str(&format!(" --github-workflow {file}"));
        }
        Some(command)
    }
}

fn one(claim: &'static str, expected: &[String], claims: &Claims, fix: impl FnOnce() -> String) -> Finding {
    let fits = claims.is(claim, expected);
    let found = claims.text(claim);
    let found = if found.is_empty() { "nothing".to_owned() } else { found };
    Finding { claim, fits, expected: expected.join(" or "), found, fix: (!fits).then(fix) }
}

/// AWS takes a token until its end, and GitHub's end after minutes.
fn expiry(claims: &Claims, now: i64) -> Finding {
    let moment = |seconds: i64| {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
        time.unwrap_or_else(|| seconds.to_string())
    };
    let end = claims.0.get("exp").and_then(Value::as_i64);
    let fits = end.is_some_and(|end| end > now);
    Finding {
        claim: "exp",
        fits,
        expected: format!("later than {}", moment(now)),
        found: end.map_or_else(|| "nothing".to_owned(), moment),
        fix: (!fits).then(|| "take a new token; those of the same job say the same otherwise".to_owned()),
    }
}

#[cfg(test)]
mod tests;
