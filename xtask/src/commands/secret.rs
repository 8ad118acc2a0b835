//! `secret`: stores, lists and removes the values of a container's secrets, which deploy.toml names and does not have.
//!
//! A value is a parameter of Systems Manager below [`Environment::secrets_path`]. Nobody but the service's own role reads it.
//! No lock is taken: a new version changes nothing that runs, and the next release takes the newest.

mod list;
mod remove;
mod set;

use anyhow::Result;
use config::deployment::{Environment, SecretReference};

use crate::context::Context;
use local::cli::Secret;
use local::ui::Ui;

pub(super) async fn run(action: &Secret, context: &Context, ui: &Ui) -> Result<()> {
    match action {
        Secret::Set(set) => set::run(&set.environment, &set.name, context, ui).await,
        Secret::List { environment } => list::run(&environment.environment, context, ui).await,
        Secret::Remove { environment, name } => remove::run(environment, name, context, ui).await,
    }
}

/// The parameter in which a secret of this name is kept.
fn parameter(environment: &Environment, name: &str) -> String {
    format!("{}/{name}", environment.secrets_path())
}

/// Whether a reference, as deploy.toml or a template has it, is to this parameter.
fn is_of(reference: &str, parameter: &str) -> bool {
    SecretReference::parse(reference).is_some_and(|reference| reference.parameter() == Some(parameter))
}
