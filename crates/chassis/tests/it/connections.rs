//! Several requests on one connection, and clients that send what no request has.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::error::InternalError;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use chassis::testing::{connect, exchange, get, read_until};

use crate::server;

/// The status codes of everything that comes back.
fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.").skip(1).map(|answer| &answer[2..5]).collect()
}

/// Sends one piece again and again while it reads what comes back, to the end of the connection: how much was taken, and
/// what was said.
fn flood(server: SocketAddr, begin: &str, piece: &str) -> (usize, String) {
    let mut stream = connect(server);
    stream.write_all(begin.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answers = thread::spawn(move || {
        let mut answers = Vec::new();
        // A reset is an end as well; what came before it counts.
        reader.read_to_end(&mut answers).ok();
        String::from_utf8(answers).unwrap()
    });
    let mut taken = 0;
    while taken < 64 << 20 && stream.write_all(piece.as_bytes()).is_ok() {
        taken += piece.len();
    }
    (taken, answers.join().unwrap())
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let server = server::start();
    let requests = "\r\nHEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde\
        GET /version HTTP/1.1\r\nHost: a\r\n\r\n\
        PUT /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n\
        OPTIONS /hello HTTP/1.1\r\nHost: a\r\n\r\n\r\n\
        GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let whole = exchange(server, requests.as_bytes());
    assert_eq!(statuses(&whole), ["200", "405", "200", "405", "204", "200"], "{whole}");
    assert!(whole.ends_with(r#"{"hello":"World"}"#), "{whole}");
    let mut stream = connect(server);
    for byte in requests.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut dripped = String::new();
    stream.read_to_string(&mut dripped).unwrap();
    assert_eq!(statuses(&dripped), statuses(&whole));
}

#[test]
fn many_requests_that_come_together_are_all_answered() {
    let server = server::start();
    let mut stream = connect(server);
    let mut writer = stream.try_clone().unwrap();
    let sent = thread::spawn(move || {
        let requests = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
        writer.write_all(requests.as_bytes()).unwrap();
        writer.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    });
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    sent.join().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 20_001);
}

#[test]
fn nothing_is_answered_after_the_last_request() {
    let server = server::start();
    let next = "GET /version HTTP/1.1\r\nHost: a\r\n\r\n";
    for last in [
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answers = exchange(server, [last, next].concat().as_bytes());
        assert_eq!(statuses(&answers).len(), 1, "{answers}");
        // HTTP/1.0 has no other way.
        assert!(answers.starts_with("HTTP/1.0 ") || answers.contains("\r\nconnection: close\r\n"), "{answers}");
    }
}

#[test]
fn what_follows_a_request_has_its_time_from_its_first_byte() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "1"), ("API_KEEP_ALIVE_SECONDS", "60")], server::routes);
    let started = Instant::now();
    let answers = exchange(server, b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHo");
    assert_eq!(statuses(&answers), ["200", "408"], "{answers}");
    assert!((1..10).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[test]
fn a_head_that_actix_cannot_take_is_refused() {
    let server = server::start_with(&[("API_MAX_HEADER_BYTES", "131072")], server::routes);
    let head = |headers: &str| format!("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
    for (headers, detail) in [
        (format!("{}: b\r\n", "a".repeat(65_536)), "the name of a header has more than 65535 bytes"),
        ("a: b\r\n".repeat(95), "there are more than 96 headers"),
        (format!("a: {}", "b".repeat(140_000)), "request line and headers have more than 131072 bytes"),
    ] {
        let answer = exchange(server, head(&headers).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
        assert!(answer.ends_with(&format!(r#""status":431,"detail":"{detail}"}}"#)), "{answer}");
    }
    for headers in [format!("{}: b\r\n", "a".repeat(65_535)), "a: b\r\n".repeat(94)] {
        assert_eq!(statuses(&exchange(server, head(&headers).as_bytes())), ["200"]);
    }
}

#[test]
fn a_head_without_an_end_is_refused_as_soon_as_it_is_too_long() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "600")], server::routes);
    let answer = exchange(server, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(17_000)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("request line and headers have more than 16384 bytes"), "{answer}");
}

#[test]
fn a_body_without_an_end_is_refused_once() {
    let server = server::start();
    let head = "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let content = "a".repeat(32_768);
    for (begin, piece, status) in [
        ("", &*format!("8000\r\n{content}\r\n"), "413"),
        ("8000;", &content, "413"),
        ("0\r\nX: ", &content, "413"),
        ("0\r\n", "X: y\r\n", "413"),
        ("0", &"0".repeat(32_768), "400"),
        ("1\r\na\r\nzz", "\r\n\r\n", "400"),
    ] {
        let (taken, answers) = flood(server, &[head, begin].concat(), piece);
        assert_eq!(statuses(&answers), [status], "{begin:?}: {answers}");
        assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
        assert!(answers.contains("\r\ncontent-type: application/problem+json\r\n"), "{answers}");
        // What the sockets on both sides take, and what is thrown away.
        assert!(taken < 32 << 20, "{begin:?}: {taken} bytes");
    }
}

#[test]
fn a_body_that_does_not_come_is_refused_once() {
    let vars = [("API_BODY_SECONDS", "1"), ("API_HEADER_SECONDS", "600"), ("API_KEEP_ALIVE_SECONDS", "600")];
    let server = server::start_with(&vars, server::routes);
    for framing in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"] {
        let answers = exchange(server, format!("POST /hello HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        assert_eq!(statuses(&answers), ["408"], "{answers}");
        assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
        // The next bytes are no request.
        let mut stream = connect(server);
        stream.write_all(format!("POST /hello HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes()).unwrap();
        read_until(&mut stream, "}");
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

#[test]
fn who_closes_while_he_sends_still_reads_the_answer() {
    let server = server::start();
    // Not all of it is read by the service; the answer arrives all the same.
    let body = "a".repeat(200_000);
    let request = format!("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for _ in 0..20 {
        let answers = exchange(server, request.as_bytes());
        assert_eq!(statuses(&answers), ["413"], "{answers}");
    }
}

#[test]
fn empty_lines_between_requests_are_nothing() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "1"), ("API_KEEP_ALIVE_SECONDS", "4")], server::routes);
    let mut stream = connect(server);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_until(stream, "}").starts_with("HTTP/1.1 200 OK\r\n"));
    };
    ask(&mut stream);
    stream.write_all(b"\r\n").unwrap();
    thread::sleep(Duration::from_millis(2500));
    ask(&mut stream);
    // Nor are they a way to stay.
    stream.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    let started = Instant::now();
    loop {
        stream.write_all(b"\r\n").ok();
        match stream.read(&mut [0; 64]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(0) | Err(_) => break,
            Ok(_) => panic!("there is nothing to answer"),
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

fn taking(config: &mut ServiceConfig) {
    let take = async |body: actix_web::web::Json<serde_json::Value>| body.to_string();
    config.service(chassis::resource("/take").get(async || "well").post(take));
}

#[test]
fn what_has_no_length_is_no_body_and_takes_no_place() {
    let server = server::start_with(&[("API_MAX_IN_FLIGHT", "1"), ("API_REQUEST_SECONDS", "600")], taking);
    let head = "POST /take HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nUpgrade: websocket\r\n\r\n";
    for _ in 0..3 {
        let answer = exchange(server, head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(get(server, "/take").body, "well");
}

#[test]
fn a_body_ends_with_its_length_whatever_protocol_is_asked_for() {
    let server = server::start_with(&[("API_BODY_SECONDS", "600")], taking);
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    for (request, status) in [
        ("GET /take HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n".to_owned(), "200"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(), "404"),
        (format!("POST /take HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n{json}"), "200"),
        (format!("POST /take HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n{json}"), "200"),
    ] {
        let answer = exchange(server, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request} gets {answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{request} gets {answer}");
    }
}

#[test]
fn a_place_is_made_for_others_where_all_send_slowly() {
    let server = server::start_with(
        &[
            ("API_MAX_CONNECTIONS", "2"),
            ("API_WORKERS", "1"),
            ("API_HEADER_SECONDS", "600"),
            ("API_BODY_SECONDS", "600"),
        ],
        taking,
    );
    for begin in ["G", "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"] {
        let mut slow = [connect(server), connect(server)];
        for stream in &mut slow {
            stream.write_all(begin.as_bytes()).unwrap();
        }
        assert_eq!(get(server, "/health").status, 200);
    }
}

#[test]
fn an_error_that_is_made_from_an_answer_keeps_its_status() {
    let refuse = || InternalError::from_response("why", HttpResponse::Unauthorized().finish());
    let server = server::start_with(&[], move |config| {
        let layer = from_fn(move |_, _: Next<BoxBody>| async move {
            Err::<ServiceResponse<BoxBody>, actix_web::Error>(refuse().into())
        });
        config.service(web::scope("/inner").wrap(layer));
    });
    assert_eq!(get(server, "/inner").status, 401);
}
