//! One run of the tool: the process as it was started, the command, its result, its failure and its exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use anyhow::Result;
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};

use crate::cli::{Cli, Color, Global};
use crate::context::Context;
use crate::github;
use crate::ui::{Terminal, Ui};

/// The process as `main` finds it.
pub struct Process {
    vars: Variables,
    /// What keeps the tool from reading the environment.
    unreadable: Option<Failure>,
    /// Only to be shown and searched: the command line is parsed from what the system has.
    words: Vec<String>,
    folder: io::Result<PathBuf>,
    terminal: Terminal,
}

impl Process {
    /// Environment, arguments after the program's name, and current folder of the process.
    pub fn of(
        vars: impl Iterator<Item = (OsString, OsString)>,
        arguments: impl Iterator<Item = OsString>,
        folder: io::Result<PathBuf>,
    ) -> Self {
        let (vars, unreadable) = process_variables(vars);
        let words = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
        let no_color = vars.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = Terminal::detect(no_color, model::job::is_job(&vars));
        Self { vars, unreadable, words, folder, terminal }
    }

    /// The environment as text.
    pub fn vars(&self) -> &BTreeMap<String, String> {
        &self.vars
    }

    /// The command line as it may be shown.
    pub fn shown(&self, cli: &Cli) -> String {
        cli.shown(&self.words)
    }

    /// Runs a command and prints its result or failure. `open` makes what it gets of the context, `act` is the command, and
    /// `tidy` removes what a command that was left in the middle has made, and says what it could not remove.
    pub async fn run<T>(
        self,
        global: Global,
        shown: &str,
        open: impl FnOnce(Context) -> T,
        act: impl AsyncFnOnce(&T, &Ui) -> Result<()>,
        tidy: impl AsyncFnOnce(&T, &Ui) -> Vec<String>,
    ) -> Exit {
        let Self { vars, unreadable, folder, terminal, .. } = self;
        let ui = &Ui::new(global, terminal);
        let job = vars.clone();
        let listen = || Interrupt::listen().map_err(|error| Failure::of(&error));
        let opened = unreadable.map_or_else(listen, Err).and_then(|interrupt| {
            let folder = folder.map_err(|error| Failure::of(&error.into()))?;
            Ok((interrupt.clone(), open(Context::load(&folder, vars, interrupt)?)))
        });
        let result = match opened {
            Ok((interrupt, context)) => {
                let work = Box::pin(async {
                    let result = tokio::select! {
                        biased;
                        result = act(&context, ui) => result,
                        () = interrupt.insisted() => Err(machine::interrupt::cut_short().into()),
                    };
                    let left = tidy(&context, ui).await;
                    (result, left)
                });
                let (result, left) = tokio::select! {
                    biased;
                    ended = work => ended,
                    never = ui.report_waits() => match never {},
                };
                result.map_err(|error| with_what_is_left(Failure::of(&error), &left, ui))
            }
            Err(failure) => Err(failure),
        };
        let mut changed = false;
        ui.note(|report| changed = report.changed());
        let failure = result.err().or_else(|| ui.unwritten().map(|error| unwritten(&error, changed)));
        let exit = failure.as_ref().map_or(Exit::Done, |failure| failure.exit);
        if let Some(failure) = &failure {
            ui.failure(failure);
        }
        let report = ui.report(failure);
        github::report(shown, &report, &job, ui);
        ui.object(&report);
        match ui.unwritten().filter(|_| exit == Exit::Done) {
            None => exit,
            Some(error) => {
                let failure = unwritten(&error, changed);
                ui.failure(&failure);
                failure.exit
            }
        }
    }

    /// Help, version, or a command line that cannot be understood; with `--json` the latter is an object too.
    pub fn usage(&self, error: &clap::Error) -> Exit {
        if !error.use_stderr() {
            let unread = |error: &std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
            return if error.print().err().is_some_and(|error| unread(&error)) { Exit::Failed } else { Exit::Done };
        }
        if self.words.iter().any(|word| word == "--json") {
            let global = Global { json: true, quiet: false, yes: false, color: Color::Auto, verbose: false };
            let ui = Ui::new(global, self.terminal);
            let text = error.to_string();
            // The first paragraph; what is missing stands in lines of its own.
            let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.is_empty()).map(str::trim);
            let message = lines.collect::<Vec<_>>().join(" ");
            let failure = Failure::new(Exit::Usage, FailureKind::Usage, message).hint("cargo xtask --help");
            ui.failure(&failure);
            ui.object(&ui.report(Some(failure)));
        } else {
            drop(error.print());
        }
        Exit::Usage
    }
}

type Variables = BTreeMap<String, String>;

/// The environment as text, and what keeps the tool from reading it: a choice that is not text must not be taken for none.
fn process_variables(all: impl Iterator<Item = (OsString, OsString)>) -> (Variables, Option<Failure>) {
    let read = ["AWS_", "DOCKER_", "XTASK_", "GITHUB_", "ACTIONS_", "CARGO_", "RUSTC"];
    let is_read = |name: &str| {
        name == "HOME" || read.iter().any(|start| name.starts_with(start)) || name.to_uppercase().ends_with("_PROXY")
    };
    let (mut vars, mut failure) = (Variables::new(), None);
    for (name, value) in all {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(vars.insert(name, value)),
            // The folders of it that are text can be looked into.
            Err(value) if name == "PATH" => drop(vars.insert(name, value.to_string_lossy().into_owned())),
            Err(_) if is_read(&name) => {
                let what = format!("the environment variable {name} is not UTF-8");
                failure = Some(
                    Failure::new(Exit::Usage, FailureKind::EnvironmentVariable, what).hint(format!("unset {name}")),
                );
            }
            Err(_) => {}
        }
    }
    (vars, failure)
}

/// A result that could not be written. What was changed stays changed, which "failed" would deny.
fn unwritten(error: &std::io::Error, changed: bool) -> Failure {
    let exit = if changed { Exit::NeedsHuman } else { Exit::Failed };
    Failure::new(exit, FailureKind::Output, "the result cannot be written")
        .resource("standard output")
        .reason(error.to_string())
        .hint("what the command does is done, except for the output; write it elsewhere")
}

/// Adds to a failure what goes on outside this process, or that nothing does.
fn with_what_is_left(failure: Failure, left: &[String], ui: &Ui) -> Failure {
    match ui.what_still_runs() {
        // Losing sight of what goes on at AWS is not "nothing was changed".
        Some(still) if failure.exit == Exit::Failed => Failure { exit: Exit::NeedsHuman, ..failure }.hint(still),
        Some(still) => failure.hint(still),
        None if failure.exit != Exit::Interrupted || failure.reason.is_some() => failure,
        None if left.is_empty() => failure.reason("nothing is under way any more; what was finished stays"),
        None => failure.reason("nothing else is under way; what was finished stays"),
    }
}
