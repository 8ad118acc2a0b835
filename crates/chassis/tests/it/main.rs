//! What stands around a service, as its callers meet it: a real server on a port of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod client;
mod connections;
mod cross_origin;
mod docs;
mod errors;
mod limits;
mod server;
