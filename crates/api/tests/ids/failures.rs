//! A table that is out of reach, missing, or no counter: no id rather than a wrong one, and ids again by themselves.

use serde_json::json;

use crate::NamedTrial;
use crate::door::{Door, Way};
use crate::emulator::Emulator;
use crate::instance::{Instance, assert_unique, eventually};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("a_throttled_table", |emulator| outage(emulator, Way::Throttled)),
    ("a_network_that_is_cut", |emulator| outage(emulator, Way::Cut)),
    ("a_network_that_is_silent", |emulator| outage(emulator, Way::Silent)),
    ("answers_that_are_lost", |emulator| outage(emulator, Way::AnswerLost)),
    ("a_table_that_comes_later", a_table_that_comes_later),
    ("an_item_that_is_no_counter", an_item_that_is_no_counter),
    ("the_last_ids_of_all", the_last_ids_of_all),
];

const FAILED: &str = "no ids are leased; trying again";
const BLOCK: u64 = 20;

/// Ids last for a block or two, then there are none, then they are back.
fn outage(emulator: &Emulator, way: Way) {
    let table = emulator.table();
    let door = Door::to(emulator.address);
    let instance = Instance::ready(door.address, &table, BLOCK);
    let mut ids = vec![instance.id().unwrap()];
    for outage in 1..=2 {
        eventually("a block is there to begin with", || emulator.leased(&table) >= ids.last().unwrap() + BLOCK);
        door.set(way);
        let left = std::iter::from_fn(|| instance.id()).collect::<Vec<_>>();
        assert!(!left.is_empty() && left.len() as u64 <= 3 * BLOCK, "{left:?}");
        ids.extend(left);
        eventually("the reason is logged", || instance.events(FAILED).len() == outage);
        assert!((0..20).all(|_| instance.id().is_none()), "there are no ids to give");
        // What was there before is still healthy: all instances share the table.
        assert_eq!(instance.get("/health").0, 200);
        door.set(Way::Open);
        let mut next = None;
        let found = std::cell::RefCell::new(&mut next);
        eventually("ids are back", || {
            **found.borrow_mut() = instance.id();
            found.borrow().is_some()
        });
        ids.extend(next);
        eventually("the end is logged", || instance.events("ids are leased again").len() == outage);
        assert_eq!(instance.events(FAILED).len(), outage, "an outage is logged once");
    }
    let highest = *ids.iter().max().unwrap();
    let count = assert_unique(ids) as u64;
    // Blocks whose answers were lost are skipped.
    assert!(way != Way::AnswerLost || highest > count, "{highest} {count}");
}

fn a_table_that_comes_later(emulator: &Emulator) {
    let table = emulator.new_name();
    let instance = Instance::start(emulator.address, &table, BLOCK);
    eventually("the reason is logged", || !instance.events(FAILED).is_empty());
    let reason = instance.events(FAILED)[0]["error"].as_str().unwrap().to_owned();
    for part in [&table, "eu-central-1", "`counter`", "dynamodb:UpdateItem", "ResourceNotFoundException"] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    let (status, answer) = instance.get("/health");
    assert!(status == 503 && answer.ends_with(r#"{"status":"starting"}"#), "{answer}");
    // It is alive, and says which version it is; it has no ids to give.
    assert_eq!((instance.id(), instance.get("/livez").0, instance.get("/version").0), (None, 200, 200));
    emulator.create(&table);
    eventually("the service gets ready by itself", || instance.get("/health").0 == 200);
    assert_eq!(instance.id(), Some(1));
}

fn an_item_that_is_no_counter(emulator: &Emulator) {
    for wrong in [json!({"S": "7"}), json!({"N": "-1"}), json!({"N": "0.5"})] {
        let table = emulator.table();
        emulator.set(&table, &wrong);
        let instance = Instance::start(emulator.address, &table, BLOCK);
        eventually("the reason is logged", || !instance.events(FAILED).is_empty());
        assert_eq!(instance.id(), None, "{wrong}");
    }
}

fn the_last_ids_of_all(emulator: &Emulator) {
    let table = emulator.table();
    let largest = (1_u64 << 53) - 1;
    emulator.set(&table, &json!({"N": (largest - BLOCK).to_string()}));
    let instance = Instance::ready(emulator.address, &table, BLOCK);
    let ids: Vec<_> = std::iter::from_fn(|| instance.id()).collect();
    assert_eq!((ids.len() as u64, ids.last()), (BLOCK, Some(&largest)));
    eventually("the reason is logged", || !instance.events(FAILED).is_empty());
    assert!(instance.events(FAILED)[0]["error"].as_str().unwrap().contains("used up"));
    assert_eq!(emulator.leased(&table), largest);
}
