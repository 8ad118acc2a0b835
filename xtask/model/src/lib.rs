//! What the release tool computes by itself. Pure: no I/O, no client, no clock.

pub mod attestation;
pub mod changelog;
pub mod container;
pub mod cost;
pub mod credentials;
pub mod diff;
pub mod drift;
pub mod eta;
pub mod guard;
pub mod history;
pub mod job;
pub mod outcome;
pub mod parameters;
pub mod partition;
pub mod policy;
pub mod progress;
pub mod provenance;
pub mod record;
pub mod reference;
pub mod report;
pub mod scan;
pub mod stack;
pub mod status;
pub mod template;
pub mod templates;
pub mod trust;
