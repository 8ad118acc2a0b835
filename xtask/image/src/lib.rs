//! From source to an image in an OCI registry: cargo, the Docker engine, the registry. Knows nothing of AWS.

pub mod artifact;
pub mod cargo;
pub mod docker;
pub mod git;
pub mod oci;
mod precompiled;
pub mod sbom;
