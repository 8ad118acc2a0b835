//! How far cargo is, from what it writes to standard error.

/// Variables with which cargo shows its progress also where nobody watches it on a terminal, in plain text
/// (<https://doc.rust-lang.org/cargo/reference/config.html#term>).
pub const SHOWN: [(&str, &str); 3] =
    [("CARGO_TERM_PROGRESS_WHEN", "always"), ("CARGO_TERM_PROGRESS_WIDTH", "120"), ("CARGO_TERM_COLOR", "never")];

/// What cargo indents a line with whose first word says what it does.
const VERBS: usize = 12;

/// One piece of cargo's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many crates of all that are to be compiled are done; and which ones are compiled now, as far as there is room.
    Counted { done: u32, all: u32, now: &'a str },
    /// What it does, such as `Compiling serde v1.0.229` or `Updating crates.io index`.
    Doing(&'a str),
    /// Anything else: a warning, an error, a part of one.
    Line(&'a str),
}

/// Reads cargo's output as it arrives.
#[derive(Debug, Default)]
pub struct Steps {
    rest: Vec<u8>,
}

impl Steps {
    /// Calls `each` with every piece that is complete. Cargo ends a piece that the next one overwrites with a carriage
    /// return.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(Step<'_>)) {
        self.rest.extend_from_slice(bytes);
        let ends = |byte: &u8| *byte == b'\n' || *byte == b'\r';
        let Some(last) = self.rest.iter().rposition(ends) else { return };
        let after = self.rest.split_off(last + 1);
        let complete = std::mem::replace(&mut self.rest, after);
        for piece in complete.split(ends) {
            let text = String::from_utf8_lossy(piece).replace("\u{1b}[K", "");
            if !text.trim().is_empty() {
                each(step(&text));
            }
        }
    }
}

fn step(piece: &str) -> Step<'_> {
    let text = piece.trim_start();
    let verb = text.split(' ').next().unwrap_or_default();
    let indent = piece.len() - text.len();
    if indent + verb.len() != VERBS || !verb.chars().all(char::is_alphabetic) {
        return Step::Line(piece);
    }
    counted(text).unwrap_or(Step::Doing(text))
}

/// `Building [====>     ] 12/95: serde, tokio`.
fn counted(text: &str) -> Option<Step<'_>> {
    let (_, rest) = text.split_once("] ")?;
    let (count, now) = rest.split_once(": ").unwrap_or((rest, ""));
    let (done, all) = count.split_once('/')?;
    Some(Step::Counted { done: done.trim().parse().ok()?, all: all.trim().parse().ok()?, now: now.trim_end() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(chunks: &[&str]) -> Vec<String> {
        let (mut steps, mut found) = (Steps::default(), Vec::new());
        for chunk in chunks {
            steps.read(chunk.as_bytes(), |step| found.push(format!("{step:?}")));
        }
        found
    }

    #[test]
    fn cargo_s_count_is_read_wherever_its_output_is_cut() {
        let text = "    Updating crates.io index\n   Compiling serde v1.0.229\n    Building [==>      ] 12/95: serde, \
                    tokio(build)\u{1b}[K\r\u{1b}[K   Compiling tokio v1.54.0\n    Building [=======> ] 94/95: api(bin)\r";
        let wanted = [
            "Doing(\"Updating crates.io index\")",
            "Doing(\"Compiling serde v1.0.229\")",
            "Counted { done: 12, all: 95, now: \"serde, tokio(build)\" }",
            "Doing(\"Compiling tokio v1.54.0\")",
            "Counted { done: 94, all: 95, now: \"api(bin)\" }",
        ];
        assert_eq!(steps(&[text]), wanted);
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (first, second) = text.split_at(at);
            assert_eq!(steps(&[first, second]), wanted, "{at}");
        }
    }

    #[test]
    fn what_the_compiler_says_stays_as_it_is() {
        let text = "error[E0425]: cannot find value `a`\n --> src/main.rs:3:5\n  |\n3 |     a;\n  = note: 1/2\n";
        let wanted: Vec<String> = text.lines().map(|line| format!("Line({line:?})")).collect();
        assert_eq!(steps(&[text]), wanted);
    }
}
