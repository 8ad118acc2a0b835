//! The command line of a service: its arguments, its environment variables, its exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | stopped as asked, or done |
//! | 1 | could not listen or serve, is not healthy, or a command of the service's own failed |
//! | 2 | wrong arguments or settings |

use std::error::Error as _;
use std::ffi::OsString;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::{fmt, io};

use actix_web::rt::System;
use actix_web::rt::signal::unix::{SignalKind, signal};
use config::service::{Settings, Variable};
use futures_util::{Stream, stream};

use crate::{About, Listeners, healthcheck, open_files, supported, telemetry};

/// A service's program.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its name and version.
    pub about: About,
    /// The crate whose log is the service's own: `env!("CARGO_CRATE_NAME")`.
    pub log_target: &'static str,
    /// Commands of the service's own, each with what it does.
    pub commands: &'a [(&'static str, &'static str)],
    /// Every environment variable that is read, in groups, for `--help`.
    pub variables: &'a [&'a [&'a Variable]],
}

/// What the arguments ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// No argument: serve until a signal arrives.
    Serve,
    /// `healthcheck`: see [`Program::healthcheck`].
    Healthcheck,
    /// One of [`Program::commands`].
    Own(&'static str),
}

impl Program<'_> {
    /// Does what the arguments ask for, of which the first is the one after the program's name: `run` gets the command
    /// and its settings.
    ///
    /// `--help` and `--version` are answered here, and so is what is wrong with the arguments or the settings. `read` makes
    /// the settings of environment variables, such as [`std::env::vars_os`]; values that are not Unicode reach it in a form
    /// that no setting allows.
    pub fn run<T, E: fmt::Display>(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl FnOnce(Vec<(String, String)>) -> Result<T, E>,
        run: impl FnOnce(Command, T) -> ExitCode,
    ) -> ExitCode {
        let command = match self.command(arguments) {
            Ok(command) => command,
            Err(code) => return code,
        };
        match self.settings(command, vars, read) {
            Ok(settings) => run(command, settings),
            Err(code) => code,
        }
    }

    /// Reads the arguments; an error is the code to exit with, where there is nothing to do any more.
    fn command(&self, arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ExitCode> {
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let name = self.about.name;
        let Some((first, rest)) = arguments.split_first() else { return Ok(Command::Serve) };
        let own = self.commands.iter().map(|(command, _)| *command).find(|command| command == first);
        let command = match (first.as_str(), own) {
            ("--help" | "-h", _) => return Err(print(&self.help())),
            ("--version" | "-V", _) => return Err(print(&format!("{name} {}", self.about.version))),
            ("healthcheck", _) => Command::Healthcheck,
            (_, Some(command)) => Command::Own(command),
            _ => return Err(self.fail(2, format!("no such argument: {first:?}; see {name} --help"))),
        };
        if !rest.is_empty() {
            return Err(self.fail(2, format!("{first} takes no arguments; see {name} --help")));
        }
        Ok(command)
    }

    /// Reads the settings for a command; an error is the code to exit with, where something is wrong with them.
    fn settings<T, E: fmt::Display>(
        &self,
        command: Command,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        read: impl FnOnce(Vec<(String, String)>) -> Result<T, E>,
    ) -> Result<T, ExitCode> {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let vars = vars.into_iter().map(|(name, value)| (text(name), text(value))).collect();
        read(vars).map_err(|invalid| match command {
            // Docker reserves every code but 0 and 1, so that unusable settings are plainly unhealthy here.
            Command::Healthcheck => self.fail(1, format!("unhealthy: these settings cannot be used:\n{invalid}")),
            Command::Serve | Command::Own(_) => self.fail(2, format!("cannot start with these settings:\n{invalid}")),
        })
    }

    /// Listens where the settings say and runs the service until SIGTERM or SIGINT arrives.
    pub fn serve<F>(&self, settings: &Settings, run: impl FnOnce(Listeners, Signals) -> F) -> ExitCode
    where
        F: Future<Output = io::Result<()>>,
    {
        if let Err(missing) = supported(settings) {
            return self.fail(2, format!("cannot start with these settings: {missing}"));
        }
        telemetry::init(self.log_target, settings.log_format, settings.log_level);
        match serve(settings, run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                telemetry::finish();
                self.fail(1, problem)
            }
        }
    }

    /// Asks the service that runs with these settings for `/health`; for images that hold no other program that could.
    ///
    /// 0 if it answers with 200, otherwise 1.
    pub fn healthcheck(&self, settings: &Settings) -> ExitCode {
        match healthcheck::check(settings.local_address()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(unhealthy) => {
                let reason = unhealthy.source().map(|source| format!(": {source}")).unwrap_or_default();
                self.fail(1, format!("unhealthy: {unhealthy}{reason}"))
            }
        }
    }

    /// Says on stderr what is wrong, for a command that ends with this code.
    pub fn fail(&self, code: u8, problem: impl fmt::Display) -> ExitCode {
        self.note(problem);
        ExitCode::from(code)
    }

    /// Says something on stderr, where it stays out of a command's result.
    #[expect(clippy::print_stderr, reason = "there is no log yet, or nobody who reads it")]
    pub fn note(&self, text: impl fmt::Display) {
        eprintln!("{}: {text}", self.about.name);
    }

    fn help(&self) -> String {
        let healthcheck = ("healthcheck", "ask the service that runs with these settings whether it is well");
        let commands = std::iter::once(&healthcheck).chain(self.commands);
        let commands: String = commands.map(|(name, meaning)| format!("  {name:<14} {meaning}\n")).collect();
        let width = self.variables.iter().copied().flatten().map(|variable| variable.name.len()).max().unwrap_or(0);
        let variable = |variable: &&Variable| {
            let default = variable.default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
            format!(
                "\n  {:<width$} {}; {}{default}",
                variable.name,
                variable.meaning.replace('`', ""),
                variable.allowed
            )
        };
        let variables: String = self.variables.iter().copied().flatten().map(variable).collect();
        format!(
            "\
Usage: {} [COMMAND]

Without a command: serve until SIGTERM or SIGINT

Commands:
{commands}
Options:
  --help         print this help
  --version      print the version

Environment variables:{variables}",
            self.about.name
        )
    }
}

/// One item for every SIGTERM and every SIGINT.
pub type Signals = Pin<Box<dyn Stream<Item = ()>>>;

fn serve<F>(settings: &Settings, run: impl FnOnce(Listeners, Signals) -> F) -> Result<(), String>
where
    F: Future<Output = io::Result<()>>,
{
    if let Err(lacking) = open_files::allow(settings.limits.connections) {
        tracing::warn!(%lacking, "API_MAX_CONNECTIONS cannot be reached");
    }
    let listeners = listen(settings)?;
    let served = System::new().block_on(async { run(listeners, signals()?).await });
    served.map_err(|error| format!("cannot serve on {}: {error}", settings.address()))
}

fn listen(settings: &Settings) -> Result<Listeners, String> {
    let bind = |address: SocketAddr| {
        TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    let service = bind(settings.address())?;
    let management = settings.management_address().map(bind).transpose();
    let management = management.map_err(|problem| format!("{problem}; see API_MANAGEMENT_PORT"))?;
    Ok(Listeners { service, management })
}

fn signals() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(stream::poll_fn(move |context| {
        let received = terminate.poll_recv(context).is_ready() | interrupt.poll_recv(context).is_ready();
        if received { Poll::Ready(Some(())) } else { Poll::Pending }
    })))
}

/// Prints what was asked for.
#[expect(clippy::print_stdout, reason = "what was asked for goes to stdout")]
pub fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}
