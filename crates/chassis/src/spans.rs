//! Spans for OpenTelemetry: one for each request, sent to a collector as OTLP over HTTP.
//!
//! A worker puts what it knows of a request into a queue and goes on; it never waits. A thread of its own writes and sends
//! them in batches. What does not fit into the queue while the collector is away is dropped, and counted.

mod otlp;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use actix_web::http::header::HeaderMap;
use config::service::Spans as Settings;
use prometheus_client::metrics::counter::Counter;

use crate::About;
use crate::trace::{Names, SpanId};

pub(crate) use otlp::Span;

/// The defaults of OpenTelemetry's own batches, but for the delay, which is 5 s there.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(1);

/// How long a collector may take for a batch.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a batch is sent before it is given up, where the collector may take it later; pauses double from the first.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// How long the end of the service waits for what is still in the queue.
const FLUSH: Duration = Duration::from_secs(2);

/// The way to the collector.
pub(crate) struct Spans {
    queue: SyncSender<Item>,
    dropped: Counter,
    thread: Thread,
    ending: Arc<AtomicBool>,
    /// Ends when the thread does.
    ended: Mutex<Receiver<()>>,
}

/// How many spans the collector has taken, and how many it never will.
#[derive(Default, Clone)]
pub(crate) struct Counts {
    pub(crate) exported: Counter,
    pub(crate) dropped: Counter,
}

/// A request whose span will be sent.
pub(crate) struct Begun {
    pub(crate) parent: Option<SpanId>,
    pub(crate) at: SystemTime,
}

enum Item {
    Span(Box<Span>),
    /// Look whether the end has come.
    Wake,
}

impl Spans {
    /// Starts the thread that sends.
    pub(crate) fn start(about: About, settings: &Settings, counts: &Counts) -> io::Result<Self> {
        let (queue, items) = sync_channel(QUEUE);
        let (alive, ended) = sync_channel(0);
        let ending = Arc::new(AtomicBool::new(false));
        let sender = Sender {
            collector: Collector::new(settings),
            resource: otlp::resource(about, settings),
            counts: counts.clone(),
            ending: Arc::clone(&ending),
            is_away: false,
        };
        let send = move || {
            sender.send_all(&items);
            drop(alive);
        };
        let thread = thread::Builder::new().name("spans".into()).spawn(send)?.thread().clone();
        Ok(Self { queue, dropped: counts.dropped.clone(), thread, ending, ended: Mutex::new(ended) })
    }

    /// Begins the span of a request, and a trace where its caller has begun none.
    ///
    /// None if the caller has decided that this trace is not recorded.
    pub(crate) fn begin(&self, names: &mut Names, headers: &HeaderMap) -> Option<Begun> {
        let parent = names.begin_trace(headers);
        names.is_sampled().then(|| Begun { parent, at: SystemTime::now() })
    }

    /// Hands over a span that has ended.
    pub(crate) fn add(&self, span: Span) {
        if self.queue.try_send(Item::Span(Box::new(span))).is_err() {
            self.dropped.inc();
        }
    }

    /// Sends what is in the queue, as far as that is possible in two seconds.
    pub(crate) fn finish(&self) {
        self.ending.store(true, Ordering::Release);
        // A full queue needs no waking: its thread is at work, or asleep between two tries.
        self.queue.try_send(Item::Wake).ok();
        self.thread.unpark();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(FLUSH) {
            tracing::warn!(seconds = FLUSH.as_secs(), "gave up sending spans");
        }
    }
}

/// What the thread works with.
struct Sender {
    collector: Collector,
    resource: serde_json::Value,
    counts: Counts,
    ending: Arc<AtomicBool>,
    is_away: bool,
}

impl Sender {
    /// Sends until the end has come and the queue is empty.
    fn send_all(mut self, items: &Receiver<Item>) {
        loop {
            let batch = self.batch(items);
            if !batch.is_empty() {
                self.send(&batch);
            } else if self.is_ending() {
                return;
            }
        }
    }

    /// What comes together within a while, or at the end what is there.
    fn batch(&self, items: &Receiver<Item>) -> Vec<Span> {
        let (mut batch, begun) = (Vec::new(), Instant::now());
        while batch.len() < BATCH {
            let patience = if self.is_ending() { Duration::ZERO } else { DELAY.saturating_sub(begun.elapsed()) };
            match items.recv_timeout(patience) {
                Ok(Item::Span(span)) => batch.push(*span),
                Ok(Item::Wake) => {}
                Err(_) => break,
            }
        }
        batch
    }

    fn send(&mut self, batch: &[Span]) {
        let body = otlp::request(&self.resource, batch).to_string();
        let number = batch.len() as u64;
        for tried in 1.. {
            let failure = match self.collector.send(&body) {
                Ok(rejected) => {
                    self.counts.exported.inc_by(number.saturating_sub(rejected));
                    self.counts.dropped.inc_by(rejected.min(number));
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!("spans are exported again");
                    }
                    return;
                }
                Err(failure) => failure,
            };
            if !std::mem::replace(&mut self.is_away, true) {
                tracing::warn!(reason = %failure, "spans cannot be exported");
            }
            if self.is_ending() || !failure.is_temporary() || tried == TRIES {
                self.counts.dropped.inc_by(number);
                return;
            }
            // The end of the service wakes it up, for one more try.
            thread::park_timeout(PAUSE * 2_u32.pow(tried - 1));
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

/// A collector of OpenTelemetry.
struct Collector {
    agent: ureq::Agent,
    url: String,
}

/// Why the collector has not taken a batch.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the collector answers {0}")]
    Status(u16),
    #[error(transparent)]
    Transport(#[from] ureq::Error),
}

impl Failure {
    /// <https://opentelemetry.io/docs/specs/otlp/#failures-1>
    fn is_temporary(&self) -> bool {
        matches!(self, Self::Status(429 | 502 | 503 | 504) | Self::Transport(_))
    }
}

impl Collector {
    fn new(settings: &Settings) -> Self {
        // No proxy: which one there is only the environment knows, and nothing here reads that.
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = agent.timeout_global(Some(ANSWER)).build().into();
        Self { agent, url: format!("{}/v1/traces", settings.collector) }
    }

    /// How many spans of a batch it has rejected.
    fn send(&self, body: &str) -> Result<u64, Failure> {
        let mut response = self.agent.post(&self.url).header("content-type", "application/json").send(body)?;
        if !response.status().is_success() {
            return Err(Failure::Status(response.status().as_u16()));
        }
        let answer = response.body_mut().with_config().limit(64 * 1024).read_to_string()?;
        Ok(otlp::rejected(&answer))
    }
}
