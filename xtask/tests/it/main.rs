//! What holds without a network: the layers, the templates, and the finished release tool beside faked counterparts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod behaviours;
mod cancellation;
mod contract;
mod counterparts;
mod dashboard;
mod layering;
#[cfg(target_os = "linux")]
mod local;
mod network;
mod passwords;
mod policy;
mod profiles;
mod redeploy;
mod requirements;
mod roles;
mod sandbox;
mod schema;
mod secrets;
mod sources;
mod templates;
mod transcripts;
mod watching;
mod workflows;
