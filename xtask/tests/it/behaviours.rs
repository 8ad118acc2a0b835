//! `docs/behaviours.md`: every required behaviour has tests, and those that it names exist.

use std::collections::BTreeSet;
use std::fs;

use crate::sources;
use crate::sources::root;

const PATH: &str = "docs/behaviours.md";
const POINTS: usize = 19;

#[test]
fn every_behaviour_names_tests_that_exist() {
    let text = fs::read_to_string(root().join(PATH)).unwrap();
    let sources: String = sources::all().into_iter().map(|source| source.text).collect();
    let mut points = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, _, tests] = cells[..] else { panic!("not four cells: {row}") };
        points.insert(number.parse::<usize>().unwrap());
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "point {number} has no test");
        for name in names {
            // A function of that name, or a named test.
            let there = sources.contains(&format!("fn {name}(")) || sources.contains(&format!("::{name}\""));
            assert!(there, "point {number} names {name}, which there is not");
        }
    }
    assert_eq!(points, (1..=POINTS).collect());
}
