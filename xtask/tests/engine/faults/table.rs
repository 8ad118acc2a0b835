//! The list of all cases, `cases.md`. `docs/faults.md` is its summary, which `xtask/tests/it/faults.rs` compares with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::calls::Start;
use super::setup::Place;

/// Set to write the table instead of comparing it.
const BLESS: &str = "BLESS_FAULTS";

const HEAD: &str = "\
# Faults

What a release does when one of its steps fails, and what the next one does. Written by the suite `faults`
(`cargo test -p xtask --test engine faults`), which runs the finished tool against ministack behind microburst, a real
Docker engine and a real registry, and compares every run with this list. `BLESS_FAULTS=1` writes it anew, and then
`BLESS_FAULTS=1 cargo test -p xtask --test it page_of_faults` its summary, docs/faults.md.

Every case ends within its deadline, without a panic and without a secret in any output. After every one the same
command, without the fault, ends with 0: the stack runs the wanted image, exactly one deployment of it was made and
exactly one release recorded, and neither a change set nor a lock is left over.

Faults last until the run ends, unless the table says otherwise; while a stack is at work the tool waits longer for AWS
than the suite does, so that there some end after 15 attempts. *Expired token* refuses one kind of call, *credentials
expired for good* every call to AWS from that one on. *Killed* is SIGKILL while the call is under way. The
refusals of the registry and of the endpoint are modelled answers; their cuts and kills are real. What a cut looks like
depends on the moment, so its reason is left out. Exit codes: 0 done · 1 failed, the environment's stack was not
changed · 3 preflight · 5 needs a human.
";

/// One case.
pub(crate) struct Row {
    pub(crate) phase: &'static str,
    pub(crate) call: String,
    pub(crate) start: Start,
    pub(crate) fault: &'static str,
    pub(crate) exit: String,
    pub(crate) message: String,
    pub(crate) left: String,
    pub(crate) next: String,
}

/// Writes the table to cargo's target folder, to debug a failure.
pub(crate) fn keep(rows: &[Row]) -> Result<()> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.md");
    std::fs::write(&path, page(rows)).with_context(|| format!("cannot write {}", path.display()))
}

/// Compares the table with the published one, or publishes it.
pub(crate) fn settle(rows: &[Row]) -> Result<()> {
    let (text, path) = (page(rows), path());
    if std::env::var_os(BLESS).is_some() {
        return std::fs::write(&path, text).context("cannot write the table");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |one: &str, other: &str, mark: char| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|same| same == *line))
            .map(|line| format!("{mark} {line}"))
            .collect()
    };
    let differences = [lines(&published, &text, '-'), lines(&text, &published, '+')].concat();
    if !differences.is_empty() {
        bail!("faults/cases.md is not what was seen; {BLESS}=1 writes it anew:\n{}", differences.join("\n"));
    }
    Ok(())
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/faults/cases.md")
}

fn page(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    write!(text, "\n{} cases.\n", rows.len()).expect("a string takes everything");
    let mut section = None;
    for row in rows {
        let begins = match row.start {
            Start::Nothing => "first release, no repository yet",
            Start::Image => "first release, the image is in the registry",
            Start::Sources => "first release, the registry has the image of other sources",
            Start::Unrecorded => "what runs, once more, and no record of it",
            Start::Other => "another image than the one that runs",
        };
        let title = format!("{}: {} ({begins})", row.phase, row.call);
        if section.as_ref() != Some(&title) {
            write!(
                text,
                "\n## {title}\n\n| fault | exit | message | left behind | next run |\n|---|---|---|---|---|\n"
            )
            .expect("a string takes everything");
            section = Some(title);
        }
        let Row { fault, exit, message, left, next, .. } = row;
        writeln!(text, "| {fault} | {exit} | {} | {left} | {next} |", message.replace('|', "\\|").replace('\n', " "))
            .expect("a string takes everything");
    }
    text
}

/// Without names and numbers that differ from run to run.
pub(crate) fn plain(text: &str, place: &Place) -> String {
    let text = text.replace(&place.service, "SERVICE").replace(&place.stack, "STACK");
    let text = after(&text, "127.0.0.1:", "PORT", |c| c.is_ascii_digit());
    let text = after(&text, "sha256:", "…", |c| c.is_ascii_hexdigit());
    let text = after(&text, "content-", "…", |c| c.is_ascii_hexdigit());
    let text = after(&text, "xtask-1", "…", |c| c.is_ascii_digit() || c == '-');
    text.replace("xtask-1…", "xtask-…")
}

/// Replaces what follows `mark` for as long as it is `wanted`.
fn after(text: &str, mark: &str, with: &str, wanted: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(wanted);
        out.push_str(mark);
        out.push_str(if rest.len() < part.len() { with } else { "" });
        out.push_str(rest);
    }
    out
}
