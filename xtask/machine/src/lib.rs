//! What the release tool uses of its machine: HTTP, other programs, signals.

pub mod child;
pub mod http;
pub mod interrupt;
