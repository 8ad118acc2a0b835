//! Every state that CloudFormation has, at the start of every command that changes something.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_sdk_cloudformation::types::StackStatus;

use super::*;
use crate::fakes::ssm::Journal;

const COMMANDS: [(&str, &[&str]); 9] = [
    ("release", &["release", "dev", "--no-smoke", "--yes"]),
    ("deploy", &DEPLOY),
    ("rollback", &["rollback", "dev", "1", "--no-smoke", "--yes"]),
    ("apply", &["apply", "plan.json", "--no-smoke", "--yes"]),
    ("destroy", &["destroy", "dev", "--yes"]),
    ("recover", &["recover", "dev", "--yes"]),
    ("cancel", &["cancel", "dev", "--yes"]),
    ("unlock", &["unlock", "dev", "--yes"]),
    ("prune", &["prune", "dev", "--yes"]),
];

/// Exit codes in the order of the commands.
const EXPECTED: &str = "\
CREATE_COMPLETE                              0 0 0 1 0 1 1 0 0
CREATE_FAILED                                0 0 0 1 0 1 1 0 0
CREATE_IN_PROGRESS                           0 0 0 1 1 1 0 0 0
DELETE_COMPLETE                              0 0 0 1 0 1 1 0 0
DELETE_FAILED                                0 0 0 1 0 1 1 0 0
DELETE_IN_PROGRESS                           0 0 0 1 0 1 1 0 0
IMPORT_COMPLETE                              0 0 0 1 0 1 1 0 0
IMPORT_IN_PROGRESS                           0 0 0 1 1 1 1 0 0
IMPORT_ROLLBACK_COMPLETE                     0 0 0 1 0 1 1 0 0
IMPORT_ROLLBACK_FAILED                       5 5 5 1 0 0 1 0 0
IMPORT_ROLLBACK_IN_PROGRESS                  0 0 0 1 1 1 1 0 0
REVIEW_IN_PROGRESS                           0 0 0 1 0 1 1 0 0
ROLLBACK_COMPLETE                            0 0 0 1 0 1 1 0 0
ROLLBACK_FAILED                              0 0 0 1 0 1 1 0 0
ROLLBACK_IN_PROGRESS                         0 0 0 1 1 1 1 0 0
UPDATE_COMPLETE                              0 0 0 0 0 1 1 0 0
UPDATE_COMPLETE_CLEANUP_IN_PROGRESS          0 0 0 1 1 1 1 0 0
UPDATE_FAILED                                5 5 5 1 0 0 1 0 0
UPDATE_IN_PROGRESS                           0 0 0 1 1 1 0 0 0
UPDATE_ROLLBACK_COMPLETE                     0 0 0 1 0 1 1 0 0
UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS 0 0 0 1 1 1 1 0 0
UPDATE_ROLLBACK_FAILED                       5 5 5 1 0 0 1 0 0
UPDATE_ROLLBACK_IN_PROGRESS                  0 0 0 1 1 1 1 0 0
";

/// Two releases, as Systems Manager remembers them.
fn remembered() -> Journal {
    let (fakes, sandbox) = start(world(stack("UPDATE_COMPLETE")));
    for tag in ["v1", "v2"] {
        let image = format!("{REPOSITORY}:{tag}");
        let ended = end(&sandbox, sandbox.start(&["deploy", "dev", "--image", &image, "--no-smoke"]), 100);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    std::mem::take(&mut fakes.world().journal)
}

#[test]
fn every_command_ends_with_a_defined_code() {
    let journal = remembered();
    let cases: Vec<(&str, &str, &[&str])> = StackStatus::values()
        .iter()
        .flat_map(|status| COMMANDS.map(|(name, arguments)| (*status, name, arguments)))
        .collect();
    let codes = Mutex::new(BTreeMap::new());
    side_by_side(&cases, |(status, name, arguments)| {
        let (fakes, sandbox) = start(World { journal: journal.clone(), ..world(stack("UPDATE_COMPLETE")) });
        if *name == "apply" {
            let arguments = ["plan", "dev", "--out", "plan.json"];
            let ended = end(&sandbox, sandbox.start(&arguments), 200);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
        }
        fakes.world().timeline.as_mut().unwrap().turn(status);
        let ended = end(&sandbox, sandbox.start(arguments), 300);
        let failed = if ended.code == 0 { String::new() } else { "next: ".to_owned() };
        assert!(ended.stderr.contains(&failed), "{name} at {status} has no next step: {}", ended.stderr);
        assert!([0, 1, 4, 5].contains(&ended.code), "{name} at {status}: {}", ended.stderr);
        let left = fakes.world().journal.keys().any(|name| name.ends_with("/lock"));
        assert!(!left, "{name} at {status} leaves its lock");
        codes.lock().unwrap().insert((*status, *name), ended.code);
    });
    let codes = codes.into_inner().unwrap();
    let line = |status: &&str| {
        let code = |(name, _): &(&str, _)| codes[&(*status, *name)].to_string();
        format!("{status:<44} {}\n", COMMANDS.iter().map(code).collect::<Vec<_>>().join(" "))
    };
    let table: String = StackStatus::values().iter().map(line).collect();
    assert_eq!(table, EXPECTED);
}
