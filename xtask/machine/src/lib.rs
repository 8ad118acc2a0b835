//! How the release tool reaches the world from its machine: over HTTP, through other programs, and what signals it gets.

pub mod child;
pub mod http;
pub mod interrupt;
