//! Shows on standard error how far cargo is with a program: one line that changes on a terminal, now and then one elsewhere.

use std::fmt::Arguments;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::progress::Step;

/// Pause between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(15);

pub(crate) struct Output {
    /// What is compiled, and why.
    what: String,
    is_quiet: bool,
    is_terminal: bool,
    begun: Instant,
    /// When the last line was written; `None` while nothing has to be compiled.
    shown: Option<Instant>,
    count: String,
    /// What cargo says besides: shown if it fails.
    lines: Vec<String>,
}

impl Output {
    pub(crate) fn of(package: &str, is_there: bool, is_quiet: bool) -> Self {
        let (name, time) = match package {
            "local" => ("the release tool", "a minute or two"),
            _ => ("the release tool's part for AWS", "about four minutes"),
        };
        let what = if is_there {
            format!("compiling {name}, which has changed")
        } else {
            format!("compiling {name}, once: {time} on two processors")
        };
        let is_terminal = io::stderr().is_terminal();
        let (shown, count, lines) = (None, String::new(), Vec::new());
        Self { what, is_quiet, is_terminal, begun: Instant::now(), shown, count, lines }
    }

    pub(crate) fn show(&mut self, step: Step<'_>) {
        match step {
            Step::Line(line) => self.lines.push(line.to_owned()),
            // There was nothing to compile, or there is no more.
            Step::Doing(text) if text.starts_with("Finished") => return,
            Step::Counted { done, all, .. } => self.count = format!("{done} of {all} crates"),
            Step::Doing(text) if self.count.is_empty() => self.count = text.trim_end_matches([' ', '.']).to_owned(),
            Step::Doing(_) => {}
        }
        if self.is_quiet || self.count.is_empty() {
            return;
        }
        let seconds = self.begun.elapsed().as_secs();
        let time = format!("{}:{:02}", seconds / 60, seconds % 60);
        let first = self.shown.is_none();
        if first {
            write(format_args!("{}\n", self.what));
        }
        if self.is_terminal {
            write(format_args!("\r\u{1b}[K  {}, {time}", self.count));
        } else if self.shown.is_some_and(|shown| shown.elapsed() >= PAUSE) {
            write(format_args!("  {}, {time}\n", self.count));
        } else if !first {
            return;
        }
        self.shown = Some(Instant::now());
    }

    /// Takes the changing line off the screen; after a failure, shows what cargo said.
    pub(crate) fn end(self, is_success: bool) {
        if self.is_terminal && self.shown.is_some() {
            write(format_args!("\r\u{1b}[K"));
        }
        if !is_success {
            self.lines.iter().for_each(|line| write(format_args!("{line}\n")));
        }
    }
}

/// Progress that cannot be written keeps nothing from being compiled.
fn write(text: Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    drop(stderr.write_fmt(text).and_then(|()| stderr.flush()));
}

/// Says why the program cannot be started.
pub(crate) fn failed(error: &io::Error) {
    write(format_args!("error: the release tool cannot be started: {error}\n"));
}
