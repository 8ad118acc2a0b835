//! HTTP requests: one, or a loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

/// A request header.
pub(crate) type Header<'a> = (&'static str, &'a str);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks once.
pub(crate) fn get(url: &str, headers: &[Header<'_>]) -> Result<Answer> {
    runtime()?.block_on(ask(client()?.get(url), headers))
}

/// What came back, with its headers and its body as it is.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks once, with any method and body.
pub(crate) fn ask_for(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
    let mut request = client()?.request(method.parse().context("a method of HTTP")?, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = if body.is_empty() { request } else { request.body(body.to_vec()) };
    runtime()?.block_on(async {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
    })
}

/// Calls an AWS service that speaks JSON, such as Secrets Manager.
pub(crate) fn call(endpoint: &str, service: &str, action: &str, body: &Value) -> Result<Value> {
    let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request");
    let headers = [("X-Amz-Target", action), ("Content-Type", "application/x-amz-json-1.1"), ("Authorization", &scope)];
    let answer = runtime()?.block_on(ask(client()?.post(endpoint).body(body.to_string()), &headers))?;
    ensure!(answer.status == 200, "{action}: {answer:?}");
    serde_json::from_str(&answer.body).with_context(|| format!("{action} answers no JSON"))
}

/// Calls an AWS service that speaks forms and XML, such as CloudFormation; a refusal is an answer too.
pub(crate) fn form(endpoint: &str, service: &str, fields: &[(&str, &str)]) -> Result<Answer> {
    let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request");
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", scope.as_str())];
    runtime()?.block_on(ask(client()?.post(endpoint).body(body), &headers))
}

/// Sends a body with these headers, whatever the answer.
pub(crate) fn post(url: &str, headers: &[(String, String)], body: String) -> Result<Answer> {
    let request = client()?.post(url).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    runtime()?.block_on(ask(request, &[]))
}

/// Sends JSON, or nothing for null.
pub(crate) fn send(method: &str, url: &str, body: &Value) -> Result<Answer> {
    let request = client()?.request(method.parse().context("a method of HTTP")?, url);
    let request = if body.is_null() { request } else { request.json(body) };
    runtime()?.block_on(ask(request, &[]))
}

/// Between two requests of a steady client: without it the emulator, which is Python, would take a processor from what is
/// tested.
const PAUSE: Duration = Duration::from_millis(25);

/// A client that requests the version in a loop, on a new connection each time.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Tally>>,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    /// The digests that answered, and how often.
    pub(crate) digests: BTreeMap<String, usize>,
    /// Whatever was not a good answer.
    pub(crate) failed: Vec<String>,
}

impl Steady {
    pub(crate) fn start(base: &str, header: Option<(&'static str, String)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (stop, url) = (stop.clone(), format!("{base}/version"));
            move || {
                let (runtime, client, mut tally) = (runtime()?, client()?, Tally::default());
                let headers: Vec<Header<'_>> = header.iter().map(|(name, value)| (*name, value.as_str())).collect();
                while !stop.load(Ordering::Relaxed) {
                    tally.asked += 1;
                    match runtime.block_on(ask(client.get(&url), &headers)) {
                        Ok(Answer { status: 200, body }) => tally.saw(&body),
                        Ok(other) => tally.failed.push(format!("{other:?}")),
                        Err(error) => tally.failed.push(format!("{error:#}")),
                    }
                    std::thread::sleep(PAUSE);
                }
                Ok(tally)
            }
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the user's thread panicked"))?
    }
}

impl Tally {
    fn saw(&mut self, body: &str) {
        match serde_json::from_str::<Value>(body).ok().as_ref().and_then(|version| version["digest"].as_str()) {
            Some(digest) => *self.digests.entry(digest.to_owned()).or_default() += 1,
            None => self.failed.push(format!("no digest in {body:?}")),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}

fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(10));
    builder.build().context("cannot make an HTTP client")
}

async fn ask(request: reqwest::RequestBuilder, headers: &[Header<'_>]) -> Result<Answer> {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await?;
    Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
}
