//! The finished tool as its user sees it: exit code, results and everything else, word for word.

mod attestations;
mod bootstraps;
mod doctors;
mod drifts;
mod environments;
mod gates;
mod help;
mod images;
mod instances;
mod jobs;
mod proofs;
mod readers;
mod refusals;
mod releases;
mod returns;
mod streams;
mod supplements;
mod tokens;
mod waits;
mod watching;
