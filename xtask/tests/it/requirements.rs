//! No test starts a program by its name that may be missing on a machine with Rust.

use crate::sources;

/// What comes with Rust, or with every Unix.
const ALWAYS: [&str; 7] = ["cargo", "grep", "kill", "nice", "rustc", "sed", "sh"];
/// What searches for programs, and conditions that need one.
const SEARCH: [&str; 2] = ["xtask/requirements/", "xtask/tests/engine/conditions.rs"];

#[test]
fn every_other_program_is_a_requirement_that_its_test_names() {
    let sources = sources::all();
    let tests = sources.iter().filter(|source| source.path.contains("/tests/") || source.path.ends_with("/tests.rs"));
    let mut seen = 0;
    for source in tests.filter(|source| !SEARCH.iter().any(|path| source.path.starts_with(path))) {
        for named in source.text.split("Command::new(\"").skip(1) {
            let program = named.split('"').next().unwrap();
            assert!(ALWAYS.contains(&program), "{} starts {program}: name it as a requirement", source.path);
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} programs were found");
}
