//! For tests: a service on a port of its own, and two ways to ask it: a proper HTTP client, and bytes as they are.
//!
//! With the feature `testing`, which is for `[dev-dependencies]`. Whatever fails, panics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::missing_panics_doc, reason = "all of them panic where something fails")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use config::service::Variable;
use serde_json::Value;
pub use ureq::http::Method;
use ureq::http::{HeaderMap, Request, Response};

use utoipa::openapi::OpenApi;

use crate::routes::declared;
use crate::{Listeners, Routes};

/// Longer than anything takes; only a broken service makes a test wait for it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a service on a free port of the loopback interface, for as long as the test's process lives.
///
/// `run` gets the listeners and the variables, to which `API_LOG_LEVEL=error` is added: in a test's own process the log
/// would only stand between its results.
pub fn start<F>(
    vars: &[(&str, &str)],
    run: impl FnOnce(Listeners, Vec<(String, String)>) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>>,
{
    let quiet = ("API_LOG_LEVEL", "error");
    let vars = std::iter::once(&quiet).chain(vars).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    let listeners = Listeners { service, management: None };
    thread::spawn(move || System::new().block_on(run(listeners, vars)).unwrap());
    address
}

/// Asserts that every operation of these resources is described, and that nothing else is.
///
/// A handler is named once for its resource and once for its description; this is what keeps the two together.
pub fn assert_described(routes: impl Routes, description: &OpenApi) {
    let declared = System::new().block_on(declared::by(routes));
    let document = serde_json::to_value(description).unwrap();
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        // Its other keys are a summary, parameters and the like.
        let methods = ["get", "post", "put", "patch", "delete"].into_iter().filter(|method| item.get(method).is_some());
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let described: BTreeSet<_> = operations.collect();
    assert_eq!(declared, described, "left: what is served; right: what is described");
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, which must be text.
    pub body: String,
}

impl Answer {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Asserts that this is an error as every error of ours looks.
    pub fn assert_problem(&self, status: u16, title: &str, detail: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, "application/problem+json"), "{self:?}");
        let expected = format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}"#);
        assert_eq!(self.body, expected);
        assert!(!self.header("x-request-id").is_empty());
    }
}

/// Asks with `GET`.
pub fn get(address: SocketAddr, target: &str) -> Answer {
    ask(address, Method::GET, target, &[])
}

/// Asks with any method, without a body.
pub fn ask(address: SocketAddr, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
    let agent: ureq::Agent = agent.timeout_global(Some(DEADLINE)).build().into();
    ask_with(&agent, address, method, target, headers)
}

/// Asks through a client of its own settings.
pub fn ask_with(
    agent: &ureq::Agent,
    address: SocketAddr,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(agent.run(request.body(()).unwrap()).unwrap())
}

/// Sends a body with `POST`.
pub fn post(address: SocketAddr, target: &str, media_type: &str, body: &str) -> Answer {
    send(address, Method::POST, target, media_type, body)
}

/// Sends a body.
pub fn send(address: SocketAddr, method: Method, target: &str, media_type: &str, body: &str) -> Answer {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build().into();
    let request = Request::builder().method(method).uri(format!("http://{address}{target}"));
    answer(agent.run(request.header("content-type", media_type).body(body).unwrap()).unwrap())
}

fn answer(mut response: Response<ureq::Body>) -> Answer {
    let body = response.body_mut().read_to_string().unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

/// Connects, and waits for no answer longer than [`DEADLINE`].
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends bytes and returns everything that comes back until the service closes the connection.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until the answer ends with some text.
pub fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asserts that the service answers `GET` on every path of its `/openapi.json` as that describes, and returns the document.
///
/// Each answer has to be JSON by a named schema: its media type, its status, and all properties that are required and none
/// that is not described.
pub fn assert_answers_as_described(address: SocketAddr) -> Value {
    let document: Value = serde_json::from_str(&get(address, "/openapi.json").body).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let answer = get(address, path);
        let described = &item["get"]["responses"][answer.status.to_string()];
        let (media, content) = described["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(media, answer.header("content-type"), "{path}");
        let schema = document.pointer(&content["schema"]["$ref"].as_str().unwrap()[1..]).unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(body.as_object().unwrap().keys().all(|key| properties.contains_key(key)), "{path}: {body}");
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|key| body.get(key.as_str().unwrap()).is_some()), "{path}: {body}");
    }
    document
}

/// The table in which a README shows variables, as it has to be.
pub fn table_of_settings(variables: &[&Variable]) -> String {
    let row = |variable: &&Variable| {
        let default = variable.default.map_or("none".into(), |value| format!("`{value}`"));
        format!("| `{}` | {default} | {} | {} |\n", variable.name, variable.meaning, variable.allowed)
    };
    let rows: String = variables.iter().map(row).collect();
    format!("| Variable | Default | Meaning | Allowed |\n|---|---|---|---|\n{rows}\n")
}
