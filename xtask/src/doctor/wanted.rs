//! The environment's template, and what it comes to with the parameters that it will have.

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::Environment;
use serde_json::Value;

use super::{Finding, Found};
use crate::context::Context;
use crate::engine::observe::Observed;
use crate::preflight;
use crate::session::Session;
use aws::stack;
use model::outcome;
use model::outcome::Failure;
use model::parameters as plan;
use model::parameters::Platform;
use model::stack::Resource;
use model::stack::Stack;
use model::template::evaluate;
use model::template::evaluate::Evaluated;
use model::template::{CONTAINER_URI, Template};

/// The template as it was read.
pub(super) struct Read {
    template: Result<Template, Failure>,
    /// Which platform is wanted, only the template tells; `None` where it runs no image.
    pub(super) platform: Option<Result<Platform, Failure>>,
}

impl Read {
    pub(super) fn new(context: &Context, environment: &Environment) -> Self {
        match context.other_template(environment) {
            Ok(template) if !template.declares(CONTAINER_URI) => Self { template: Ok(template), platform: None },
            _ => {
                let template = context.template(environment);
                let platform = template.as_ref().ok().map(|template| preflight::platform(environment, template));
                Self { template, platform }
            }
        }
    }

    /// Whether it can be used; `stack` has values for what deploy.toml does not say.
    pub(super) fn findings(&self, context: &Context, environment: &Environment, stack: Option<&Stack>) -> Vec<Finding> {
        let template = match &self.template {
            Ok(template) => template,
            Err(failure) => return vec![("template", Found::Lacking(failure.clone()))],
        };
        if self.platform.is_none() {
            let detail = format!("{}, runs no image: deploy without --image", template.path);
            let problems = preflight::misplaced_parameters(environment, template);
            let parameters = none_of(&problems, "the template has every one");
            return vec![("template", Found::Fine(detail)), ("parameters", parameters)];
        }
        let problems = preflight::parameter_problems(context, environment, template, stack);
        let mut findings = vec![
            ("template", Found::Fine(format!("{}, {} bytes", template.path, template.body.len()))),
            ("parameters", none_of(&problems, "every one has a value")),
        ];
        if let Some(problem) = preflight::smoke_url_problem(environment, template, None) {
            findings.push(("smoke url", Found::Lacking(problem)));
        }
        if let Some(Err(failure)) = &self.platform {
            findings.push(("target", Found::Lacking(failure.clone())));
        }
        findings
    }
}

fn none_of(problems: &[Failure], otherwise: &str) -> Found {
    if problems.is_empty() { Found::Fine(otherwise.to_owned()) } else { Found::Lacking(outcome::preflight(problems)) }
}

/// What the stack will be made of.
pub(super) struct Wanted {
    evaluated: Evaluated,
    /// Logical ids of what the stack has already.
    there: BTreeSet<String>,
}

impl Wanted {
    /// Works the template out; `None` where there is none that can be.
    ///
    /// # Errors
    /// What AWS says when it is asked what the stack has.
    pub(super) async fn new(
        session: &Session<'_>,
        read: &Read,
        seen: Option<&Observed>,
    ) -> Result<Option<Self>, Failure> {
        let Ok(template) = &read.template else { return Ok(None) };
        let stack = seen.and_then(Observed::settled);
        let there = match stack {
            Some(stack) => stack::resources(&session.clients.cloudformation, &stack.id).await,
            None => Ok(Vec::new()),
        };
        let there = there.map_err(|error| Failure::of(&error))?;
        let there = there.into_iter().filter(Resource::exists).map(|resource| resource.logical_id).collect();
        let before = stack.map(|stack| &stack.parameters);
        let value = |name: &String| Some((name.clone(), plan::value(session.environment, template, before, name)?));
        let given = template.parameters.keys().filter_map(value).collect();
        Ok(Self::of(&template.body, &given, &session.environment.region, there))
    }

    /// What this text comes to; `None` where it is no YAML.
    pub(super) fn of(
        body: &str,
        given: &BTreeMap<String, String>,
        region: &str,
        there: BTreeSet<String>,
    ) -> Option<Self> {
        let evaluated = evaluate::evaluate(body, given, region).ok()?;
        Some(Self { evaluated, there })
    }

    /// The properties of every resource of a type.
    pub(super) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_kind = self.evaluated.resources.values().filter(move |resource| resource.kind == kind);
        of_kind.map(|resource| &resource.properties)
    }

    /// Of those, the ones that the stack does not have yet.
    pub(super) fn new_ones<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let resources = self.evaluated.resources.iter();
        let new = resources.filter(move |(id, resource)| resource.kind == kind && !self.there.contains(*id));
        new.map(|(_, resource)| &resource.properties)
    }

    /// The properties of the resource that a value refers to, by `Ref` or `Fn::GetAtt`.
    pub(super) fn referred(&self, value: &Value) -> Option<&Value> {
        let attribute = &value["Fn::GetAtt"];
        let whole = value["Ref"].as_str().or_else(|| attribute[0].as_str()).or_else(|| attribute.as_str())?;
        let id = whole.split('.').next()?;
        Some(&self.evaluated.resources.get(id)?.properties)
    }
}
