//! The service as its callers meet it: the real server on a port of its own, and the finished program.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod docs;
mod names;
mod program;
mod server;
