//! A command's result as Markdown, for the summary of a workflow run. Pure.

use model::diff::markdown::{changes, escape};
use model::outcome::Failure;
use model::report::Report;

/// Findings that a summary shows; a scan may have thousands.
const FINDINGS: usize = 20;

/// The result of `command`; empty if there is none to show.
pub(crate) fn markdown(command: &str, report: &Report) -> String {
    let facts = facts(report);
    if facts.is_empty() && report.error.is_none() {
        return String::new();
    }
    let end = if report.ok { "done" } else { "failed" };
    let mut text = format!("### {}: {end}\n\n", code(command));
    if let Some(error) = &report.error {
        text.push_str(&failure(error));
    }
    text.push_str(&table(&["", ""], facts));
    text.push_str(&needs(report));
    if let Some(all) = report.changes.as_deref().filter(|all| !all.is_empty()) {
        text.push_str(&self::changes(all));
        text.push('\n');
    }
    text.push_str(&list(report.plan.as_deref().unwrap_or_default()));
    text.push_str(&drift(report));
    text.push_str(&findings(report));
    text.push_str(&list(&report.notes));
    if let Some(checks) = &report.checks {
        let rows = checks.iter().map(|check| {
            let mark = if check.ok { "ok" } else { "**!!**" };
            let hint = check.hint.as_deref().map(code).unwrap_or_default();
            vec![mark.to_owned(), check.name.to_owned(), escape(&check.detail), hint]
        });
        text.push_str(&table(&["", "check", "found", "next"], rows.collect()));
    }
    text.push_str(&phases(report));
    text
}

/// The facts about the release, in two columns.
fn facts(report: &Report) -> Vec<Vec<String>> {
    let owned = |text: &Option<String>| text.as_deref().map(code);
    let release = report.release.map(|number| number.to_string());
    let facts = [
        ("environment", owned(&report.environment)),
        ("URL", report.url.as_deref().map(link)),
        ("digest", owned(&report.digest)),
        ("stack", owned(&report.stack)),
        ("change", report.change.map(|change| code(change.as_str()))),
        ("release", release),
        ("served digest", report.smoke.as_ref().and_then(|smoke| smoke.served_digest.as_deref()).map(code)),
        ("fixed monthly cost", report.cost.as_ref().map(|cost| escape(&cost.to_string()))),
        ("time", report.eta.as_ref().map(|eta| escape(&eta.to_string()))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?])).collect()
}

/// The environments that this one needs, and what became of them.
fn needs(report: &Report) -> String {
    let rows = report.needs.iter().map(|need| {
        let change = need.change.map(|change| code(change.as_str())).unwrap_or_default();
        vec![escape(&need.environment), code(&need.stack), change]
    });
    table(&["needs", "stack", "change"], rows.collect())
}

/// A failure with its details.
fn failure(failure: &Failure) -> String {
    let mut text = format!("> [!CAUTION]\n> {}\n\n", escape(&failure.message));
    let place = failure.place.as_ref().map(ToString::to_string);
    let parts = [("resource", &failure.resource), ("place", &place), ("next", &failure.hint)];
    let rows = parts.iter().filter_map(|(name, part)| Some(vec![(*name).to_owned(), code(part.as_deref()?)]));
    let console = failure.console.as_deref().map(|url| vec!["console".to_owned(), link(url)]);
    text.push_str(&table(&["", ""], rows.chain(console).collect()));
    if let Some(reason) = &failure.reason {
        text.push_str(&block(reason));
    }
    if !failure.log.is_empty() {
        text.push_str("The last log lines:\n\n");
        text.push_str(&block(&failure.log.join("\n")));
    }
    text + &list(&failure.notes)
}

/// Resources that drifted, without values, since everybody with access to the run can see them.
fn drift(report: &Report) -> String {
    let rows = report.drift.iter().flatten().map(|drift| {
        let state = if drift.deleted { "**deleted**" } else { "modified" };
        let paths = drift.properties.iter().map(|property| match &property.known {
            Some(why) => format!("{} ({})", code(&property.path), escape(why)),
            None => code(&property.path),
        });
        vec![
            code(&drift.resource),
            escape(&drift.resource_type),
            state.to_owned(),
            paths.collect::<Vec<_>>().join(", "),
        ]
    });
    table(&["resource", "type", "state", "properties"], rows.collect())
}

/// The image's findings, the most severe first.
fn findings(report: &Report) -> String {
    let rows = report.findings.iter().flatten().take(FINDINGS).map(|finding| {
        let package = finding.package.as_deref().map(code).unwrap_or_default();
        vec![escape(finding.severity.word()), code(&finding.name), package]
    });
    table(&["severity", "finding", "package"], rows.collect())
}

/// How long each phase took.
fn phases(report: &Report) -> String {
    let rows = report.phases.iter().map(|phase| {
        let seconds = if phase.skipped { "skipped".to_owned() } else { format!("{:.1}", phase.seconds) };
        vec![phase.name.to_owned(), seconds]
    });
    let total = vec!["total".to_owned(), format!("{:.1}", report.seconds)];
    table(&["phase", "seconds"], rows.chain([total]).collect())
}

/// A table; nothing without rows.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let rule = format!("|{}\n", " --- |".repeat(heads.len()));
    line(&heads) + &rule + &rows.iter().map(|row| line(row)).collect::<String>() + "\n"
}

/// Text as code, on one line, also inside a table.
pub(crate) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    // In HTML, since a bar would end a table's cell even between back ticks.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('|', "&#124;");
    format!("<code>{text}</code>")
}

/// An address to follow, if it is one of the web.
fn link(url: &str) -> String {
    let plain = url.starts_with("https://") || url.starts_with("http://");
    if plain && !url.contains(['<', '>', '"', '\n', ' ']) { format!("<{url}>") } else { code(url) }
}

/// Lines as they are. The fence is longer than any that they have.
fn block(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n\n")
}

/// Sentences, a point each; nothing without any.
fn list(sentences: &[String]) -> String {
    let points: String = sentences.iter().map(|sentence| format!("- {}\n", escape(sentence))).collect();
    if points.is_empty() { points } else { points + "\n" }
}

#[cfg(test)]
mod tests;
