//! Text of others, such as an endpoint's answer or a container's log: a terminal and a runner find no command in it.

use std::borrow::Cow;

/// What this tool writes itself to colour a word; see [`super::Paint`].
const OWN: [&str; 5] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];

/// Writes out the characters that a terminal would obey: controls but for line break and tab, and those that turn the
/// direction of writing. The tool's own colours stay where it may use colours. The result is the same in JSON.
pub(super) fn escape_controls(text: &str, colors: bool) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let own = OWN.iter().find(|own| colors && rest.starts_with(**own));
        let length = own.map_or(char.len_utf8(), |own| own.len());
        if own.is_none() && is_obeyed(char) {
            out.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            out.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out.into()
}

/// Unicode's controls (C0, DEL, C1) and its bidirectional ones (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_obeyed(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (char.is_control() && char != '\n' && char != '\t')
}

/// Puts a mark before every line that GitHub's runner would take for a command; it looks past leading blanks.
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
    fn no_line_of_a_log_is_a_command() {
        let log = "started\n::error::mine\n    ::stop-commands::x\n##[group]y\nurl http://a::b";
        let harmless = disarm_commands(log);
        assert_eq!(harmless, "started\n| ::error::mine\n| ::stop-commands::x\n| ##[group]y\nurl http://a::b");
        assert!(!harmless.lines().any(|line| line.trim_start().starts_with("::")));
        assert_eq!(disarm_commands("nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn a_terminal_obeys_nothing_of_others() {
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
