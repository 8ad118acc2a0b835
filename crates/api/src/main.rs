//! The program `api`: arguments and environment in, exit code out.

use std::error::Error;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::task::Poll;
use std::{env, io};

use actix_web::rt::System;
use actix_web::rt::signal::unix::{SignalKind, signal};
use api::Listeners;
use config::Invalid;
use config::service::{Settings, VARIABLES};
use futures_util::{Stream, stream};

const USAGE: &str = "\
Usage: api [COMMAND]

Without a command: serve until SIGTERM or SIGINT

Commands:
  healthcheck    ask the service that runs with these settings whether it is well

Options:
  --help         print this help
  --version      print the version

Environment variables:
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    match arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>().as_slice() {
        [] => serve(),
        ["healthcheck"] => healthcheck(),
        ["--help" | "-h"] => print(&help()),
        ["--version" | "-V"] => print(concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"))),
        [wrong, ..] if *wrong != "healthcheck" => fail(2, &format!("no such argument: {wrong:?}; see api --help")),
        _ => fail(2, "healthcheck takes no arguments; see api --help"),
    }
}

fn serve() -> ExitCode {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(invalid) => return fail(2, &format!("cannot start with these settings:\n{invalid}")),
    };
    if let Err(missing) = api::ids::supported(&settings.ids) {
        return fail(2, &format!("cannot start with these settings: {missing}"));
    }
    api::telemetry::init(settings.log_format, settings.log_level);
    if let Err(lacking) = api::open_files::allow(settings.limits.connections) {
        tracing::warn!(%lacking, "API_MAX_CONNECTIONS cannot be reached");
    }
    let listeners = match listen(&settings) {
        Ok(listeners) => listeners,
        Err(problem) => return fail(1, &problem),
    };
    let served = System::new().block_on(async { api::run(listeners, &settings, signals()?).await });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("cannot serve on {}: {error}", settings.address())),
    }
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

/// Docker reserves every code but 0 and 1, so that unusable settings are plainly unhealthy here.
fn healthcheck() -> ExitCode {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(invalid) => return fail(1, &format!("unhealthy: these settings cannot be used:\n{invalid}")),
    };
    match api::healthcheck::check(settings.local_address()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(unhealthy) => {
            let reason = unhealthy.source().map(|source| format!(": {source}")).unwrap_or_default();
            fail(1, &format!("unhealthy: {unhealthy}{reason}"))
        }
    }
}

/// Values that are not Unicode reach the settings in a form that no setting allows.
fn settings() -> Result<Settings, Invalid> {
    let text = |value: OsString| value.to_string_lossy().into_owned();
    Settings::from_vars(env::vars_os().map(|(name, value)| (text(name), text(value))))
}

/// One item for every request to stop.
fn signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(stream::poll_fn(move |context| {
        let received = terminate.poll_recv(context).is_ready() | interrupt.poll_recv(context).is_ready();
        if received { Poll::Ready(Some(())) } else { Poll::Pending }
    }))
}

fn help() -> String {
    let variable = |variable: &&config::service::Variable| {
        let default = variable.default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
        format!("  {:<22} {}; {}{default}", variable.name, variable.meaning.replace('`', ""), variable.allowed)
    };
    USAGE.to_owned() + &VARIABLES.iter().map(variable).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to stdout")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "there is no log yet, or nobody who reads it")]
fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("api: {text}");
    ExitCode::from(code)
}
