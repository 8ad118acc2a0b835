//! The way of the log to stdout, on which nothing else waits.
//!
//! A pipe that is not read stops everything that writes to it. So lines are put into memory, by each worker into a buffer
//! of its own, and one thread writes what there is. While it cannot, the buffers fill up; then lines are dropped and
//! counted, and their number is logged as soon as lines are taken again. stdout belongs to the whole process, and so does
//! what stands in front of it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// So many bytes wait at most in each buffer.
const ROOM: usize = 1024 * 1024;

/// So much memory a buffer keeps; more was only for a time in which the lines were not taken.
const KEPT: usize = 64 * 1024;

/// How long lines are collected for one write. At a high load a write for every few requests would cost more than the
/// requests; if the process is killed, no more than this is lost.
const TURN: Duration = Duration::from_millis(1);

/// How long the end of the process waits for lines to be taken.
const END: Duration = Duration::from_secs(1);

static OUTPUT: LazyLock<Output> = LazyLock::new(|| {
    let writer = thread::Builder::new().name("log".to_owned()).spawn(|| OUTPUT.write_for_ever());
    let writer = writer.expect("a process that has just begun may have a second thread").thread().clone();
    Output { writer, dropped: Counter::default(), writing: AtomicBool::new(false), buffers: Mutex::default() }
});

/// Where what is logged through `tracing` waits.
static EVENTS: LazyLock<Arc<Buffer>> = LazyLock::new(Buffer::new);

struct Output {
    writer: Thread,
    dropped: Counter,
    /// Whether lines that are in no buffer any more are not written yet.
    writing: AtomicBool,
    buffers: Mutex<Vec<Arc<Buffer>>>,
}

/// Lines that are to be written.
pub(crate) struct Buffer(Mutex<Vec<u8>>);

/// How many lines were dropped, for the metrics.
pub(crate) fn dropped() -> Counter {
    OUTPUT.dropped.clone()
}

/// Waits until everything that was logged before is written, but not for long if it is not taken.
pub(crate) fn finish() {
    let begun = Instant::now();
    while OUTPUT.has_something() && begun.elapsed() < END {
        OUTPUT.writer.unpark();
        thread::sleep(TURN);
    }
}

impl Buffer {
    pub(crate) fn new() -> Arc<Self> {
        let buffer = Arc::new(Self(Mutex::default()));
        lock(&OUTPUT.buffers).push(Arc::clone(&buffer));
        buffer
    }

    /// Adds one line, if there is room for it.
    pub(crate) fn add(&self, line: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = lock(&self.0);
        if bytes.len() >= ROOM {
            OUTPUT.dropped.inc();
            return;
        }
        let first = bytes.is_empty();
        line(&mut bytes);
        drop(bytes);
        if first {
            OUTPUT.writer.unpark();
        }
    }
}

impl Output {
    fn has_something(&self) -> bool {
        // In this order: the writer notes that it writes before it empties a buffer.
        lock(&self.buffers).iter().any(|buffer| !lock(&buffer.0).is_empty()) || self.writing.load(Ordering::SeqCst)
    }

    fn write_for_ever(&self) {
        let (mut lines, mut buffers, mut reported) = (Vec::new(), Vec::new(), 0);
        loop {
            thread::park();
            thread::sleep(TURN);
            self.writing.store(true, Ordering::SeqCst);
            // Into what is there: a turn that allocates would do so for every request where there are few.
            buffers.extend(lock(&self.buffers).iter().cloned());
            for buffer in &buffers {
                std::mem::swap(&mut *lock(&buffer.0), &mut lines);
                if !lines.is_empty() {
                    let lost = write(&lines).iter().filter(|byte| **byte == b'\n').count();
                    self.dropped.inc_by(lost as u64);
                    lines.clear();
                    lines.shrink_to(KEPT);
                }
            }
            buffers.clear();
            // Those of workers that have ended.
            lock(&self.buffers).retain(|buffer| Arc::strong_count(buffer) > 1 || !lock(&buffer.0).is_empty());
            let dropped = self.dropped.get();
            if dropped > reported {
                tracing::warn!(lines = dropped - reported, "lines were dropped while the log was not read");
                reported = dropped;
            }
            self.writing.store(false, Ordering::SeqCst);
        }
    }
}

/// Writes lines, and returns what could not be written: nobody else would learn of an error, and the requests go on.
fn write(mut lines: &[u8]) -> &[u8] {
    let mut stdout = io::stdout().lock();
    while !lines.is_empty() {
        match stdout.write(lines) {
            Ok(0) => break,
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // stdout is shared with a process that has made it so.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(TURN),
            Err(_) => break,
        }
    }
    lines
}

/// Takes what is logged through `tracing`.
pub(crate) struct Events;

impl MakeWriter<'_> for Events {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Events {
    /// One event, with the end of its line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        EVENTS.add(|bytes| bytes.extend_from_slice(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A worker that panicked while it wrote a line may have left half of it; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
