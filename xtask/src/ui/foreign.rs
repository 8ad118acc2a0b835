//! Text of others, such as a container's log, where a runner reads along.

use std::borrow::Cow;

/// Puts a mark before every line that GitHub's runner would take for a command; it looks past leading blanks.
pub(super) fn without_commands(text: &str) -> Cow<'_, str> {
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
    use super::without_commands;

    #[test]
    fn no_line_of_a_log_is_a_command() {
        let log = "started\n::error::mine\n    ::stop-commands::x\n##[group]y\nurl http://a::b";
        let harmless = without_commands(log);
        assert_eq!(harmless, "started\n| ::error::mine\n| ::stop-commands::x\n| ##[group]y\nurl http://a::b");
        assert!(!harmless.lines().any(|line| line.trim_start().starts_with("::")));
        assert_eq!(without_commands("nothing of the kind"), "nothing of the kind");
    }
}
