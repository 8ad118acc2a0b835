//! Two ways to ask: a proper HTTP client, and bytes as they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, Response};

/// Longer than anything takes; only a broken service makes a test wait for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Asserts that this is an error as every error of ours looks.
    pub(crate) fn assert_problem(&self, status: u16, title: &str, detail: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, "application/problem+json"), "{self:?}");
        let expected = format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}"#);
        assert_eq!(self.body, expected);
        assert!(!self.header("x-request-id").is_empty());
    }
}

pub(crate) fn get(address: SocketAddr, target: &str) -> Answer {
    ask(address, Method::GET, target, &[])
}

pub(crate) fn ask(address: SocketAddr, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
    let agent: ureq::Agent = agent.timeout_global(Some(DEADLINE)).build().into();
    ask_with(&agent, address, method, target, headers)
}

pub(crate) fn ask_with(
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

/// Sends a body.
pub(crate) fn post(address: SocketAddr, target: &str, media_type: &str, body: &str) -> Answer {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build().into();
    let request = agent.post(format!("http://{address}{target}")).header("content-type", media_type);
    answer(request.send(body).unwrap())
}

fn answer(mut response: Response<ureq::Body>) -> Answer {
    let body = response.body_mut().read_to_string().unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends bytes and returns everything that comes back until the service closes the connection.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until the answer ends with some text.
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}
