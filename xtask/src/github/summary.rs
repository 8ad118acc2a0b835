//! A command's result as Markdown, for the page of the run that it belongs to. Pure.

use crate::outcome::Failure;
use crate::report::Report;
use crate::stack::change_set::Change;

/// The result of `command`; empty where there is nothing to tell.
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
    if let Some(changes) = report.changes.as_deref().filter(|changes| !changes.is_empty()) {
        text.push_str(&self::changes(changes));
    }
    if let Some(plan) = &report.plan {
        plan.iter().for_each(|step| push(&mut text, &format!("- {}", escape(step))));
        text.push('\n');
    }
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

/// The changes of a stack, a row each; what is replaced or removed stands out.
pub(crate) fn changes(changes: &[Change]) -> String {
    let rows = changes.iter().map(|change| {
        let replaced = match change.replacement.as_deref() {
            Some("True") => "**replaced**",
            Some("Conditional") => "perhaps replaced",
            _ => "",
        };
        let action = if change.action == "Remove" { "**Remove**".to_owned() } else { escape(&change.action) };
        vec![action, code(&change.logical_id), escape(&change.resource_type), replaced.to_owned()]
    });
    table(&["action", "resource", "type", "replacement"], rows.collect())
}

/// What is known of the release, two columns.
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

/// A failure, first what to do about it.
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
        text.push_str("The last lines that were logged:\n\n");
        text.push_str(&block(&failure.log.join("\n")));
    }
    failure.notes.iter().for_each(|note| push(&mut text, &format!("- {}", escape(note))));
    text + "\n"
}

/// How long each phase took.
fn phases(report: &Report) -> String {
    let rows = report.phases.iter().map(|phase| {
        let seconds = if phase.skipped { "skipped".to_owned() } else { format!("{:.1}", phase.seconds) };
        vec![phase.name.to_owned(), seconds]
    });
    let total = vec!["in all".to_owned(), format!("{:.1}", report.seconds)];
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

/// Text that Markdown and HTML leave as it is, on one line.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An at sign would notify whoever has that name, a number sign link to another thread.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' => {
                out.push('\\');
                out.push(char);
            }
            char => out.push(char),
        }
    }
    out
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

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests;
