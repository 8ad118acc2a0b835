//! The release tool. `main` reads the environment, parses, dispatches and exits; nothing else does.

mod attest;
mod bootstrap;
mod build;
mod cli;
mod commands;
mod container;
mod container_secrets;
mod context;
mod diagnose;
mod doctor;
mod engine;
mod github;
mod local;
mod needs;
mod one_off;
mod preflight;
mod publish;
mod retention;
mod session;
mod smoke;
mod ui;
mod without_image;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Cli, Color, Global};
use crate::context::Context;
use crate::ui::{Terminal, Ui};
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};

/// How long a user who interrupts twice waits for a lock to be given back.
const MOMENT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let (vars, unreadable) = process_variables(std::env::vars_os());
    // Only to be shown and searched: the command line is parsed from what the system has.
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let no_color = vars.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = Terminal::detect(no_color, model::job::is_job(&vars));
    let exit = match Cli::read() {
        Ok(cli) => {
            let ui = Ui::new(cli.global, terminal);
            let shown = cli.shown(&words);
            run(cli, (vars, unreadable), &shown, &ui).await
        }
        Err(error) => usage(&error, &words, terminal),
    };
    ExitCode::from(exit.code())
}

/// Runs the command and prints its result or failure.
async fn run(cli: Cli, (vars, unreadable): (Variables, Option<Failure>), shown: &str, ui: &Ui) -> Exit {
    let job = vars.clone();
    let listen = || Interrupt::listen().map_err(|error| Failure::of(&error));
    let context = unreadable.map_or_else(listen, Err).and_then(|interrupt| {
        let folder = std::env::current_dir().map_err(|error| Failure::of(&error.into()))?;
        Context::load(&folder, vars, interrupt)
    });
    let result = match context {
        Ok(context) => {
            let work = Box::pin(async {
                let result = tokio::select! {
                    biased;
                    result = commands::run(cli.command, &context, ui) => result,
                    () = context.interrupt.insisted() => Err(machine::interrupt::cut_short().into()),
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

/// Removes what a command that was left in the middle has made at AWS for the moment; returns what it could not remove,
/// after a warning of each. A user who insists on an end waits for no more than a moment.
async fn tidy(context: &Context, ui: &Ui) -> Vec<String> {
    let _wait = ui.waiting("AWS, which removes what this command has made for the moment");
    let temporary_users = async {
        tokio::select! {
            biased;
            () = context.interrupt.insisted() => {}
            warnings = context.temporary_users.remove_all() => warnings.iter().for_each(|warning| ui.warn(warning)),
        }
    };
    let locks = async {
        let enough = async {
            context.interrupt.insisted().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            biased;
            () = context.locks.give_all_back() => {}
            () = enough => {}
        }
    };
    tokio::join!(temporary_users, locks);
    let left = context.locks.left();
    left.iter().for_each(|warning| ui.warn(warning));
    left
}

/// Help, version, or a command line that cannot be understood; with `--json` the latter is an object too.
fn usage(error: &clap::Error, words: &[String], terminal: Terminal) -> Exit {
    if !error.use_stderr() {
        let unread = |error: &std::io::Error| error.kind() != std::io::ErrorKind::BrokenPipe;
        return if error.print().err().is_some_and(|error| unread(&error)) { Exit::Failed } else { Exit::Done };
    }
    if words.iter().any(|word| word == "--json") {
        let global = Global { json: true, quiet: false, yes: false, color: Color::Auto, verbose: false };
        let ui = Ui::new(global, terminal);
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
