//! What holds without a network: the layers, the templates, and the finished release tool beside faked fakes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod behaviours;
mod cancellation;
mod cloudformation;
#[cfg(unix)]
mod completions;
mod contract;
mod dashboard;
mod fakes;
mod faults;
mod large_templates;
mod layering;
#[cfg(target_os = "linux")]
mod local;
mod network;
mod one_off;
mod passwords;
mod policy;
mod profiles;
mod redeploy;
mod requirements;
mod roles;
mod sandbox;
mod schema;
mod secrets;
mod shifting;
mod snapshots;
mod sources;
mod templates;
mod weights;
mod workflows;
