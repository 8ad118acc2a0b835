//! Adds the names of the request that is being handled to an event's line.
//!
//! Not by a span for each request: that costs every request, also those that log nothing. Here only lines cost.

use std::fmt::{self, Write as _};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::current;
use crate::trace::{Names, TraceId};

/// A formatter whose lines say during which request they were written.
pub(super) struct InRequest<F> {
    lines: F,
    /// What a line ends with, after which nothing can be added.
    end: &'static str,
    /// How a field begins, what is between its name and its value, and how it ends.
    field: [&'static str; 3],
}

impl<F> InRequest<F> {
    /// For lines that are JSON objects with at least one key.
    pub(super) fn json(lines: F) -> Self {
        Self { lines, end: "}\n", field: [",\"", "\":\"", "\""] }
    }

    /// For lines of text.
    pub(super) fn text(lines: F) -> Self {
        Self { lines, end: "\n", field: [" ", "=\"", "\""] }
    }

    /// Neither name has anything that would have to be escaped.
    fn add(&self, line: &mut String, event: &Event<'_>, names: &Names) -> fmt::Result {
        let [begin, between, end] = self.field;
        let fields = event.metadata().fields();
        if fields.field("request_id").is_none() {
            let id = names.request_id.to_str().map_err(|_| fmt::Error)?;
            write!(line, "{begin}request_id{between}{id}{end}")?;
        }
        if fields.field("trace_id").is_none()
            && let Some(TraceId(first, second)) = names.trace_id()
        {
            write!(line, "{begin}trace_id{between}{first}{second}{end}")?;
        }
        Ok(())
    }
}

impl<S, N, F> FormatEvent<S, N> for InRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let in_request = current::with(|names| {
            let mut line = String::new();
            self.lines.format_event(context, Writer::new(&mut line), event)?;
            if line.ends_with(self.end) {
                line.truncate(line.len() - self.end.len());
                self.add(&mut line, event, names)?;
                line.push_str(self.end);
            }
            Ok(line)
        });
        match in_request {
            Some(line) => writer.write_str(&line?),
            None => self.lines.format_event(context, writer, event),
        }
    }
}
