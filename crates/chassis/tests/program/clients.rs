//! Clients that want to do harm, and what the process is like afterwards.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::NamedTrial;
use crate::operators::value;
use crate::process::Process;
use chassis::testing::{connect, eventually, exchange, get};

pub(crate) const TRIALS: &[NamedTrial] = &[
    #[cfg(target_os = "linux")]
    ("answers_that_are_not_taken_take_no_memory", answers_that_are_not_taken_take_no_memory),
    (
        "what_is_not_http_is_counted_and_logged_for_those_who_debug",
        what_is_not_http_is_counted_and_logged_for_those_who_debug,
    ),
    ("a_log_that_is_not_read_stops_nothing", a_log_that_is_not_read_stops_nothing),
];

/// Writes to all of them as much as they take for some time.
fn fill(streams: &mut [TcpStream], bytes: &[u8], time: Duration) {
    let mut written = vec![0; streams.len()];
    let started = Instant::now();
    while started.elapsed() < time {
        for (stream, written) in streams.iter_mut().zip(&mut written) {
            stream.set_nonblocking(true).unwrap();
            match stream.write(&bytes[*written..]) {
                Ok(length) => *written = (*written + length) % bytes.len(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(target_os = "linux")]
fn answers_that_are_not_taken_take_no_memory() {
    let process = Process::start(&[("API_BODY_SECONDS", "60")]);
    get(process.address, "/openapi.json");
    let before = process.peak_memory();
    let mut streams: Vec<_> = (0..40).map(|_| connect(process.address)).collect();
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000);
    fill(&mut streams, requests.as_bytes(), Duration::from_secs(4));
    let more = process.peak_memory() - before;
    assert!(more < 16 << 20, "{more} bytes");
    assert_eq!(get(process.address, "/hello").status, 200);
}

fn what_is_not_http_is_counted_and_logged_for_those_who_debug() {
    for (level, logged) in [("info", false), ("debug", true)] {
        let process = Process::start(&[("API_LOG_LEVEL", level)]);
        let answer = exchange(process.address, b"GET / HTTP/1.1\r\nHost: a\r\nNo Colon\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let body = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"This is not a request as HTTP/1.1 has it."}"#;
        assert!(answer.ends_with(body), "{answer}");
        exchange(process.address, format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(97)).as_bytes());
        for status in [400, 431] {
            let series = format!("http_requests_malformed_total{{status=\"{status}\"}}");
            assert_eq!(value(&process, &series), Some(1.0));
        }
        // Nothing was logged before this but what is to be.
        get(process.address, "/hello");
        if logged {
            let event = process.event("malformed request");
            assert_eq!((&event["level"], &event["status"]), (&"DEBUG".into(), &400.into()));
            assert!(answer.contains(&format!("\r\nx-request-id: {}\r\n", event["request_id"].as_str().unwrap())));
        } else {
            let line = process.line();
            assert!(line.contains(r#""message":"request""#), "{line}");
        }
    }
}

/// Asks until lines are dropped: what waits for the reader is more than a pipe and all buffers take.
fn drop_lines(process: &Process) {
    let requests = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let last = "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    eventually("lines are dropped", || {
        let answers = exchange(process.address, [&*requests, last].concat().as_bytes());
        assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 1001);
        value(process, "log_lines_dropped_total").unwrap() > 0.0
    });
}

fn a_log_that_is_not_read_stops_nothing() {
    let process = Process::start(&[("API_WORKERS", "2")]);
    process.stop_reading();
    drop_lines(&process);
    assert_eq!(get(process.address, "/hello").status, 200);
    process.read_on();
    let warning = process.event("lines were dropped while the log was not read");
    assert_eq!(warning["level"], "WARN");
    assert!(warning["lines"].as_u64().unwrap() > 0, "{warning}");
    get(process.address, "/after");
    while process.event("request")["path"] != "/after" {}

    let mut process = Process::start(&[("API_DRAIN_SECONDS", "0"), ("API_SHUTDOWN_SECONDS", "600")]);
    process.stop_reading();
    drop_lines(&process);
    let begun = Instant::now();
    process.signal("TERM");
    assert!(process.ended().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
