//! What every command gets: the repository, its settings, the printer and the user's wish to stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use config::deployment::{Deployment, Environment, Local, parse_env_file};
use config::similar;

use image::cargo::Workspace;
use machine::http::Http;
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};

/// The file that marks the repository's root.
pub const DEPLOY_TOML: &str = "deploy.toml";

pub struct Context {
    pub root: PathBuf,
    pub deployment: Deployment,
    /// The process environment, read once by `main`.
    pub vars: BTreeMap<String, String>,
    pub interrupt: Interrupt,
    /// The instances of environments that this run is about.
    instances: Instances,
}

/// A list that only grows, so that what is in it can be lent.
#[derive(Default)]
struct Instances {
    first: OnceLock<Environment>,
    rest: OnceLock<Box<Instances>>,
}

impl Instances {
    fn with(&self, instance: Environment) -> &Environment {
        match self.first.get() {
            Some(known) if known.name == instance.name => known,
            Some(_) => self.rest.get_or_init(Box::default).with(instance),
            None => self.first.get_or_init(|| instance),
        }
    }
}

impl Context {
    /// Finds and reads `deploy.toml`, in `folder` or above.
    ///
    /// # Errors
    /// No such file, or every problem in it.
    pub fn load(folder: &Path, vars: BTreeMap<String, String>, interrupt: Interrupt) -> Result<Self, Failure> {
        let fail = |message: &str| Failure::new(Exit::Usage, FailureKind::Settings, message);
        let root = folder.ancestors().find(|folder| folder.join(DEPLOY_TOML).is_file()).ok_or_else(|| {
            fail("there is no deploy.toml here or above")
                .resource(folder.display().to_string())
                .hint("go to the repository's folder")
        })?;
        if root.to_str().is_none() {
            // Compiler and engine get the path as text, and would get another one.
            return Err(fail("the repository's folder has a name that is not UTF-8")
                .resource(root.display().to_string())
                .hint("move or rename it"));
        }
        let text = std::fs::read_to_string(root.join(DEPLOY_TOML))
            .map_err(|error| fail("deploy.toml cannot be read").reason(error.to_string()))?;
        let deployment = Deployment::parse(DEPLOY_TOML, &text).map_err(|invalid| {
            fail("deploy.toml cannot be used").reason(invalid.to_string()).hint("fix deploy.toml")
        })?;
        Ok(Self { root: root.to_owned(), deployment, vars, interrupt, instances: Instances::default() })
    }

    /// What the user gives the container of `release --local`: `[local] env`, and what `env_file` adds or replaces.
    ///
    /// # Errors
    /// A file that is not there, or every line of it that cannot be used.
    pub fn local_environment(&self) -> Result<BTreeMap<String, String>, Failure> {
        let Local { env, env_file } = &self.deployment.local;
        let mut variables = env.clone();
        if let Some(path) = env_file {
            let fail = |reason: String| {
                Failure::new(Exit::Usage, FailureKind::Settings, "the variables for the container cannot be read")
                    .resource(format!("{path}, local.env_file in {DEPLOY_TOML}"))
                    .reason(reason)
            };
            let text = std::fs::read_to_string(self.root.join(path)).map_err(|error| {
                fail(error.to_string())
                    .hint(format!("write it, one NAME=VALUE a line, or remove env_file from {DEPLOY_TOML}"))
            })?;
            let read = parse_env_file(path, &text);
            variables.extend(read.map_err(|invalid| fail(invalid.to_string()).hint(format!("fix {path}")))?);
        }
        Ok(variables)
    }

    /// A context without a repository, for tests.
    pub fn without_repository(deployment: Deployment, interrupt: Interrupt) -> Self {
        Self { root: PathBuf::new(), deployment, vars: BTreeMap::new(), interrupt, instances: Instances::default() }
    }

    /// The environment of this name, or an instance of one: `NAME/pr-12`.
    ///
    /// # Errors
    /// An unknown name, with those there are; an environment of which there are many, without one of them.
    pub fn environment(&self, name: &str) -> Result<&Environment, Failure> {
        let (section, which) = name.split_once('/').map_or((name, None), |(section, which)| (section, Some(which)));
        let environment = self.section(section)?;
        let fail = |reason: String| {
            Failure::new(Exit::Usage, FailureKind::Environment, format!("{name:?} is no environment"))
                .resource(format!("environments.{section} in {DEPLOY_TOML}"))
                .reason(reason)
        };
        match which {
            None if !environment.instances => Ok(environment),
            None => Err(fail("there are many of it, each with a stack of its own".to_owned())
                .hint(format!("say which, for example {section}/pr-12"))),
            Some(_) if !environment.instances => Err(fail("there is one of it".to_owned())
                .hint(format!("use {section}, or add instances = true to [environments.{section}]"))),
            Some(which) => {
                let instance = environment.instance(which).map_err(|reason| {
                    fail(reason).hint(format!("name it after what it is for, for example {section}/pr-12"))
                })?;
                Ok(self.instances.with(instance))
            }
        }
    }

    /// What deploy.toml says of an environment, also of one of which there are many.
    ///
    /// # Errors
    /// An unknown name, with those there are.
    pub fn section(&self, name: &str) -> Result<&Environment, Failure> {
        self.deployment.environments.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.deployment.environments.keys().map(String::as_str).collect();
            Failure::new(Exit::Usage, FailureKind::Environment, format!("there is no environment {name:?}"))
                .resource(DEPLOY_TOML)
                .reason(format!("it has {}", known.join(", ")))
                .hint(match (name.split_once('/'), similar(name, known)) {
                    (Some((section, _)), _) => format!("use {section}: this is for all of its instances"),
                    (None, Some(meant)) => format!("did you mean {meant}? Otherwise add [environments.{name}]"),
                    (None, None) => format!("add [environments.{name}] or use one of these"),
                })
        })
    }

    /// What is compiled.
    pub fn workspace(&self) -> Workspace<'_> {
        Workspace { root: &self.root, service: &self.deployment.service, vars: &self.vars }
    }

    /// The way to what is asked over HTTP besides AWS.
    ///
    /// # Errors
    /// A proxy or an `AWS_CA_BUNDLE` that cannot be used.
    pub fn http(&self) -> Result<Http, Failure> {
        Http::of(&self.vars)
    }
}
