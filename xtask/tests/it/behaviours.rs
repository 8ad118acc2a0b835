//! The tests that documents name exist, and every required behaviour of `docs/behaviours.md` has one.

use std::collections::BTreeSet;
use std::fs;

use crate::sources::{self, root};

const BEHAVIOURS: &str = "docs/behaviours.md";
const POINTS: usize = 19;
/// Fewest words of a test's name; other names in the documents are shorter.
const WORDS: usize = 4;

#[test]
fn every_behaviour_names_tests() {
    let text = fs::read_to_string(root().join(BEHAVIOURS)).unwrap();
    let sources = sources();
    let mut points = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, _, tests] = cells[..] else { panic!("not four cells: {row}") };
        points.insert(number.parse::<usize>().unwrap());
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "point {number} has no test");
        names
            .iter()
            .for_each(|name| assert!(is_test(name, &sources), "point {number} names {name}, which there is not"));
    }
    assert_eq!(points, (1..=POINTS).collect());
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources = sources();
    let documents = sources::files(&root().join("docs")).into_iter().chain([root().join("ARCHITECTURE.md")]);
    for path in documents.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        let looks_like_one = |name: &&str| {
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            is_name && name.split('_').count() >= WORDS
        };
        for name in text.split('`').skip(1).step_by(2).filter(looks_like_one) {
            assert!(is_test(name, &sources), "{} names {name}, which there is not", path.display());
        }
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut broken = Vec::new();
    let mut count = 0;
    for path in sources::files(&root()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        // A block is a file of elsewhere, or an example.
        let text: String = text.split("```").step_by(2).collect();
        for target in text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.contains([' ', '{']) {
                continue;
            }
            count += 1;
            if !path.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(count > 50 && broken.is_empty(), "{}", broken.join("\n"));
}

fn sources() -> String {
    sources::all().into_iter().map(|source| source.text).collect()
}

/// Whether there is a function of that name, or a named test of a suite without a harness.
fn is_test(name: &str, sources: &str) -> bool {
    sources.contains(&format!("fn {name}(")) || sources.contains(&format!("::{name}\""))
}
