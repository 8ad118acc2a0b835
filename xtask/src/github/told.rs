//! What a command tells GitHub besides its words: annotations on lines of files, a summary, and outputs for later steps.
//!
//! The formats are those of workflow commands
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use std::collections::BTreeMap;

use std::fs::OpenOptions;
use std::io::Write as _;

use super::summary;
use crate::ui::Ui;
use model::job::{is_job, set};
use model::outcome::Failure;
use model::report::Report;

/// Tells what came of `command`, if a job wants to know. What cannot be written is a warning: it changes nothing.
pub(crate) fn tell(command: &str, report: &Report, vars: &BTreeMap<String, String>, ui: &Ui) {
    if !is_job(vars) {
        return;
    }
    for annotation in report.error.iter().flat_map(annotations) {
        ui.instruct(&annotation);
    }
    let files = [("GITHUB_STEP_SUMMARY", summary::markdown(command, report)), ("GITHUB_OUTPUT", outputs(report))];
    for (name, text) in files {
        let Some(path) = set(vars, name).filter(|_| !text.is_empty()) else { continue };
        let written = OpenOptions::new().append(true).create(true).open(path);
        if let Err(error) = written.and_then(|mut file| file.write_all(text.as_bytes())) {
            ui.warn(&format!("{name} cannot be written: {error}"));
        }
    }
}

/// An annotation for each problem, at its line where it has one.
fn annotations(failure: &Failure) -> Vec<String> {
    if !failure.problems.is_empty() {
        return failure.problems.iter().flat_map(annotations).collect();
    }
    let place = failure.place.as_ref().map(|place| format!("file={},line={},", property(&place.file), place.line));
    let parts = [&failure.resource, &failure.reason, &failure.hint];
    let labels = ["", "", "next: "];
    let rest = labels.iter().zip(parts).filter_map(|(label, part)| Some(format!("{label}{}", part.as_deref()?)));
    let text = rest.collect::<Vec<_>>().join("\n");
    let text = if text.is_empty() { failure.message.clone() } else { text };
    let (place, title) = (place.unwrap_or_default(), property(&failure.message));
    vec![format!("::error {place}title={title}::{}", data(&text))]
}

/// What later steps and jobs may want, a line each.
fn outputs(report: &Report) -> String {
    let values = [
        ("url", report.url.as_deref()),
        ("digest", report.digest.as_deref()),
        ("image", report.image.as_deref()),
        ("change", report.change.map(model::record::Change::as_str)),
    ];
    // A line break would let a value name another output.
    let one_line = |value: &&str| !value.contains(['\n', '\r']);
    let lines = values.into_iter().filter_map(|(name, value)| Some((name, value.filter(one_line)?)));
    lines.map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// A command's text, in which a line break would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which besides ends at a comma, and its name at a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;
