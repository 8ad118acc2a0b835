//! One line for each request, written so that it costs next to nothing.
//!
//! A line through `tracing` takes about as long as everything else that the service does for a greeting. These are put
//! together in a buffer of their worker, and go out with one write for all requests that the worker answers one after
//! the other: at once when there is little to do, and rarely when there is much. Nothing waits for a timer, and at the
//! end of the service nothing is left behind.

mod line;

use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use actix_web::rt;
use config::service::{LogFormat, LogLevel};

pub(crate) use line::Entry;
use line::Second;
use tokio::task::yield_now;

/// So many bytes are written whatever else there is to do; a crash loses no more.
const MANY: usize = 16 * 1024;

/// The log of all workers.
pub(crate) struct AccessLog {
    format: LogFormat,
    level: LogLevel,
    workers: Mutex<Vec<Arc<Mutex<Lines>>>>,
}

/// The log of one worker.
pub(crate) struct WorkerLog {
    format: LogFormat,
    level: LogLevel,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    second: Second,
    writer: Option<Waker>,
}

impl AccessLog {
    pub(crate) fn new(format: LogFormat, level: LogLevel) -> Self {
        Self { format, level, workers: Mutex::default() }
    }

    /// The log of the worker on whose thread this is called.
    pub(crate) fn worker(&self) -> WorkerLog {
        let lines = Arc::new(Mutex::new(Lines::default()));
        lock(&self.workers).push(Arc::clone(&lines));
        rt::spawn(write_by_and_by(Arc::clone(&lines)));
        WorkerLog { format: self.format, level: self.level, lines }
    }

    /// Writes what is left.
    pub(crate) fn finish(&self) {
        for lines in &*lock(&self.workers) {
            lock(lines).write();
        }
    }
}

/// Writes as soon as a turn of the event loop has added no line, or when there are many.
async fn write_by_and_by(lines: Arc<Mutex<Lines>>) {
    loop {
        let mut length = poll_fn(|context| lock(&lines).added(context)).await;
        loop {
            // To the end of what is ready to run, and past the next look at what has arrived.
            yield_now().await;
            let now = lock(&lines).bytes.len();
            if now == length || now >= MANY {
                break;
            }
            length = now;
        }
        lock(&lines).write();
    }
}

impl WorkerLog {
    pub(crate) fn add(&self, entry: &Entry<'_>) {
        if entry.level > self.level {
            return;
        }
        let mut lines = lock(&self.lines);
        let Lines { bytes, second, .. } = &mut *lines;
        line::add(bytes, second, self.format, entry, SystemTime::now());
        if let Some(writer) = lines.writer.take() {
            writer.wake();
        }
    }
}

impl Lines {
    /// How many bytes there are, as soon as there are any.
    fn added(&mut self, context: &Context<'_>) -> Poll<usize> {
        if self.bytes.is_empty() {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.bytes.len())
    }

    fn write(&mut self) {
        // There is nobody to tell that the log cannot be written; the requests go on.
        io::stdout().lock().write_all(&self.bytes).ok();
        self.bytes.clear();
    }
}

/// A worker that panicked while it wrote a line may have left half of it; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
