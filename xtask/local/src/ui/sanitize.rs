//! Sanitizes text from elsewhere, such as an endpoint's response or a container's log, for terminals and GitHub's runner.

use std::borrow::Cow;

/// The tool's own color sequences; see [`super::Paint`].
const OWN: [&str; 6] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];

/// Escapes control characters other than line breaks and tabs, and bidirectional controls. The tool's own colors are kept
/// if `colors` is set. JSON keeps its meaning.
pub(super) fn escape_controls(text: &str, colors: bool) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let own = OWN.iter().find(|own| colors && rest.starts_with(**own));
        let length = own.map_or(char.len_utf8(), |own| own.len());
        if own.is_none() && is_control(char) {
            out.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            out.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out.into()
}

/// Unicode's controls (C0, DEL, C1) and its bidirectional ones (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_control(char: char) -> bool {
    let bidirectional =
        matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    bidirectional || (char.is_control() && char != '\n' && char != '\t')
}

/// Prefixes every line that GitHub's runner would execute as a command; the runner ignores leading blanks.
pub(super) fn disarm_commands(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| ["::", "##["].iter().any(|start| line.trim_start().starts_with(start));
    if !text.lines().any(is_command) {
        return text.into();
    }
    let lines =
        text.lines().map(|line| if is_command(line) { format!("| {}", line.trim_start()) } else { line.into() });
    lines.collect::<Vec<_>>().join("\n").into()
}

#[cfg(test)]
mod tests {
    use super::{disarm_commands, escape_controls};

    #[test]
    fn log_lines_are_no_commands() {
        let log = "started\n::error::mine\n    ::stop-commands::x\n##[group]y\nurl http://a::b";
        let harmless = disarm_commands(log);
        assert_eq!(harmless, "started\n| ::error::mine\n| ::stop-commands::x\n| ##[group]y\nurl http://a::b");
        assert!(!harmless.lines().any(|line| line.trim_start().starts_with("::")));
        assert_eq!(disarm_commands("nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn terminal_controls_are_escaped() {
        let text = "\u{1b}]0;title\u{7}a\r\n\tb\u{9b}2J\u{7f}\u{202e}txt.exe\u{2069}";
        assert_eq!(
            escape_controls(text, true),
            "\\u001b]0;title\\u0007a\\u000d\n\tb\\u009b2J\\u007f\\u202etxt.exe\\u2069"
        );
        assert_eq!(escape_controls("\u{1b}[31mno\u{1b}[0m\u{1b}[2J", true), "\u{1b}[31mno\u{1b}[0m\\u001b[2J");
        assert_eq!(escape_controls("\u{1b}[31mno", false), "\\u001b[31mno");
        assert_eq!(escape_controls("Grüße, 世界 👩‍🚀", false), "Grüße, 世界 👩‍🚀");
        let json = serde_json::to_string("\u{9b}\u{202e}\u{1b}").unwrap();
        assert_eq!(serde_json::from_str::<String>(&escape_controls(&json, false)).unwrap(), "\u{9b}\u{202e}\u{1b}");
    }
}
