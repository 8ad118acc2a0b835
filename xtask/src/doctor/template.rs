//! The environment's template, and the resources that it results in with its parameters.

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::Environment;
use serde_json::Value;

use super::{CheckResult, NamedResult};
use crate::context::Context;
use crate::engine::bucket;
use crate::engine::observe::{Observed, base};
use crate::preflight::{self, AtAws};
use crate::session::Session;
use aws::stack;
use model::outcome::{self, Failure};
use model::parameters as plan;
use model::parameters::Platform;
use model::stack::Resource;
use model::template::Template;
use model::template::evaluate::{self, Evaluated, Pseudo};

/// The template, or why it cannot be used.
pub(super) struct TemplateCheck {
    pub(super) template: Result<Template, Failure>,
    /// The image's platform, which the template determines; `None` if it runs no image.
    pub(super) platform: Option<Result<Platform, Failure>>,
}

impl TemplateCheck {
    pub(super) fn new(context: &Context, environment: &Environment) -> Self {
        match context.other_template(environment) {
            Ok(template) if !template.runs_image(environment) => Self { template: Ok(template), platform: None },
            _ => {
                let template = context.template(environment);
                let platform = template.as_ref().ok().map(|template| preflight::platform(environment, template));
                Self { template, platform }
            }
        }
    }

    /// Whether a template that is too long for a call has its bucket.
    ///
    /// # Errors
    /// A call to AWS fails.
    pub(super) async fn bucket(&self, session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
        let Ok(template) = &self.template else { return Ok(None) };
        match bucket::check_bucket(session, template).await {
            Ok(bucket) => {
                Ok(bucket.map(|bucket| CheckResult::Passed(format!("{} goes through {bucket}", template.path))))
            }
            Err(error) => match Failure::of(&error) {
                failure if failure.aws.is_some() => Err(failure),
                failure => Ok(Some(CheckResult::Problem(failure))),
            },
        }
    }

    /// Checks template and parameters; the stack has the values of parameters that deploy.toml does not set.
    pub(super) fn findings(
        &self,
        context: &Context,
        environment: &Environment,
        seen: Option<&Observed>,
    ) -> Vec<NamedResult> {
        let at_aws = seen.map(|seen| AtAws { stack: base(seen.stack.as_ref()), account: None });
        let template = match &self.template {
            Ok(template) => template,
            Err(failure) => return vec![("template", CheckResult::Problem(failure.clone()))],
        };
        if self.platform.is_none() {
            let detail = format!("{}, runs no image: deploy without --image", template.path);
            let mut problems = preflight::misplaced_parameters(environment, template);
            problems.extend(preflight::value_problems(context, environment, template, at_aws));
            let parameters = no_problem(&problems, "the template declares all of them");
            return vec![("template", readable(template, detail)), ("parameters", parameters)];
        }
        let problems = preflight::parameter_problems(context, environment, template, at_aws);
        let mut findings = vec![
            ("template", readable(template, format!("{}, {} bytes", template.path, template.body.len()))),
            ("parameters", no_problem(&problems, "all have a value")),
        ];
        if let Some(problem) = preflight::smoke_url_problem(environment, template, None) {
            findings.push(("smoke url", CheckResult::Problem(problem)));
        }
        let stack = at_aws.and_then(|seen| seen.stack);
        if let Some(problem) = preflight::watch_problem(environment, template, stack) {
            findings.push(("alarms", CheckResult::Problem(problem)));
        }
        if let Some(Err(failure)) = &self.platform {
            findings.push(("target", CheckResult::Problem(failure.clone())));
        }
        findings
    }
}

/// A template that can be read, with what is odd in it.
fn readable(template: &Template, detail: String) -> CheckResult {
    let repeated: Vec<String> = template.document.repeated.iter().map(ToString::to_string).collect();
    if repeated.is_empty() {
        return CheckResult::Passed(detail);
    }
    CheckResult::Note(format!("{detail}; {}", repeated.join("; ")), Some("remove one of the two".to_owned()))
}

fn no_problem(problems: &[Failure], otherwise: &str) -> CheckResult {
    if problems.is_empty() {
        CheckResult::Passed(otherwise.to_owned())
    } else {
        CheckResult::Problem(outcome::preflight(problems))
    }
}

/// The resources that the stack will have.
pub(super) struct PlannedResources {
    evaluated: Evaluated,
    /// Logical ids of the resources that the stack has already.
    existing: BTreeSet<String>,
}

impl PlannedResources {
    /// Evaluates the template; `None` if it cannot be read.
    ///
    /// # Errors
    /// The call for the stack's resources fails.
    pub(super) async fn new(
        session: &Session<'_>,
        template: &TemplateCheck,
        seen: Option<&Observed>,
    ) -> Result<Option<Self>, Failure> {
        let Ok(template) = &template.template else { return Ok(None) };
        let stack = seen.and_then(Observed::settled);
        let existing = match stack {
            Some(stack) => stack::resources(&session.clients.cloudformation, &stack.id).await,
            None => Ok(Vec::new()),
        };
        let existing = existing.map_err(|error| Failure::of(&error))?;
        let existing = existing.into_iter().filter(Resource::exists).map(|resource| resource.logical_id).collect();
        let before = stack.map(|stack| &stack.parameters);
        let value = |name: &String| Some((name.clone(), plan::value(session.environment, template, before, name)?));
        let given = template.parameters.keys().filter_map(value).collect();
        let (region, stack) = (&session.environment.region, &session.environment.stack);
        let known = Pseudo { region, account: Some(&session.identity.account), stack: Some(stack) };
        Ok(Self::of(&template.body, &given, known, existing))
    }

    /// Evaluates a template's text; `None` if it cannot be read.
    pub(super) fn of<'a>(
        body: &str,
        given: &BTreeMap<String, String>,
        known: impl Into<Pseudo<'a>>,
        existing: BTreeSet<String>,
    ) -> Option<Self> {
        let evaluated = evaluate::evaluate(body, given, known).ok()?;
        Some(Self { evaluated, existing })
    }

    /// The properties of every resource of a type.
    pub(super) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_kind = self.evaluated.resources.values().filter(move |resource| resource.kind == kind);
        of_kind.map(|resource| &resource.properties)
    }

    /// The properties of every resource of a type that the stack does not have yet.
    pub(super) fn new_ones<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let resources = self.evaluated.resources.iter();
        let new = resources.filter(move |(id, resource)| resource.kind == kind && !self.existing.contains(*id));
        new.map(|(_, resource)| &resource.properties)
    }

    /// The properties of the resource that a value refers to, by `Ref` or `Fn::GetAtt`.
    pub(super) fn referred(&self, value: &Value) -> Option<&Value> {
        let id = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str())?;
        Some(&self.evaluated.resources.get(id)?.properties)
    }
}
