//! What deploy.toml gives a service's container: variables, secrets, permissions, and the command before a release.
//!
//! CloudFormation has no list of variable length among its parameters, so these become part of the template's text, at the
//! place that the template's `Metadata.Release.Container` names. Pure: text in, text out.

mod ahead;
mod changes;
mod grants;
mod insert;
mod read;
mod text;

use std::collections::BTreeMap;

use config::deployment::{Environment, SECRET_VERSIONS, SecretReference};
use serde_json::Value;

use crate::template::{ContainerPlace, Definition, Template};
pub use ahead::grant_ahead;
pub use changes::{Action, VariableChange, changes};
pub use grants::{Refused, allowed_actions, read_permissions};
pub use insert::NotRenderable;
pub use read::{Container, own_names, read};

/// The policies that are added to roles: for reading the secrets, and what the service itself may do.
const SECRETS_POLICY: &str = "deploy-secrets";
const PERMISSIONS_POLICY: &str = "deploy-permissions";

/// What is added to a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Additions {
    pub env: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Secret>,
    /// IAM statements of the service's own.
    pub permissions: Vec<Value>,
    /// Runs before the service where nothing but the machine itself can run it; empty for none.
    pub before: Vec<String>,
}

/// A secret that a container gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub reference: SecretReference,
    /// What AWS calls the version that a container would get now; `None` where nobody has asked.
    pub version: Option<String>,
    /// Id, ARN or alias of the customer's key that encrypts it; `None` for AWS's own.
    pub key: Option<String>,
}

impl Additions {
    /// What an environment gives its container, with all references to outputs filled in; secrets whose reference is still
    /// open are left out. What only AWS knows of the secrets is not known yet.
    pub fn of(environment: &Environment, permissions: Vec<Value>, before: &[String]) -> Self {
        let secret = |(name, text): (&String, &String)| {
            let reference = SecretReference::parse(text)?;
            Some((name.clone(), Secret { reference, version: None, key: None }))
        };
        let secrets = environment.secrets.iter().filter_map(secret).collect();
        Self { env: environment.env.clone(), secrets, permissions, before: before.to_vec() }
    }

    /// The variables, with the one that names the secrets' versions, so that a new version is a change of the container.
    fn variables(&self) -> BTreeMap<&str, String> {
        let mut variables: BTreeMap<&str, String> =
            self.env.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let version = |(name, secret): (&String, &Secret)| Some(format!("{name}={}", secret.version.as_ref()?));
        let versions: Vec<String> = self.secrets.iter().filter_map(version).collect();
        if !versions.is_empty() {
            variables.insert(SECRET_VERSIONS, versions.join(" "));
        }
        variables
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Template {
    /// The template with these additions to its container.
    ///
    /// # Errors
    /// A template that does not say where its container is, or where nothing can be added; a variable that the template sets
    /// itself; more than AWS takes.
    pub fn with_container(&self, additions: &Additions) -> Result<Self, NotRenderable> {
        let mut additions = additions.clone();
        if let Some(ContainerPlace { definition: Definition::Task { .. }, .. }) = &self.container {
            // The tool runs it, as a task of its own.
            additions.before.clear();
        }
        if additions.is_empty() { Ok(self.clone()) } else { insert::insert(self, &additions) }
    }
}

#[cfg(test)]
mod tests;
