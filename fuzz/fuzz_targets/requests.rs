//! Whatever a client sends: no panic, no server fault, no connection that stays open, and a service that lives on.

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::abort;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use actix_web::rt::System;
use chassis::Listeners;
use api::settings::Settings;
use futures_util::stream;
use libfuzzer_sys::fuzz_target;

/// Longer than any answer takes, and than the service waits for a client that has ended its part.
const PATIENCE: Duration = Duration::from_secs(10);

/// The real server behind a real port, with times and limits that an input reaches.
///
/// The service contains a panic and goes on. Here none is forgiven: the fuzzer's own panic hook, which is in place before
/// the first input, ends the process on whatever thread it happens.
static SERVICE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let vars = [
        ("API_LOG_LEVEL", "error"),
        ("API_PATH_PREFIX", "/production"),
        ("API_CORS_ORIGINS", "https://app.example.com"),
        ("API_TRUSTED_PROXIES", "2"),
        ("API_WORKERS", "1"),
        ("API_MAX_URI_BYTES", "256"),
        ("API_MAX_HEADER_BYTES", "1024"),
        ("API_MAX_BODY_BYTES", "512"),
        ("API_HEADER_SECONDS", "1"),
        ("API_BODY_SECONDS", "1"),
        ("API_KEEP_ALIVE_SECONDS", "1"),
    ];
    let settings = Settings::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let settings = settings.expect("these settings are allowed");
    let service = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = service.local_addr().expect("a listener has an address");
    let listeners = Listeners { service, management: None };
    thread::spawn(move || {
        let served = System::new().block_on(api::run(listeners, &settings, stream::pending()));
        eprintln!("the service has ended: {served:?}");
        abort();
    });
    address
});

fuzz_target!(|input: &[u8]| {
    let answers = exchange(input);
    // The first line of an answer stands at the start, or after the body of the one before.
    let text = String::from_utf8_lossy(&answers);
    for status in text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..answer.len().min(3)]) {
        assert!(!status.starts_with('5'), "the service is at fault: {text}");
    }
    let well = exchange(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(well.starts_with(b"HTTP/1.1 200 OK\r\n"), "the service is not well: {}", well.escape_ascii());
});

/// Sends everything, ends the sending, and returns what comes back until the service closes the connection.
fn exchange(bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(*SERVICE).expect("the service accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
    // The service may close before it has read everything, which is its right.
    let sent = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answers = Vec::new();
    match stream.read_to_end(&mut answers) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the connection is still open after {PATIENCE:?} ({sent:?}): {}", bytes.escape_ascii())
        }
        _ => answers,
    }
}
