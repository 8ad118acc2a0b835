//! What `deploy.toml` says: the service, and the environments it is released to.
//!
//! Checks everything that can be known from the text alone and reports every problem at once. Whether a template or an
//! account exists is the release tool's question.

mod instances;
mod local;
mod needs;
mod reader;
mod rules;
mod secrets;

use std::collections::BTreeMap;

use crate::{Given, Invalid, Problem};
pub use local::{Local, RESERVED, SECRET_VERSIONS, parse_env_file};
pub use needs::{Reference, Setting, references};
use reader::Reader;
pub use secrets::{ALLOWED as SECRET_REFERENCE, SecretReference, variable_problem};

/// The names that templates give the image's parameter and the endpoint's output, where deploy.toml says nothing else.
const IMAGE_PARAMETER: &str = "ContainerURI";
const URL_OUTPUT: &str = "ApiGatewayURL";

/// The whole of `deploy.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub service: Service,
    pub local: Local,
    /// By name; never empty.
    pub environments: BTreeMap<String, Environment>,
}

/// `[service]`: what is released, and how one sees that it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name of the image repository, and of the image on a local engine.
    pub name: String,
    /// Cargo features that the service is built with.
    pub features: Vec<String>,
    /// TCP port the container listens on.
    pub port: u16,
    /// Answers 200 when the service may get traffic.
    pub health_path: String,
    /// Path that the smoke test asks for.
    pub smoke_path: String,
    /// Text that the answer to `smoke_path` must contain.
    pub smoke_contains: String,
    /// Path that answers `{"digest": "sha256:…"}`; `None` for an image that cannot say which one it is.
    pub version_path: Option<String>,
    /// The command that the new image runs once before it serves, such as a migration; empty for none.
    pub before_release: Vec<String>,
}

/// `[environments.<name>]`: one stack in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    pub region: String,
    /// The only account (12 digits) that a release may go to.
    pub account: Option<String>,
    pub stack: String,
    /// Whether there are many of it, each with a stack of its own: `NAME/pr-12` is stack `STACK-pr-12`.
    pub instances: bool,
    /// ARN of the role that CloudFormation works with; without it, it works with what the caller may do.
    pub execution_role: Option<String>,
    /// Path of the template, relative to `deploy.toml`.
    pub template: String,
    /// Environments that are brought up to date before it, in this order.
    pub needs: Vec<String>,
    /// The template's parameter for the image.
    pub image_parameter: String,
    /// The template's output with its endpoint.
    pub url_output: String,
    /// Stack parameters besides those the tool sets itself; a value may contain outputs of its needs as `{ENV.OUTPUT}`.
    pub parameters: BTreeMap<String, String>,
    /// The container's variables by name; a value may contain outputs of its needs, too.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are kept at AWS: by name, a [`SecretReference`], which may contain outputs of its needs.
    pub secrets: BTreeMap<String, String>,
    /// The customer's key that `secret set` encrypts with: its id, ARN or alias; AWS's own without it.
    pub secrets_key: Option<String>,
    /// A file of IAM statements that the service itself gets, relative to `deploy.toml`.
    pub permissions: Option<String>,
    /// Whether a change is asked for before it is made.
    pub protected: bool,
    /// How long CloudFormation watches the stack's alarms after an update, ready to turn back; 0 for not at all.
    pub watch_minutes: u16,
    /// An emulator's address, as `AWS_ENDPOINT_URL` would name it.
    pub endpoint: Option<String>,
    /// `HOST[:PORT]` the engine pushes to where the repository's own URI leads nowhere.
    pub registry: Option<String>,
    /// Base URL for the smoke test; may name stack outputs as `{OutputKey}`.
    pub smoke_url: Option<String>,
    /// Whether an image has to bring its bill of materials and its provenance.
    pub attested: bool,
    /// Findings of this severity and above keep an image out; `None` where nobody looks.
    pub block_severity: Option<Severity>,
}

/// How bad a finding in an image is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Deployment {
    /// Reads the text of `deploy.toml`; `source` is the path that problems name.
    ///
    /// # Errors
    /// Every problem of the text: syntax, unknown and missing keys, wrong types, values that are not allowed.
    pub fn parse(source: &str, text: &str) -> Result<Self, Invalid> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Invalid(vec![Problem {
                source: source.to_owned(),
                key: format!("line {line}"),
                given: Given::Value(text.lines().nth(line - 1).unwrap_or_default().trim().to_owned()),
                allowed: format!("TOML ({})", error.message()),
            }])
        })?;
        let mut root = Reader::new(source, table);
        let service = root.table("service", true).map(Service::read);
        let local = root.table("local", false).map(Local::read).unwrap_or_default();
        let environments: BTreeMap<String, Environment> =
            root.tables("environments").into_iter().map(Environment::read).collect();
        root.finish();
        instances::check(&root, &environments);
        needs::check(&root, &environments);
        let problems = root.problems();
        match service {
            Some(service) if problems.is_empty() => Ok(Self { service, local, environments }),
            _ => Err(Invalid(problems)),
        }
    }
}

impl Service {
    fn read(mut reader: Reader) -> Self {
        let service = Self {
            name: reader.string("name", None, rules::REPOSITORY),
            features: reader.list("features", rules::FEATURE),
            port: reader.port("port", 8080),
            health_path: reader.string("health_path", Some("/health"), rules::PATH),
            smoke_path: reader.string("smoke_path", Some("/"), rules::PATH),
            smoke_contains: reader.string("smoke_contains", Some(""), rules::ANY),
            version_path: reader.optional("version_path", rules::PATH),
            before_release: reader.list("before_release", rules::COMMAND),
        };
        reader.finish();
        service
    }
}

impl Environment {
    fn read((name, mut reader): (String, Reader)) -> (String, Self) {
        reader.check_name(&name, rules::ENVIRONMENT);
        let protected = reader.boolean("protected", false);
        // Where every change is asked for, nobody has to remember to ask for this.
        let default = protected.then_some(Severity::Critical);
        let environment = Self {
            name: name.clone(),
            region: reader.string("region", None, rules::REGION),
            account: reader.optional("account", rules::ACCOUNT),
            stack: reader.string("stack", None, rules::STACK),
            instances: reader.boolean("instances", false),
            execution_role: reader.optional("execution_role", rules::ROLE),
            template: reader.string("template", None, rules::TEMPLATE),
            needs: reader.list("needs", rules::NEEDS),
            image_parameter: reader.string("image_parameter", Some(IMAGE_PARAMETER), rules::PARAMETER),
            url_output: reader.string("url_output", Some(URL_OUTPUT), rules::OUTPUT),
            parameters: reader.parameters("parameters"),
            env: reader.map("env", rules::VARIABLE, rules::VALUE.allowed, rules::VALUE.holds),
            secrets: reader.secrets("secrets"),
            secrets_key: reader.optional("secrets_key", rules::KEY),
            permissions: reader.optional("permissions", rules::PERMISSIONS),
            protected,
            watch_minutes: reader.number("watch_minutes", 0, 0..=180, rules::WATCH_MINUTES),
            endpoint: reader.optional("endpoint", rules::URL),
            registry: reader.optional("registry", rules::REGISTRY),
            smoke_url: reader.optional("smoke_url", rules::URL),
            attested: reader.boolean("attested", false),
            block_severity: match reader.word("block_severity", &rules::SEVERITIES) {
                Some(word) => Severity::of(&word),
                None => default,
            },
        };
        for name in environment.env.keys().filter(|name| environment.secrets.contains_key(*name)) {
            reader.problem(&format!("secrets.{name}"), None, "a name that is not in `env` too");
        }
        reader.finish();
        (name, environment)
    }
}

impl Severity {
    /// `None` for `none`, and for words that [`rules::SEVERITIES`] does not have.
    fn of(word: &str) -> Option<Self> {
        match word {
            "critical" => Some(Self::Critical),
            "high" => Some(Self::High),
            "medium" => Some(Self::Medium),
            "low" => Some(Self::Low),
            _ => None,
        }
    }

    /// As `deploy.toml` writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

#[cfg(test)]
mod tests;
