//! `docs/faults.md` is the summary of every case that the end-to-end suite `faults` has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use crate::sources::root;

const CASES: &str = "xtask/tests/engine/faults/cases.md";
const PAGE: &str = "docs/faults.md";
/// Set to write the page instead of comparing it; the suite writes its cases with the same variable.
const BLESS: &str = "BLESS_FAULTS";

const HEAD: &str = "\
# Faults

What a release does when one of its calls fails: killed, network cut, answer lost, throttled, 500, denied, credentials
expired. A suite runs the finished tool with a real Docker engine and registry and an emulator of AWS, and compares every
case with [its list](../xtask/tests/engine/faults/cases.md); this page is the summary of that list.

Every case ends within its deadline, without a panic and without a secret in any output. After every one the same command,
without the fault, ends with 0: the stack runs the wanted image, which was deployed and recorded exactly once, and neither a
change set nor a lock is left. Throttling, a 500 or a lost answer that passes is survived (exit code 0). Otherwise:
";

/// The exit codes of a call's cases, by what they left behind.
type Ends = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_page_of_faults_is_the_summary_of_the_cases() {
    let page = page(&fs::read_to_string(root().join(CASES)).unwrap());
    if std::env::var_os(BLESS).is_some() {
        fs::write(root().join(PAGE), &page).unwrap();
    }
    assert_eq!(fs::read_to_string(root().join(PAGE)).unwrap(), page, "{BLESS}=1 writes {PAGE} anew");
}

#[test]
fn calls_whose_cases_end_alike_share_a_row() {
    let call = |name: &str, left: &str| {
        format!(
            "\n## {name} (begins)\n\n| fault | exit | message | left behind | next run |\n|---|---|---|---|---|\n\
             | killed | killed |  | {left} | creates |\n| denied | 1 | a \\| b | nothing | creates |\n\
             | 500 twice | 0 | done | the new release | proves what runs |\n"
        )
    };
    let cases = ["# Faults\n".to_owned(), call("one: A", "lock"), call("two: B", "nothing"), call("three: C", "lock")];
    assert_eq!(
        page(&cases.concat()).strip_prefix(HEAD).unwrap(),
        "\n| step | exit code and what is left behind |\n|---|---|\n\
         | one `A`, three `C` | 1: nothing · killed: lock |\n\
         | two `B` | 1, killed: nothing |\n\n\
         9 cases: 3 survived, 3 exit code 1, 3 killed.\n"
    );
}

fn page(cases: &str) -> String {
    let (mut rows, mut totals) = (Vec::<(String, Vec<String>)>::new(), BTreeMap::<String, usize>::new());
    for section in cases.split("\n## ").skip(1) {
        let (title, table) = section.split_once('\n').expect("a section has a table");
        let (step, call) =
            title.split_once(" (").expect("a title says how it begins").0.split_once(": ").expect("a call");
        let mut ends = Ends::new();
        for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
            let row = row.replace("\\|", "");
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [_, exit, _, left, _] = cells[..] else { panic!("not five cells: {row}") };
            *totals.entry(exit.to_owned()).or_default() += 1;
            if exit != "0" || left.contains("lock") {
                ends.entry(left.to_owned()).or_default().insert(exit.to_owned());
            }
        }
        let (name, ends) = (format!("{step} `{call}`"), summary(&ends));
        match rows.iter_mut().find(|(same, _)| *same == ends) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => rows.push((ends, vec![name])),
        }
    }
    let mut text = format!("{HEAD}\n| step | exit code and what is left behind |\n|---|---|\n");
    for (ends, names) in rows {
        writeln!(text, "| {} | {ends} |", names.join(", ")).expect("a string takes everything");
    }
    let counted: Vec<String> = totals
        .iter()
        .map(|(exit, count)| match exit.as_str() {
            "0" => format!("{count} survived"),
            "killed" => format!("{count} killed"),
            code => format!("{count} exit code {code}"),
        })
        .collect();
    write!(text, "\n{} cases: {}.\n", totals.values().sum::<usize>(), counted.join(", "))
        .expect("a string takes everything");
    text
}

/// The exit codes of each thing that is left behind.
fn summary(ends: &Ends) -> String {
    let mut parts: Vec<String> = ends
        .iter()
        .map(|(left, exits)| format!("{}: {left}", exits.iter().map(String::as_str).collect::<Vec<_>>().join(", ")))
        .collect();
    parts.sort();
    parts.join(" · ")
}
