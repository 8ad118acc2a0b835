//! One line for each request, written so that it costs next to nothing.
//!
//! A line through `tracing` takes about as long as everything else that a service does for a short answer. These are put
//! together in a buffer of their worker, from which they are written with those of many other requests.

mod line;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use config::service::{LogFormat, LogLevel};

pub(crate) use line::Entry;
use line::Second;

use crate::output::Buffer;

/// The log of all workers.
pub(crate) struct AccessLog {
    format: LogFormat,
    level: LogLevel,
}

/// The log of one worker.
pub(crate) struct WorkerLog {
    format: LogFormat,
    level: LogLevel,
    second: RefCell<Second>,
    buffer: Arc<Buffer>,
}

impl AccessLog {
    pub(crate) fn new(format: LogFormat, level: LogLevel) -> Self {
        Self { format, level }
    }

    /// The log of one more worker.
    pub(crate) fn worker(&self) -> WorkerLog {
        WorkerLog { format: self.format, level: self.level, second: RefCell::default(), buffer: Buffer::new() }
    }
}

impl WorkerLog {
    pub(crate) fn add(&self, entry: &Entry<'_>) {
        if entry.level > self.level {
            return;
        }
        let second = &mut *self.second.borrow_mut();
        self.buffer.add(|bytes| line::add(bytes, second, self.format, entry, SystemTime::now()));
    }
}
