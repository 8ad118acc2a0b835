//! The Cargo workspace whose service becomes an image.

use std::collections::BTreeMap;
use std::path::Path;

use config::deployment::Service;

/// Where the sources are, and by which settings they are compiled.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// The folder of `Cargo.toml` and `deploy.toml`.
    pub root: &'a Path,
    pub service: &'a Service,
    /// The process environment.
    pub vars: &'a BTreeMap<String, String>,
}
