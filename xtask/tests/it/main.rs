//! What holds without a network: the layers, the templates, and the finished release tool beside faked counterparts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod behaviours;
mod cancellation;
mod contract;
mod counterparts;
mod dashboard;
mod layering;
mod policy;
mod redeploy;
mod roles;
mod sandbox;
mod schema;
mod secrets;
mod templates;
mod transcripts;
mod workflows;
