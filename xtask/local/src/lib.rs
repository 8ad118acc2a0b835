//! The release tool without AWS: its command line, its printer, and the commands that work on this machine alone.
//!
//! The program `local` is this library and nothing else, so that it is compiled in a fifth of the time of the whole tool;
//! it starts the whole tool for every other command. `xtask` has the same library, for both the same command line.

pub mod build;
pub mod cli;
pub mod commands;
pub mod context;
mod github;
pub mod handover;
pub mod run;
pub mod smoke;
pub mod ui;
