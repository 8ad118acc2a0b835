//! How often a request allocates, so that nobody adds an allocation unnoticed. Where each comes from stands in
//! bench/service/README.md; `bench/service/run allocations` works that table out.
//!
//! The service and its client share this process; the client allocates nothing while it asks. The log goes to stdout as
//! in production, so what is counted runs in a child process, whose stdout leads nowhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use actix_web::rt::System;
use api::settings::Settings;
use chassis::Listeners;
use futures_util::stream;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Allocations of a request on a connection that stays open: with nothing but what a browser must send, and with what
/// gateway and tracing add. Found by measuring; lower it whenever it turns out lower.
const PLAIN: u64 = 14;
const TRACED: u64 = 20;

const REQUESTS: u64 = 500;
const PLAIN_REQUEST: &[u8] = b"GET /api/greeting HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TRACED_REQUEST: &[u8] = b"GET /api/greeting?name=Ada HTTP/1.1\r\n\
    Host: localhost\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    X-Request-Id: 5f1c1a7e-7d43-4a0b-9a3c-3f6d1c2b9e10\r\n\
    X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n\
    X-Forwarded-For: 203.0.113.7\r\n\r\n";

#[test]
fn a_request_allocates_no_more_often_than_is_explained() {
    let counted = child("count");
    let (plain, traced) = counted.trim().split_once(' ').expect("two numbers");
    assert!(plain.parse::<u64>().unwrap() <= PLAIN, "a plain request: {plain} allocations");
    assert!(traced.parse::<u64>().unwrap() <= TRACED, "a traced request: {traced} allocations");
}

#[test]
#[ignore = "the other test calls it in a process of its own"]
fn count() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut client = Client::start();
    let (plain, traced) = (client.allocations(PLAIN_REQUEST), client.allocations(TRACED_REQUEST));
    eprintln!("{plain} {traced}");
}

#[test]
#[ignore = "bench/service/run allocations calls it"]
fn profile() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/allocations.json");
    let mut client = Client::start();
    let _profiler = dhat::Profiler::builder().file_name(file).trim_backtraces(Some(40)).build();
    client.ask(PLAIN_REQUEST, REQUESTS);
    eprintln!("{REQUESTS} {file}");
}

/// What a test of this file says on stderr in a process of its own.
fn child(test: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(this);
    let output = command.args(["--exact", test, "--ignored", "--nocapture"]).stdout(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// A client of the real server on a connection that stays open.
struct Client {
    stream: TcpStream,
    buffer: [u8; 4096],
}

impl Client {
    /// Starts the service, and asks until everything is set up that is set up once.
    fn start() -> Self {
        let stream = TcpStream::connect(serve()).unwrap();
        let mut client = Self { stream, buffer: [0; 4096] };
        client.ask(PLAIN_REQUEST, REQUESTS);
        client.ask(TRACED_REQUEST, REQUESTS);
        client
    }

    /// The allocations of one request. What has nothing to do with the number of requests is in both differences.
    fn allocations(&mut self, request: &[u8]) -> u64 {
        let mut during = |requests| {
            let before = dhat::HeapStats::get().total_blocks;
            self.ask(request, requests);
            dhat::HeapStats::get().total_blocks - before
        };
        let (few, many) = (during(REQUESTS), during(2 * REQUESTS));
        (many.saturating_sub(few) + REQUESTS / 2) / REQUESTS
    }

    fn ask(&mut self, request: &[u8], times: u64) {
        for _ in 0..times {
            self.stream.write_all(request).unwrap();
            let mut filled = 0;
            // The body's end ends the answer.
            while !self.buffer[..filled].ends_with(b"!\"}") {
                let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
                assert_ne!(read, 0, "the service ended the connection");
                filled += read;
            }
            assert!(self.buffer.starts_with(b"HTTP/1.1 200 "));
        }
    }
}

fn serve() -> SocketAddr {
    let vars = [("API_CORS_ORIGINS", "https://app.example.com"), ("API_TRUSTED_PROXIES", "1"), ("API_WORKERS", "1")];
    let settings = Settings::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    chassis::telemetry::init("api", settings.chassis.log_format, settings.chassis.log_level);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let management = Some(TcpListener::bind("127.0.0.1:0").unwrap());
    let listeners = Listeners { service: listener, management };
    thread::spawn(move || System::new().block_on(api::run(listeners, &settings, stream::pending())).unwrap());
    address
}
