//! The finished tool as its user sees it: exit code, results and everything else, word for word.

mod bootstraps;
mod drifts;
mod environments;
mod gates;
mod help;
mod proofs;
mod readers;
mod refusals;
mod releases;
mod returns;
mod supplements;
mod watching;
