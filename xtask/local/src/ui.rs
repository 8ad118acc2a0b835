//! The only printer: results to stdout, everything else to stderr.
//!
//! Decides what is visible (`--quiet`, `--json`, `--verbose`), whether there is colour and a live display, and keeps
//! the phases with their times for the result. It never decides what happens next.

mod input;
mod phase;
mod sanitize;
mod waits;
mod width;

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Result;
use config::deployment::Environment;
use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::cli::{Color, Global};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::short;
use model::report::{FORMAT, Report};
pub use phase::Phase;
use sanitize::{disarm_commands, escape_controls};
pub use waits::Waiting;
use waits::{Notice, Waits};

/// What a terminal can do, asked once by `main`.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    pub stdin: bool,
    pub stderr: bool,
    pub stdout: bool,
    /// `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub no_color: bool,
    /// Whether GitHub's runner reads the output; it treats lines that begin with two colons as commands.
    pub job: bool,
}

impl Terminal {
    pub fn detect(no_color: bool, job: bool) -> Self {
        Self {
            stdin: io::stdin().is_terminal(),
            stderr: io::stderr().is_terminal(),
            stdout: io::stdout().is_terminal(),
            no_color,
            job,
        }
    }
}

/// Prints for one run of the tool.
pub struct Ui {
    json: bool,
    quiet: bool,
    verbose: bool,
    yes: bool,
    color: bool,
    color_results: bool,
    can_ask: bool,
    /// Whether somebody types what is read from standard input.
    is_typed: bool,
    job: bool,
    /// The width of the terminal that progress and failures go to.
    columns: Option<usize>,
    /// The width of the terminal that results go to.
    result_columns: Option<usize>,
    /// The live display; `None` where every change of state is printed as a plain line.
    live: Option<MultiProgress>,
    report: Mutex<Report>,
    still_runs: Mutex<Option<String>>,
    waits: Waits,
    /// Why a result could not be written, the first time.
    unwritten: Mutex<Option<io::Error>>,
    started: Instant,
}

impl Ui {
    pub fn new(global: Global, terminal: Terminal) -> Self {
        let live = (terminal.stderr && !global.quiet && !global.verbose)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let color = |is_terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !terminal.no_color,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            yes: global.yes,
            color: color(terminal.stderr),
            color_results: color(terminal.stdout),
            can_ask: terminal.stdin && terminal.stderr,
            is_typed: terminal.stdin,
            job: terminal.job,
            columns: columns(terminal.stderr, &Term::stderr()),
            result_columns: columns(terminal.stdout, &Term::stdout()),
            live,
            report: Mutex::default(),
            still_runs: Mutex::default(),
            waits: Waits::new(),
            unwritten: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Prints results and errors only, and cannot ask.
    pub fn silent() -> Self {
        let global = Global { json: false, quiet: true, yes: false, color: Color::Never, verbose: false };
        Self::new(global, Terminal { stdin: false, stderr: false, stdout: false, no_color: true, job: false })
    }

    /// Starts a phase: a spinner on a terminal; elsewhere a line when it ends, and with `--verbose` one at its start.
    pub fn phase(&self, name: &'static str) -> Phase<'_> {
        Phase::start(self, name)
    }

    /// Registers a wait outside of any phase, until the returned value is dropped.
    pub fn waiting(&self, what: impl Into<String>) -> Waiting<'_> {
        self.waits.open("", Some(what.into()), false)
    }

    /// Prints what the tool waits for whenever nothing was written for ten seconds. It never ends. A live display shows the
    /// wait by itself.
    pub async fn report_waits(&self) -> Infallible {
        loop {
            match self.waits.next() {
                Ok(Notice { name, what, silence }) if !self.quiet => {
                    let what = what.map(|what| format!(": {what}")).unwrap_or_default();
                    let line = format!("  {name:<9} still waiting ({} s){}", silence.as_secs(), what.trim_end());
                    self.suspend(|| drop(write_line(io::stderr(), &self.sanitized(&line, self.color))));
                }
                Ok(_) => {}
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// A change of state worth keeping on the screen.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            self.to_stderr(text);
        }
    }

    /// A text as it is shown: with short digests and tags, and whole with `--verbose`.
    pub fn shown(&self, text: &str) -> String {
        if self.verbose { text.to_owned() } else { short(text) }
    }

    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// A line that only `--verbose` shows.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.to_stderr(text);
        }
    }

    /// A command for the job's runner, such as an annotation; it is printed even with `--quiet`.
    pub fn runner_command(&self, line: &str) {
        self.to_stderr_as(&escape_controls(line, false));
    }

    pub fn warn(&self, text: &str) {
        if !self.quiet {
            self.to_stderr(&format!("{} {text}", self.paint(Paint::Yellow, "warning:")));
        }
    }

    /// The result as text; not shown with `--json`.
    pub fn result(&self, text: &str) {
        if !self.json {
            self.to_stdout(&self.sanitized(text, self.color_results));
        }
    }

    /// A result to read: on a terminal its lines break between words.
    pub fn text(&self, text: &str) {
        match self.result_columns {
            Some(columns) => self.result(&width::wrapped(text, columns)),
            None => self.result(text),
        }
    }

    /// One of several results, as soon as it is known: a line of text, or with `--json` an object on its own line.
    pub fn each(&self, object: &impl Serialize, text: &str) {
        if self.json { self.object(object) } else { self.text(text) }
    }

    /// The result as the one JSON object; only shown with `--json`.
    pub fn object(&self, object: &impl Serialize) {
        if self.json {
            let text = serde_json::to_string(object).expect("results are maps with text keys");
            self.to_stdout(&self.sanitized(&text, false));
        }
    }

    /// Why a result could not be written; `None` where every one was.
    pub fn unwritten(&self) -> Option<io::Error> {
        self.unwritten.lock().expect("no holder panics").take()
    }

    /// Prints a failure.
    pub fn failure(&self, failure: &Failure) {
        let label = if failure.exit == Exit::Interrupted { "interrupted:" } else { "error:" };
        self.to_stderr(&format!("{} {}", self.paint(Paint::Red, label), failure.message));
        let part = |label: &str, text: &str| {
            self.to_stderr(&format!("  {}: {}", self.paint(Paint::Bold, label), text.replace('\n', "\n    ")));
        };
        let place = failure.place.as_ref().map(ToString::to_string);
        for (label, text) in [
            ("resource", &failure.resource),
            ("reason", &failure.reason),
            ("place", &place),
            ("console", &failure.console),
        ] {
            text.iter().for_each(|text| part(label, text));
        }
        if !failure.log.is_empty() {
            self.to_stderr(&format!("  {}:", self.paint(Paint::Bold, "log")));
            failure.log.iter().for_each(|line| self.to_stderr(&format!("    {line}")));
        }
        failure.notes.iter().for_each(|note| part("note", note));
        failure.hint.iter().for_each(|hint| part("next", hint));
    }

    /// Asks a question; `--yes` answers it.
    ///
    /// # Errors
    /// There is neither a terminal nor `--yes`.
    pub async fn confirm(&self, question: &str) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        if !self.can_ask {
            return Err(confirmation_required(question).into());
        }
        let line = self.ask(&format!("{question} [y/N]"))?;
        let _asked = self.waits.open("", None, true);
        let answer = input::answer().await?;
        std::mem::forget(line);
        self.asked();
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// A value that must not be shown: what is typed after `question`, or else all of standard input up to one byte more
    /// than `longest`.
    ///
    /// # Errors
    /// A terminal or an input that cannot be read, or is not read whole.
    pub async fn secret(&self, question: &str, longest: usize) -> Result<Vec<u8>> {
        if !self.is_typed {
            let _wait = self.waiting("the value, on standard input");
            return input::all(longest).await;
        }
        // Before the question, so that nothing is shown that is typed at once.
        let _echo = input::hidden::Echo::off().map_err(|error| {
            Failure::new(Exit::Preflight, FailureKind::Input, "the value cannot be asked for")
                .resource("the terminal")
                .reason(error.to_string())
                .hint("write it into a file and pass that as standard input: < FILE")
        })?;
        // The line is not ended by what is typed.
        let _line = self.ask(question)?;
        let _asked = self.waits.open("", None, true);
        let value = input::line().await;
        self.asked();
        value
    }

    /// Writes a question, with the live display off the screen. It comes back with `asked`.
    fn ask(&self, question: &str) -> Result<OpenLine> {
        if let Some(live) = &self.live {
            live.clear()?;
            live.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut stderr = io::stderr();
        write!(stderr, "{} ", escape_controls(question, false))?;
        stderr.flush()?;
        Ok(OpenLine)
    }

    fn asked(&self) {
        if let Some(live) = &self.live {
            live.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Checks that a later [`Ui::confirm`] can be answered, before anything expensive is done.
    ///
    /// # Errors
    /// As for `confirm`.
    pub fn require_confirmation_possible(&self, question: &str) -> Result<(), Failure> {
        if self.yes || self.can_ask { Ok(()) } else { Err(confirmation_required(question)) }
    }

    /// Records what continues outside this process if it is interrupted; `None` if nothing does.
    pub fn still_runs(&self, what: Option<String>) {
        *self.still_runs.lock().expect("no holder panics") = what;
    }

    pub fn what_still_runs(&self) -> Option<String> {
        self.still_runs.lock().expect("no holder panics").clone()
    }

    /// Records the command's environment in the report.
    pub fn about(&self, environment: &Environment) {
        self.note(|report| {
            report.environment = Some(environment.name.clone());
            report.stack = Some(environment.stack.clone());
        });
    }

    /// Changes the report.
    pub fn note(&self, note: impl FnOnce(&mut Report)) {
        note(&mut self.report.lock().expect("no holder panics"));
    }

    /// Takes the report of a command that has ended, with its failure if it failed.
    pub fn report(&self, error: Option<Failure>) -> Report {
        let noted = std::mem::take(&mut *self.report.lock().expect("no holder panics"));
        Report { format: FORMAT, ok: error.is_none(), seconds: phase::seconds(self.started), error, ..noted }
    }

    pub fn paint(&self, paint: Paint, text: &str) -> String {
        painted(self.color, paint, text)
    }

    /// As [`Ui::paint`], for what goes to stdout.
    pub fn paint_result(&self, paint: Paint, text: &str) -> String {
        painted(self.color_results, paint, text)
    }

    fn to_stderr(&self, text: &str) {
        let text = self.sanitized(text, self.color);
        match self.columns {
            Some(columns) => self.to_stderr_as(&width::wrapped(&text, columns)),
            None => self.to_stderr_as(&text),
        }
    }

    /// Writes a line that needs no sanitizing.
    fn to_stderr_as(&self, line: &str) {
        self.waits.written();
        // Progress that cannot be written does not fail the command, and there is nowhere else to report it.
        self.suspend(|| drop(write_line(io::stderr(), line)));
    }

    fn to_stdout(&self, line: &str) {
        self.waits.written();
        match self.suspend(|| write_line(io::stdout(), line)) {
            // A closed pipe (`| head`) is not a failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.unwritten.lock().expect("no holder panics").get_or_insert(error);
            }
            _ => {}
        }
    }

    /// Text from elsewhere, such as a container's log, without anything that a terminal or a runner would execute.
    fn sanitized<'a>(&self, text: &'a str, colors: bool) -> Cow<'a, str> {
        let text = escape_controls(text, colors);
        if self.job { disarm_commands(&text).into_owned().into() } else { text }
    }

    /// Takes the live display off the screen while something else is written.
    fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }
}

/// The unfinished line of a question; ends it if the question is interrupted.
struct OpenLine;

impl Drop for OpenLine {
    fn drop(&mut self) {
        drop(write_line(io::stderr(), ""));
    }
}

/// SGR codes of ECMA-48.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// The width of a stream, if it is a terminal.
fn columns(is_terminal: bool, stream: &Term) -> Option<usize> {
    stream.size_checked().filter(|_| is_terminal).map(|(_, columns)| columns.into())
}

fn painted(color: bool, paint: Paint, text: &str) -> String {
    if color { format!("\u{1b}[{}m{text}\u{1b}[0m", paint as u8) } else { text.to_owned() }
}

fn confirmation_required(question: &str) -> Failure {
    Failure::new(
        Exit::Preflight,
        FailureKind::Confirmation,
        format!("confirmation is required, and there is no terminal: {question}"),
    )
    .reason("stdin or stderr is not a terminal")
    .hint("repeat the command with --yes to confirm")
}

fn write_line(mut stream: impl Write, text: &str) -> io::Result<()> {
    writeln!(stream, "{text}")?;
    stream.flush()
}
