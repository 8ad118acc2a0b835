//! The log: where lines go and what they look like. Those of requests are `access_log`'s.

use config::service::{LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends this process's log, panics included, to stdout, one event a line; to be called once.
pub fn init(format: LogFormat, level: LogLevel) {
    let log = tracing_subscriber::registry().with(filter(level));
    let lines = fmt::layer().with_target(false).log_internal_errors(false);
    match format {
        LogFormat::Json => {
            log.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
        }
        LogFormat::Text => log.with(lines).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, reason = panic.payload_as_str(), "panic");
    }));
}

/// An error with everything that caused it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What the libraries below have to say at `info` repeats what the service says itself.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if level == LevelFilter::INFO { LevelFilter::WARN } else { level };
    Targets::new().with_default(libraries).with_target(env!("CARGO_CRATE_NAME"), level)
}
