//! What every fault of every step does to a release: the finished tool against an emulator that fails on purpose.
//!
//! The cases run side by side, because most of their time is waiting before another attempt. Each has its own stack and
//! access key, by which the rules of faults are distinguished.

mod calls;
mod case;
mod leftovers;
mod link;
mod microburst;
mod service;
mod setup;
mod table;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use requirements::{DOCKER_REGISTRY, HTPASSWD, MICROBURST, Programs, Suite};
use serde_json::json;

use crate::ministack::{self, Names};
use calls::{ASIDE, CALLS, Call, FAULTS, Fault};
use setup::{Place, Setup};
use table::Row;

/// Names cases to run alone, as `PHASE` or `FAULT` or a part of either; the table is then not compared.
const ONLY: &str = "FAULTS_ONLY";
/// Cases at a time.
const WORKERS: usize = 32;
/// Fewest cases of the table.
const LEAST: usize = 60;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = [ministack::needed(Names::Machine), &[MICROBURST, DOCKER_REGISTRY, HTPASSWD]].concat();
    vec![suite.test("faults::every_step_under_every_fault_is_as_published", &needed, every)]
}

fn every(programs: &Programs) -> Result<()> {
    let cases: Vec<(&Call, Fault)> = CALLS
        .iter()
        .flat_map(|call| FAULTS.map(|fault| (call, fault)))
        .filter(|(call, fault)| fault.applies_to(call))
        .collect();
    assert!(cases.len() >= LEAST, "only {} cases", cases.len());
    let only = std::env::var(ONLY).ok();
    let chosen: Vec<(usize, &Call, Fault)> = cases
        .iter()
        .enumerate()
        .map(|(number, (call, fault))| (number, *call, *fault))
        .filter(|(_, call, fault)| {
            only.as_ref().is_none_or(|only| {
                format!("{} {} {}", call.phase, call.name(), fault.name(call)).contains(only.as_str())
            })
        })
        .collect();
    let setup = Setup::set(programs)?;
    let shared = format!("faults-{}", std::process::id());
    let seeds = seed(&setup, &shared)?;
    let rows = side_by_side(&setup, &shared, chosen);
    drop(seeds);
    match (only, rows?) {
        (Some(_), _) => Ok(()),
        (None, rows) => table::settle(&rows),
    }
}

/// Brings both images that the cases release into the registry, and sees that the table has every call of a release.
fn seed(setup: &Setup, shared: &str) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let named: BTreeSet<String> = CALLS.iter().map(Call::name).chain(ASIDE.map(str::to_owned)).collect();
    for (number, content) in [(9000, 0), (9001, 1)] {
        let place = Place::new(setup, number, shared, true, &setup.ministack.authority())?;
        place.content(content, content)?;
        let all = setup.microburst.add(&place.key, json!({ "service": "*", "latency": 0.01 }))?;
        // Created, updated, and left as it is.
        for content in [content, 1 - content, 1 - content] {
            place.content(content, content)?;
            place.well(&["release", "dev"], setup::UNDISTURBED)?;
        }
        let calls = setup.microburst.calls(all)?;
        let missing: Vec<&String> = calls.difference(&named).collect();
        ensure!(calls.len() > 5 && missing.is_empty(), "no case is about {missing:?} of {calls:?}");
        places.push(place);
    }
    Ok(places)
}

/// Runs the cases, those that may take longest first.
fn side_by_side(setup: &Setup, shared: &str, mut cases: Vec<(usize, &Call, Fault)>) -> Result<Vec<Row>> {
    cases.sort_by_key(|(_, call, _)| call.deadline);
    let (waiting, ended) = (Mutex::new(cases), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((number, call, fault)) = next else { break };
                    let row = case::run(setup, shared, number, call, fault);
                    let named = (number, format!("{}, {}, {}", call.phase, call.name(), fault.name(call)), row);
                    ended.lock().unwrap_or_else(PoisonError::into_inner).push(named);
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(number, ..)| *number);
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (_, name, row) in ended {
        match row {
            Ok(row) => rows.push(row),
            Err(error) => failed.push(format!("## {name}\n{error:#}")),
        }
    }
    table::keep(&rows)?;
    if !failed.is_empty() {
        bail!("{} of {} cases failed:\n{}", failed.len(), failed.len() + rows.len(), failed.join("\n"));
    }
    Ok(rows)
}
