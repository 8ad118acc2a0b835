//! Breaks lines between words, because a terminal would break them inside of one.

use console::measure_text_width;

/// How much further in the rest of a line begins.
const HANG: usize = 2;

/// The text with no line longer than `width` columns, except for words that are longer, such as an ARN or a URL: those can
/// be copied.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrapped_line(line, width)).collect();
    lines.join("\n")
}

fn wrapped_line(line: &str, width: usize) -> String {
    if measure_text_width(line) <= width {
        return line.to_owned();
    }
    let own = line.len() - line.trim_start_matches(' ').len();
    let indent = " ".repeat((own + HANG).min(width / 2));
    let mut out = String::new();
    let mut used = 0;
    // Several blanks in a row align columns, and stay within a line.
    for part in line[own..].split_inclusive(' ') {
        let columns = measure_text_width(part.trim_end_matches(' '));
        if out.is_empty() {
            out.push_str(&line[..own]);
            used = own;
        } else if used + columns > width && used > indent.len() {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&indent);
            used = indent.len();
            if columns == 0 {
                continue;
            }
        }
        out.push_str(part);
        used += measure_text_width(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_between_words_and_goes_on_further_in() {
        assert_eq!(wrapped("ok push  short", 20), "ok push  short");
        assert_eq!(wrapped("  reason: one two three four", 16), "  reason: one\n    two three\n    four");
        assert_eq!(wrapped("error: one\n  next: two three", 12), "error: one\n  next: two\n    three");
    }

    #[test]
    fn a_long_word_stays_whole() {
        let address = "https://a.example/a/path/that/is/long";
        assert_eq!(wrapped(&format!("at {address} it is"), 20), format!("at\n  {address}\n  it is"));
        assert_eq!(wrapped(address, 20), address);
    }

    #[test]
    fn colors_have_no_width() {
        let text = "\u{1b}[31merror:\u{1b}[0m one two";
        assert_eq!(wrapped(text, 14), text);
        assert_eq!(wrapped(text, 11), "\u{1b}[31merror:\u{1b}[0m one\n  two");
    }
}
