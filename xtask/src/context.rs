//! What every command gets, and what those that work at AWS leave to be removed at the end.

use std::ops::Deref;

use config::deployment::Environment;

use crate::container;
use crate::sign_in::{self, TemporaryUsers};
use aws::journal::lock::Locks;
use model::outcome::{Exit, Failure, FailureKind};
use model::template::{InvalidTemplate, Template};

/// The repository, its settings and the user's wish to stop, as [`local`] reads them, and what this run has at AWS.
pub(crate) struct Context {
    local: local::context::Context,
    /// The users that proofs have made at AWS.
    pub(crate) temporary_users: TemporaryUsers,
    /// The environments' locks that this run has.
    pub(crate) locks: Locks,
}

impl Deref for Context {
    type Target = local::context::Context;

    fn deref(&self) -> &Self::Target {
        &self.local
    }
}

impl Context {
    pub(crate) fn of(local: local::context::Context) -> Self {
        Self { local, temporary_users: TemporaryUsers::default(), locks: Locks::default() }
    }

    #[cfg(test)]
    pub(crate) fn without_repository(
        deployment: config::deployment::Deployment,
        interrupt: machine::interrupt::Interrupt,
    ) -> Self {
        Self::of(local::context::Context::without_repository(deployment, interrupt))
    }

    /// Reads an environment's template, with what deploy.toml adds to its container.
    ///
    /// # Errors
    /// A file that is not there or cannot be released.
    pub(crate) fn template(&self, environment: &Environment) -> Result<Template, Failure> {
        self.read(environment, |template| template.for_image(environment))
    }

    /// Reads a template that runs no service.
    ///
    /// # Errors
    /// A file that is not there or that CloudFormation would not take.
    pub(crate) fn other_template(&self, environment: &Environment) -> Result<Template, Failure> {
        self.read(environment, Ok)
    }

    fn read(
        &self,
        environment: &Environment,
        check: impl Fn(Template) -> Result<Template, InvalidTemplate>,
    ) -> Result<Template, Failure> {
        let (name, path) = (&environment.name, &environment.template);
        let section = environment.section();
        let fail = |reason: String, hint: Option<String>| {
            Failure::new(Exit::Preflight, FailureKind::Template, "the template cannot be used")
                .resource(path)
                .reason(reason)
                .hint(hint.unwrap_or_else(|| format!("fix it, or environments.{section}.template in deploy.toml")))
        };
        let body = std::fs::read_to_string(self.root.join(path)).map_err(|error| fail(error.to_string(), None))?;
        let template = Template::read(path, body).and_then(check).map_err(|error| {
            let hint = match &error {
                InvalidTemplate::NoImageParameter { .. } => {
                    Some(format!("cargo xtask deploy {name} deploys a template that runs no image"))
                }
                InvalidTemplate::LocalFiles { has_sam, .. } => Some(package(path, *has_sam)),
                _ => None,
            };
            fail(error.to_string(), hint)
        })?;
        let additions = container::additions(&self.root, &self.deployment.service, environment, &template)?;
        container::added(environment, &template, &additions)
    }

    /// The token that the user has given for smoke tests.
    pub(crate) fn smoke_token(&self) -> Option<&str> {
        self.vars.get(sign_in::TOKEN).map(String::as_str).filter(|token| !token.is_empty())
    }
}

/// The command that uploads the files of a template, and what follows it.
fn package(path: &str, has_sam: bool) -> String {
    let command = if has_sam {
        format!("sam package --template-file {path} --resolve-s3")
    } else {
        format!("aws cloudformation package --template-file {path} --s3-bucket BUCKET")
    };
    format!("{command} --output-template-file packaged.yaml, and name that file in deploy.toml")
}
