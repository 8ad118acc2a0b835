//! A load generator with a constant rate: it does not wait for earlier answers.
//!
//! Each request is measured from the moment at which it was meant to be sent, so that a pause of the other side counts
//! for everybody who would have asked in it. Nothing is asked twice: whatever is not the right answer is lost. One thing
//! is told apart: the emulator, which knows no health check, sends requests to a task that does not listen yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any answer may take; then it is lost.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Emulator and proxies close idle connections after some seconds; no client here waits that long.
const IDLE: Duration = Duration::from_secs(1);
/// How long a task that was taken for healthy too early may take until it listens.
const STARTING: Duration = Duration::from_secs(3);
/// Failures that are kept in words.
const KEPT: usize = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `HOST:PORT`.
    pub(crate) authority: String,
    /// Leads to the service's `/version`.
    pub(crate) path: String,
    /// Requests a second.
    pub(crate) rate: u32,
}

/// What the crowd saw.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) asked: usize,
    pub(crate) lost: usize,
    /// Those that the emulator sent to a new task before that listened; AWS's load balancer asks for its health first.
    pub(crate) early: usize,
    /// The first of those that were lost, with the seconds since the start.
    pub(crate) failures: Vec<String>,
    /// The digests that answered, and how often.
    pub(crate) digests: BTreeMap<String, usize>,
    /// How long each answer took, in microseconds.
    took: Vec<u32>,
    pub(crate) seconds: f64,
}

/// The crowd while it asks.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
    started: Instant,
}

struct Shared {
    aim: Target,
    seen: Mutex<Outcome>,
    /// Connections that wait for the next request, the last used on top.
    idle: Mutex<Vec<(TcpStream, Instant)>>,
    open: AtomicUsize,
}

impl Load {
    /// Starts to ask, and asks at least `least` times before it ends.
    pub(crate) fn start(aim: Target, least: usize) -> Self {
        let shared = Shared { aim, seen: Mutex::default(), idle: Mutex::default(), open: AtomicUsize::new(0) };
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::new(shared));
        let thread = std::thread::spawn({
            let (stop, shared) = (Arc::clone(&stop), Arc::clone(&shared));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(ask_on(&stop, &shared, least));
                Ok(())
            }
        });
        Self { stop, shared, thread, started: Instant::now() }
    }

    /// Ends it once enough has been asked, and says what was seen.
    pub(crate) fn finish(self) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the load's thread panicked"))??;
        let mut seen = std::mem::take(&mut *self.shared.seen.lock().map_err(|_| anyhow!("the load panicked"))?);
        seen.took.sort_unstable();
        seen.seconds = self.started.elapsed().as_secs_f64();
        Ok(seen)
    }
}

impl Outcome {
    /// The time within which this share of the answers came.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let last = self.took.len().saturating_sub(1);
        let position = ((self.took.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
        Duration::from_micros(self.took.get(position).copied().unwrap_or_default().into())
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.within(1.0)
    }

    /// Checks that none was lost, none was too slow, and that each of these digests has answered and no other.
    pub(crate) fn whole(&self, slowest: Duration, digests: &[&str]) -> Result<()> {
        ensure!(self.lost == 0, "{} of {} requests were lost: {:#?}", self.lost, self.asked, self.failures);
        let answered: usize = self.digests.values().sum();
        ensure!(
            self.asked - self.early == answered && answered == self.took.len(),
            "not all that was asked is accounted for: {self}"
        );
        ensure!(self.slowest() <= slowest, "the slowest answer took too long: {self}");
        let seen: Vec<&str> = self.digests.keys().map(String::as_str).collect();
        let mut wanted = digests.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        ensure!(seen == wanted, "these answered: {:?}; these were to: {wanted:?}", self.digests);
        Ok(())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.asked as f64 / self.seconds.max(0.001);
        write!(formatter, "{} requests in {:.0} s ({rate:.0}/s), {} lost", self.asked, self.seconds, self.lost)?;
        if self.early > 0 {
            write!(formatter, ", {} sent to a task before it listened", self.early)?;
        }
        for (name, share) in [("median", 0.5), ("99 %", 0.99), ("99.9 %", 0.999), ("slowest", 1.0)] {
            write!(formatter, ", {name} {:.1} ms", self.within(share).as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

async fn ask_on(stop: &AtomicBool, shared: &Arc<Shared>, least: usize) {
    let began = tokio::time::Instant::now();
    let mut number = 0;
    while number < least || !stop.load(Ordering::Relaxed) {
        let intended = began + Duration::from_secs(1) * number.try_into().unwrap_or(u32::MAX) / shared.aim.rate;
        tokio::time::sleep_until(intended).await;
        shared.open.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(shared);
        // Every second one comes anew, as half of the users do.
        let anew = number % 2 == 0;
        tokio::spawn(async move {
            let answer = tokio::time::timeout(TIMEOUT, shared.ask(anew)).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {TIMEOUT:?}")));
            let took = intended.elapsed();
            let answer = match answer {
                Err(error) if was_early(&format!("{error:#}")).await => Ok(None),
                other => other.map(Some),
            };
            shared.note(answer, took, intended.duration_since(began));
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
        number += 1;
    }
    while shared.open.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Shared {
    fn note(&self, answer: Result<Option<String>>, took: Duration, at: Duration) {
        let Ok(mut seen) = self.seen.lock() else { return };
        seen.asked += 1;
        match answer {
            Ok(None) => seen.early += 1,
            Ok(Some(digest)) => {
                *seen.digests.entry(digest).or_default() += 1;
                seen.took.push(took.as_micros().try_into().unwrap_or(u32::MAX));
            }
            Err(error) => {
                seen.lost += 1;
                if seen.failures.len() < KEPT {
                    seen.failures.push(format!("after {:.1} s: {error:#}", at.as_secs_f64()));
                }
            }
        }
    }

    /// The digest that the service answers with.
    async fn ask(&self, anew: bool) -> Result<String> {
        let waiting = if anew { None } else { self.waiting() };
        let mut stream = match waiting {
            Some(stream) => stream,
            None => TcpStream::connect(&self.aim.authority).await.context("cannot connect")?,
        };
        stream.set_nodelay(true)?;
        let Target { authority, path, .. } = &self.aim;
        let manner = if anew { "close" } else { "keep-alive" };
        let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: {manner}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.context("cannot send")?;
        let (head, body) = read(&mut stream).await?;
        ensure!(head.starts_with("http/1.1 200 "), "{head}{body}");
        let version: Value = serde_json::from_str(&body).with_context(|| format!("no JSON: {body:?}"))?;
        let digest = version["digest"].as_str().with_context(|| format!("no digest: {body}"))?.to_owned();
        ensure!(version["name"] == "api", "somebody else answers: {body}");
        if !anew
            && !head.contains("connection: close")
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push((stream, Instant::now()));
        }
        Ok(digest)
    }

    fn waiting(&self) -> Option<TcpStream> {
        let mut idle = self.idle.lock().ok()?;
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(stream, _)| stream)
    }
}

/// Whether the emulator says that a target could not be reached which listens a moment later: it was just starting. One
/// that has stopped never listens again.
async fn was_early(failure: &str) -> bool {
    let target = failure.split_once("Target ").and_then(|(_, rest)| rest.split_once(" connect error: "));
    let Some((target, _)) = target else { return false };
    let listens = async {
        while TcpStream::connect(target).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(STARTING, listens).await.is_ok()
}

/// An answer's head in small letters, and its body.
async fn read(stream: &mut TcpStream) -> Result<(String, String)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase() + "\r\n";
            if let Some(body) = body(&head, &bytes[end + 4..])? {
                return Ok((head, body));
            }
        }
        if stream.read_buf(&mut bytes).await.context("the answer broke off")? == 0 {
            bail!("closed after {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// The body, once all of it is there.
fn body(head: &str, rest: &[u8]) -> Result<Option<String>> {
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:") == Some("chunked") {
        return Ok(rest.ends_with(b"0\r\n\r\n").then(|| without_sizes(rest)));
    }
    let length: usize = value("content-length:").context("no length")?.parse().context("no number")?;
    Ok(rest.get(..length).map(|body| String::from_utf8_lossy(body).into_owned()))
}

fn without_sizes(chunked: &[u8]) -> String {
    let text = String::from_utf8_lossy(chunked);
    // The bodies asked for here have one line.
    text.split("\r\n").skip(1).step_by(2).collect()
}
