//! Differences as Markdown, for a comment on a pull request or a job's summary.

use super::summary::{Summary, named, replaced};
use crate::record::Change;
use crate::stack::ResourceChange;

/// Most rows of a table: a comment has 65,536 characters at most.
const ROWS: usize = 120;

/// A table of changes, with a line break at its end; empty without changes.
pub fn changes(changes: &[ResourceChange]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = "| Change | Resource | Type | What changes |\n| --- | --- | --- | --- |\n".to_owned();
    for change in changes.iter().take(ROWS) {
        let replaced = match replaced(change) {
            Some("replaced") => ", ⚠️ **replaced**",
            Some(_) => ", ⚠️ perhaps replaced",
            None => "",
        };
        let [action, id, kind] = [&change.action, &change.logical_id, &change.resource_type].map(|text| escape(text));
        let paths = escape(&named(&change.properties));
        table.push_str(&format!("| {action}{replaced} | {id} | {kind} | {paths} |\n"));
    }
    if changes.len() > ROWS {
        table.push_str(&format!("\nand {} more\n", changes.len() - ROWS));
    }
    table
}

/// Escapes text for Markdown, on one line.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            // As an entity: GitHub links an @name even behind a backslash.
            '@' => escaped.push_str("&#64;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The whole difference, under a heading.
pub fn document(summary: &Summary) -> String {
    let Summary { environment, region, stack, commit, change, image, cost, eta, warnings, notes, .. } = summary;
    let [environment, region, stack] = [environment, region, stack].map(|text| escape(text));
    let commit = match commit {
        Some(commit) => format!("commit {}", commit.get(..12).unwrap_or(commit)),
        None => "a work tree with changes that are in no commit".to_owned(),
    };
    let mut parts = vec![
        format!("### {environment}: what a release would change"),
        format!("Stack **{stack}** in {region}, from {commit}."),
    ];
    parts.extend(warnings.iter().map(|warning| format!("⚠️ **{}**", escape(warning))));
    if *change == Change::None {
        parts.push("Nothing would change.".to_owned());
    } else if summary.changes.is_empty() {
        parts.push("No resource would change.".to_owned());
    }
    let table = changes(&summary.changes);
    if !table.is_empty() {
        parts.push(table.trim_end().to_owned());
    }
    let mut list = Vec::new();
    list.extend(image.as_ref().map(|image| format!("- Image: {}", escape(&image.to_string()))));
    list.extend(summary.container.iter().map(|change| format!("- Container: {}", escape(&change.to_string()))));
    if *change != Change::None {
        list.extend(cost.as_ref().map(|cost| format!("- Cost: {}", escape(&cost.to_string()))));
        list.extend(eta.as_ref().map(|eta| format!("- Time: {}", escape(&eta.to_string()))));
    }
    list.extend(notes.iter().map(|note| format!("- Note: {}", escape(note))));
    if !list.is_empty() {
        parts.push(list.join("\n"));
    }
    parts.push(format!(
        "<sub>Computed from the templates, by reading only. `cargo xtask diff {name}` shows the same; `cargo xtask plan \
         {name} --out plan.json` asks CloudFormation.</sub>",
        name = summary.environment
    ));
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
pub mod tests;
