//! The service as its callers and operators meet it: the real server on a port of its own, and the finished program.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod client;
mod cross_origin;
mod docs;
mod errors;
mod limits;
mod names;
mod operators;
mod own_backend;
mod process;
mod program;
mod requests;
mod server;
mod shutdown;
