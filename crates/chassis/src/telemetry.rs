//! The log: where lines go and what they look like. Those of requests are `access_log`'s.

mod in_request;

use config::service::{LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output;
use in_request::InRequest;

/// Sends this process's log, panics included, to stdout, one event a line; to be called once.
///
/// A thread writes the lines, within about a millisecond. [`finish`] waits for it at the end of the process. Lines for
/// which there is no room, because stdout is not read, are dropped and counted.
///
/// At [`LogLevel::Info`] events of other crates are logged from `WARN` on, but those of `service`, the crate's name as
/// `env!("CARGO_CRATE_NAME")` has it, and of the chassis from `INFO`; at every other level all are logged alike.
///
/// What is logged while a request is handled, by the handler or by a library that it calls, through `tracing` or through
/// `log`, has the fields `request_id` and `trace_id` of that request, unless the event has a field of that name itself.
/// A task that the handler spawns has them if it is [`carry`](crate::carry)ed.
pub fn init(service: &'static str, format: LogFormat, level: LogLevel) {
    let log = tracing_subscriber::registry().with(filter(service, level));
    let lines = fmt::layer().with_target(false).log_internal_errors(false).with_writer(output::Events);
    match format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            log.with(lines.map_event_format(InRequest::json)).init();
        }
        LogFormat::Text => log.with(lines.map_event_format(InRequest::text)).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, reason = panic.payload_as_str(), "panic");
        // The process ends with its main thread.
        if std::thread::current().name() == Some("main") {
            finish();
        }
    }));
}

/// Waits until everything that was logged is written; at most a second, if it is not read.
///
/// [`Chassis::serve`](crate::Chassis::serve) does this at its end.
pub fn finish() {
    output::finish();
}

/// An error's text with those of everything that caused it, separated by colons.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What the libraries below have to say at `info` repeats what the service says itself.
fn filter(service: &'static str, level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if level == LevelFilter::INFO { LevelFilter::WARN } else { level };
    let ours = [service, env!("CARGO_CRATE_NAME")].map(|name| (name, level));
    Targets::new().with_default(libraries).with_targets(ours)
}
