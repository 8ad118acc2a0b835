//! Snapshots of the command line: exit code, stdout and stderr, word for word.

mod blue_green;
pub(crate) mod bootstrap;
mod check_token;
mod container;
mod diff;
mod doctor;
mod drift;
mod environments;
mod events;
mod foreign_templates;
mod github;
mod help;
mod images;
mod instances;
pub(crate) mod needs;
mod refused;
mod refused_values;
mod releases;
mod rollback;
pub(crate) mod secret;
mod smoke;
mod streams;
mod verify;
mod waits;
mod without_image;
