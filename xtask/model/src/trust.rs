//! Who may assume the roles of `infra/pipeline.yaml`, and whether the claims of a pipeline's token satisfy their trust
//! policies.
//!
//! Pure: no I/O and no client. A token's signature is not verified here: AWS does that.

mod claims;

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::policy::{Level, PROVIDER};
pub use claims::{ClaimCheck, Claims};
use claims::{compare, expiry};

/// The audience that AWS requires in a token.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// A repository on GitHub, in GitHub's own spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub owner: String,
    pub name: String,
}

/// The pipeline that releases, as the user describes it.
#[derive(Debug, Clone)]
pub struct Pipeline<'a> {
    pub repository: &'a Repository,
    /// GitHub's ids of repository and owner.
    pub id: Option<u64>,
    pub owner_id: Option<u64>,
    /// The environment of the job that releases.
    pub environment: &'a str,
    /// The environment of the job that publishes and plans.
    pub plan_environment: &'a str,
    /// The branch whose jobs may read, as pull requests may.
    pub branch: &'a str,
    /// The file of the jobs that plan and release, `OWNER/REPO/.github/workflows/FILE@REF`.
    pub workflow: Option<&'a str>,
}

/// The claims that a token must have; values are compared as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    roles: Vec<Role>,
    repository_id: Option<String>,
    /// Only for roles that may do more than read: a pull request's workflow has another name.
    workflow: Option<String>,
}

/// Who may assume one of the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Role {
    level: Level,
    subjects: Vec<String>,
    environment: Option<String>,
}

/// Whether a token's claims satisfy the trust policies.
#[derive(Debug, Clone)]
pub struct TokenCheck {
    /// The claims that every role requires.
    pub shared: Vec<ClaimCheck>,
    /// The claims that each role requires in addition.
    pub roles: Vec<(Level, Vec<ClaimCheck>)>,
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
    /// The trust in the jobs of one repository, with both forms of `sub` if the ids are known.
    pub fn of(pipeline: &Pipeline<'_>) -> Self {
        let Pipeline { repository: Repository { owner, name }, id, owner_id, .. } = pipeline;
        let numbered = id.zip(*owner_id).map(|(id, owner_id)| format!("{owner}@{owner_id}/{name}@{id}"));
        let repositories: Vec<String> = [Some(format!("{owner}/{name}")), numbered].into_iter().flatten().collect();
        let role = |level, whats: &[String], environment: Option<&str>| {
            let subject = |what| repositories.iter().map(move |repository| format!("repo:{repository}:{what}"));
            Role {
                level,
                subjects: whats.iter().flat_map(subject).collect(),
                environment: environment.map(str::to_owned),
            }
        };
        let within = |level, environment: &str| role(level, &[format!("environment:{environment}")], Some(environment));
        let reading = ["pull_request".to_owned(), format!("ref:refs/heads/{}", pipeline.branch)];
        Self {
            roles: vec![
                role(Level::Read, &reading, None),
                within(Level::Plan, pipeline.plan_environment),
                within(Level::Release, pipeline.environment),
            ],
            repository_id: id.map(|id| id.to_string()),
            workflow: pipeline.workflow.map(str::to_owned),
        }
    }

    /// The trust in a stack's parameters; `None` if it trusts no one.
    pub fn deployed(parameters: &BTreeMap<String, String>) -> Option<Self> {
        let value = |name: &str| parameters.get(name).filter(|value| !value.is_empty()).cloned();
        let role = |level, (subjects, environment): (&str, Option<&str>)| {
            let subjects = value(subjects)?.split(',').map(str::to_owned).collect();
            Some(Role { level, subjects, environment: environment.and_then(value) })
        };
        let levels = [Level::Read, Level::Plan, Level::Release];
        let roles: Vec<Role> = levels.into_iter().filter_map(|level| role(level, parameter_names(level))).collect();
        let (repository_id, workflow) = (value("RepositoryId"), value("WorkflowRef"));
        (!roles.is_empty()).then_some(Self { roles, repository_id, workflow })
    }

    /// The template's parameters for it.
    pub fn parameters(&self) -> BTreeMap<&'static str, String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut parameters =
            BTreeMap::from([("RepositoryId", text(&self.repository_id)), ("WorkflowRef", text(&self.workflow))]);
        for role in &self.roles {
            let (subjects, environment) = parameter_names(role.level);
            parameters.insert(subjects, role.subjects.join(","));
            parameters.extend(environment.map(|name| (name, text(&role.environment))));
        }
        parameters
    }

    /// The repository on GitHub.
    pub fn repository(&self) -> Option<&str> {
        let subject = self.roles.first()?.subjects.first()?.strip_prefix("repo:")?;
        Some(subject.split_once(':')?.0)
    }

    /// The branch whose jobs may read, which is the one that is released.
    pub fn branch(&self) -> Option<&str> {
        let reading = self.roles.iter().find(|role| role.level == Level::Read)?;
        reading.subjects.iter().find_map(|subject| Some(subject.split_once(":ref:refs/heads/")?.1))
    }

    /// The GitHub environment whose jobs may assume the role.
    pub fn environment(&self, level: Level) -> Option<&str> {
        let role = self.roles.iter().find(|role| role.level == level)?;
        Some(role.subjects.first()?.split_once(":environment:")?.1)
    }

    /// Whether it trusts the newer form of `sub`, which has ids.
    pub fn knows_ids(&self) -> bool {
        self.roles.iter().flat_map(|role| &role.subjects).any(|subject| subject.contains('@'))
    }

    /// Compares a token's claims with the required ones; `now` is in seconds since 1970, `name` the environment's.
    pub fn check(&self, claims: &Claims, now: i64, name: &str) -> TokenCheck {
        let issuer = format!("https://{PROVIDER}");
        let mut shared = vec![
            compare("iss", &[issuer], claims, || {
                "take the token inside a job of GitHub Actions: the trust knows no other issuer".to_owned()
            }),
            compare("aud", &[AUDIENCE.to_owned()], claims, || {
                format!("ask for the token with the audience {AUDIENCE}")
            }),
        ];
        let command = |level, claim| {
            let command = claims.command(name, level, self.workflow.is_some());
            command.unwrap_or_else(|| format!("the token must have the claim {claim}"))
        };
        let asked = |claim, expected: &Option<String>, level| {
            let expected = [expected.clone()?];
            Some(compare(claim, &expected, claims, || command(level, claim)))
        };
        shared.extend(asked("repository_id", &self.repository_id, Level::Release));
        shared.push(expiry(claims, now));
        let of_role = |role: &Role| {
            let subject = compare("sub", &role.subjects, claims, || self.subject_fix(role, claims, name));
            let environment = asked("environment", &role.environment, role.level);
            let workflow = self.workflow.clone().filter(|_| role.level > Level::Read);
            let workflow = asked("job_workflow_ref", &workflow, role.level);
            (role.level, [Some(subject), environment, workflow].into_iter().flatten().collect())
        };
        TokenCheck { shared, roles: self.roles.iter().map(of_role).collect() }
    }

    fn subject_fix(&self, role: &Role, claims: &Claims, name: &str) -> String {
        let found = claims.text("sub");
        let command = claims.command(name, role.level, self.workflow.is_some());
        if role.subjects.iter().any(|subject| subject.eq_ignore_ascii_case(&found)) {
            let command = command.unwrap_or_else(|| format!("cargo xtask bootstrap {name} --github OWNER/REPO"));
            return format!("upper and lower case count, as GitHub spells them: {command}");
        }
        let inside = found.contains(":environment:");
        if let Some(environment) = role.environment.as_ref().filter(|_| !inside) {
            return format!("the job runs in no GitHub environment: add `environment: {environment}` to it");
        }
        if role.level == Level::Read && inside {
            return "this role is for jobs in no GitHub environment: of pull requests and of one branch".to_owned();
        }
        match command {
            Some(command) => format!("if this pipeline is to {}: {command}", role.level.name()),
            None => "the token names no repository".to_owned(),
        }
    }
}

impl TokenCheck {
    /// Whether the token may assume the role.
    pub fn may(&self, level: Level) -> bool {
        let fit = |findings: &[ClaimCheck]| findings.iter().all(|finding| finding.fits);
        fit(&self.shared) && self.roles.iter().any(|(of, findings)| *of == level && fit(findings))
    }
}

/// The template's parameters for the subjects of a role and for its environment.
fn parameter_names(level: Level) -> (&'static str, Option<&'static str>) {
    match level {
        Level::Read => ("ReadSubjects", None),
        Level::Plan => ("PlanSubjects", Some("PlanEnvironment")),
        Level::Release => ("Subjects", Some("GitHubEnvironment")),
    }
}

#[cfg(test)]
mod tests;
