//! GitHub Actions: what a job's environment says, and the result of a command as annotations, a summary and outputs.
//!
//! It works wherever the same variables are set
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>). The formats are those of workflow
//! commands (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

mod summary;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::ui::Ui;
use model::job::{is_job, set};
use model::outcome::Failure;
use model::report::Report;

/// Reports the result of `command` to the job that runs it, if there is one. A file that cannot be written is a warning.
pub(crate) fn report(command: &str, report: &Report, vars: &BTreeMap<String, String>, ui: &Ui) {
    if !is_job(vars) {
        return;
    }
    for annotation in report.error.iter().flat_map(annotations) {
        ui.runner_command(&annotation);
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

/// The step's outputs, one on each line.
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

/// The text of a workflow command, escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command, in which comma and colon are escaped too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::outcome::{Exit, FailureKind, Place, preflight};
    use model::record::Change;

    fn failure() -> Failure {
        Failure::new(Exit::RolledBack, FailureKind::RolledBack, "stack rest-api-dev failed, and is rolled back")
            .resource("Service (AWS::ECS::Service)")
            .reason("100% of the tasks failed:\nexit code 1")
            .place(Some(Place { file: "infra/a,b.yaml".to_owned(), line: 12 }))
            .hint("cargo xtask logs dev")
    }

    #[test]
    fn an_annotation_points_to_the_line_of_the_template() {
        let [annotation] = &annotations(&failure())[..] else { panic!("one failure is one annotation") };
        assert_eq!(
            annotation,
            "::error file=infra/a%2Cb.yaml,line=12,title=stack rest-api-dev failed%2C and is rolled back::Service \
             (AWS::ECS::Service)%0A100%25 of the tasks failed:%0Aexit code 1%0Anext: cargo xtask logs dev"
        );
    }

    #[test]
    fn each_of_several_problems_has_its_own_annotation() {
        let problems = ["one", "two"].map(|name| Failure::new(Exit::Preflight, FailureKind::Docker, name));
        let annotations = annotations(&preflight(&problems));
        assert_eq!(annotations, ["::error title=one::one", "::error title=two::two"]);
    }

    #[test]
    fn outputs_are_a_line_each_and_name_nothing_else() {
        let report = Report {
            url: Some("https://a.example/production".to_owned()),
            image: Some("evil\nurl=https://b.example".to_owned()),
            change: Some(Change::Update),
            ..Report::default()
        };
        assert_eq!(outputs(&report), "url=https://a.example/production\nchange=update\n");
    }
}
