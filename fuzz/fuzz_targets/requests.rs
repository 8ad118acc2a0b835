//! Whatever a client sends: no panic, no server fault, no connection that stays open, no answer after the last one, and a
//! service that lives on.
//!
//! An input is what a client sends, but for three bytes that no request needs, so that a short input can be a long
//! request, or many:
//!
//! | byte | what is sent in its place |
//! |---|---|
//! | FD, COUNT (2 bytes), LENGTH | the last LENGTH + 1 bytes, COUNT times more |
//! | FE, COUNT (2 bytes), BYTE | BYTE, twice COUNT times |
//! | FF | nothing for two milliseconds |

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::abort;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use actix_web::rt::System;
use api::settings::Settings;
use chassis::Listeners;
use futures_util::stream;
use libfuzzer_sys::fuzz_target;

/// Longer than any answer takes, and than the service waits for a client that has ended its part.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an input can become, in bytes.
const LONGEST: usize = 1024 * 1024;

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
    let answers = exchange(&pieces(input));
    let text = String::from_utf8_lossy(&answers);
    // The first line of an answer stands at the start, or after the body of the one before.
    for status in text.split("HTTP/1.1 ").skip(1).map(|answer| &answer.as_bytes()[..answer.len().min(3)]) {
        assert!(!status.starts_with(b"5"), "the service is at fault: {text}");
    }
    // Bodies have no line that ends so: JSON writes its line ends as letters.
    if let Some(last) = text.find("\r\nconnection: close\r\n") {
        assert!(text[last..].matches("\r\ndate: ").count() <= 1, "an answer after the last one: {text}");
    }
    let well = exchange(&[b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec()]);
    assert!(well.starts_with(b"HTTP/1.1 200 OK\r\n"), "the service is not well: {}", well.escape_ascii());
});

/// What is sent in one go each.
fn pieces(input: &[u8]) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece, mut total, mut rest) = (Vec::new(), Vec::new(), 0, input);
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (0xfd, [high, low, length, after @ ..]) => {
                let last = piece[piece.len().saturating_sub(usize::from(*length) + 1)..].to_vec();
                let count = usize::from(u16::from_be_bytes([*high, *low]));
                piece.extend(last.repeat(count.min((LONGEST - total.min(LONGEST)) / last.len().max(1))));
                rest = after;
            }
            (0xfe, [high, low, byte, after @ ..]) => {
                let count = 2 * usize::from(u16::from_be_bytes([*high, *low]));
                piece.extend(std::iter::repeat_n(*byte, count.min(LONGEST - total.min(LONGEST))));
                rest = after;
            }
            (0xff, _) => pieces.push(std::mem::take(&mut piece)),
            (byte, _) => piece.push(*byte),
        }
        total = pieces.iter().map(Vec::len).sum::<usize>() + piece.len();
    }
    pieces.push(piece);
    pieces
}

/// Sends everything, ends the sending, and returns what comes back until the service closes the connection.
fn exchange(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = TcpStream::connect(*SERVICE).expect("the service accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
    let mut writer = stream.try_clone().expect("a connection may be used twice");
    thread::scope(|scope| {
        // The service may close before it has read everything, which is its right.
        let sent = scope.spawn(move || {
            for (place, piece) in pieces.iter().enumerate() {
                if place > 0 {
                    thread::sleep(Duration::from_millis(2));
                }
                writer.write_all(piece)?;
            }
            writer.shutdown(Shutdown::Write)
        });
        let mut answers = Vec::new();
        let read = stream.read_to_end(&mut answers);
        let open = matches!(&read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        // Ends the sending where the service has given up reading.
        stream.shutdown(Shutdown::Both).ok();
        let sent = sent.join().expect("the sending does not panic");
        let pieces = || pieces.concat().escape_ascii().to_string();
        assert!(!open, "the connection is still open after {PATIENCE:?} ({sent:?}): {}", pieces());
        answers
    })
}
