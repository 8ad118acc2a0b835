//! What a client, and all of them together, may take up; and what the others notice of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::web::ServiceConfig;

use crate::server;
use chassis::testing::{Method, ask, connect, exchange, get, read_until};

const SLOW: &str = r#"{"type":"about:blank","title":"Request Timeout","status":408,"detail":"#;

/// One byte now and then, until the service has had enough; returns what it said, and how long that took.
fn drip(mut stream: TcpStream, bytes: &'static str) -> (String, Duration) {
    let started = Instant::now();
    let mut writer = stream.try_clone().unwrap();
    thread::spawn(move || {
        for byte in bytes.bytes().cycle() {
            if writer.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut answer = Vec::new();
    // A reset, because the service leaves bytes unread, is an end like any other.
    stream.read_to_end(&mut answer).ok();
    (String::from_utf8(answer).unwrap(), started.elapsed())
}

#[test]
fn a_head_that_drips_is_cut_off() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "1")], server::routes);
    let mut stream = connect(server);
    stream.write_all(b"GET /").unwrap();
    let (answer, time) = drip(stream, "a");
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n") && answer.contains(SLOW), "{answer}");
    assert!(time >= Duration::from_secs(1), "{time:?}");
}

#[test]
fn a_second_head_that_drips_is_cut_off_too() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "1")], server::routes);
    let mut stream = connect(server);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_until(&mut stream, "}");
    stream.write_all(b"GET /health HTTP/1.1\r\nX: ").unwrap();
    let (answer, time) = drip(stream, "a");
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(time >= Duration::from_secs(1), "{time:?}");
}

#[test]
fn a_body_that_drips_is_cut_off() {
    let server = server::start_with(&[("API_BODY_SECONDS", "1")], server::routes);
    for framing in ["Content-Length: 60000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nfff\r\n"] {
        let mut stream = connect(server);
        stream.write_all(format!("PUT /health HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes()).unwrap();
        let (answer, _) = drip(stream, "1");
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n") && answer.contains(SLOW), "{answer}");
    }
}

#[test]
fn a_pause_between_requests_has_an_end() {
    let server = server::start_with(&[("API_KEEP_ALIVE_SECONDS", "1")], server::routes);
    let started = Instant::now();
    let answer = exchange(server, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && started.elapsed() >= Duration::from_secs(1), "{answer}");
}

#[test]
fn a_connection_is_not_kept_for_nothing() {
    let server = server::start_with(&[("API_HEADER_SECONDS", "1"), ("API_KEEP_ALIVE_SECONDS", "600")], server::routes);
    // Browsers connect ahead of requests that then do not come; an error would only confuse them.
    assert_eq!(exchange(server, b""), "");
}

fn large(config: &mut ServiceConfig) {
    // More than a socket's buffers take.
    config.service(chassis::readable("/large", async || "a".repeat(32 << 20)));
}

#[test]
fn an_answer_that_is_not_taken_is_given_up() {
    let server = server::start_with(&[("API_BODY_SECONDS", "1")], large);
    let mut stream = connect(server);
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    thread::sleep(Duration::from_secs(4));
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).ok();
    assert!(taken.len() < 32 << 20, "{}", taken.len());
    // Who takes it, however slowly it goes altogether, gets it.
    let mut stream = connect(server);
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let (mut length, mut piece) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            read => length += read,
        }
        thread::sleep(Duration::from_millis(60));
    }
    assert!(length > 32 << 20, "{length}");
}

#[test]
fn a_long_uri_and_long_headers_are_refused() {
    let server = server::start();
    let path = |length: usize| format!("/{}", "a".repeat(length - 1));
    get(server, &path(8192)).assert_problem(404, "Not Found", "Nothing is served at this path.");
    get(server, &path(8193)).assert_problem(414, "URI Too Long", "path and query have more than 8192 bytes");
    let query = format!("/version?{}", "a".repeat(8193 - "/version?".len()));
    assert_eq!(get(server, &query).status, 414);

    let head = |length: usize| {
        let rest = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n".len();
        format!("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n", "a".repeat(length - rest))
    };
    assert!(exchange(server, head(16_384).as_bytes()).starts_with("HTTP/1.1 200 "));
    let answer = exchange(server, head(16_385).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
    assert!(answer.contains("request line and headers have more than 16384 bytes"), "{answer}");
    // Before there is a request, with no end in sight.
    let mut stream = connect(server);
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(200_000));
    stream.write_all(endless.as_bytes()).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", answer.escape_ascii());
}

fn slow(config: &mut ServiceConfig) {
    let slow = async || {
        actix_web::rt::time::sleep(Duration::from_secs(2)).await;
        "done"
    };
    config.service(chassis::readable("/slow", slow)).service(chassis::readable("/health", async || "well"));
}

#[test]
fn more_than_may_be_in_flight_are_sent_away_at_once() {
    let server = server::start_with(&[("API_MAX_IN_FLIGHT", "2"), ("API_WORKERS", "2")], slow);
    let ask_slowly = move || {
        let started = Instant::now();
        (get(server, "/slow"), started.elapsed())
    };
    let asked: Vec<_> = (0..8).map(|_| thread::spawn(ask_slowly)).collect();
    thread::sleep(Duration::from_millis(500));
    // The load balancer is still to find it in order.
    assert_eq!(get(server, "/health").status, 200);
    let (answered, refused): (Vec<_>, Vec<_>) =
        asked.into_iter().map(|asked| asked.join().unwrap()).partition(|(answer, _)| answer.status == 200);
    assert_eq!((answered.len(), refused.len()), (2, 6));
    for (answer, time) in refused {
        answer.assert_problem(503, "Service Unavailable", "Too much is asked at this moment; ask again later.");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(time < Duration::from_secs(1), "{time:?}");
    }
    assert_eq!(get(server, "/slow").status, 200);
}

#[test]
fn a_handler_that_takes_too_long_is_given_up() {
    let vars = [("API_REQUEST_SECONDS", "1"), ("API_MAX_IN_FLIGHT", "1"), ("API_CORS_ORIGINS", "https://a.example")];
    let server = server::start_with(&vars, slow);
    let origin = [("origin", "https://a.example")];
    let answer = ask(server, Method::GET, "/slow", &origin);
    answer.assert_problem(504, "Gateway Timeout", "The answer took too long.");
    assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
    // Its place is free again, and so is its connection.
    let mut stream = connect(server);
    for _ in 0..2 {
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        let answer = read_until(&mut stream, "}");
        assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    }
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_until(&mut stream, "}").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn bodies_that_do_not_arrive_keep_nobody_out() {
    let vars = [("API_MAX_IN_FLIGHT", "2"), ("API_MAX_BODIES_BYTES", "100"), ("API_MAX_BODY_BYTES", "90")];
    let server = server::start_with(&vars, server::routes);
    let begin = |length: usize| {
        let mut stream = connect(server);
        let body = "a".repeat(length);
        let head = "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        stream
    };
    let mut waiting: Vec<_> = (0..20).map(|_| begin(0)).collect();
    assert_eq!(get(server, "/hello").status, 200);
    // They have 100 bytes together: one gets its 90, and there is no room for a second one.
    let first = &mut waiting[0];
    first.write_all(&[b'a'; 80]).unwrap();
    thread::sleep(Duration::from_millis(200));
    waiting[1].write_all(&[b'a'; 30]).unwrap();
    let answer = read_until(&mut waiting[1], "}");
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(get(server, "/hello").status, 200);
    waiting[0].write_all(&[b'a'; 10]).unwrap();
    assert!(read_until(&mut waiting[0], "}").starts_with("HTTP/1.1 404 "));
    // Whose room it was, it is free again.
    waiting[2].write_all(&[b'a'; 90]).unwrap();
    assert!(read_until(&mut waiting[2], "}").starts_with("HTTP/1.1 404 "));
}

#[test]
fn more_than_may_be_connected_wait_until_there_is_room() {
    let server = server::start_with(&[("API_MAX_CONNECTIONS", "2"), ("API_WORKERS", "1")], slow);
    let mut asked: Vec<_> = (0..2).map(|_| connect(server)).collect();
    for stream in &mut asked {
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    let started = Instant::now();
    assert_eq!(get(server, "/health").status, 200);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    let answers: String = asked.iter_mut().map(|stream| read_until(stream, "done")).collect();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    // One of them has made room, although its client would have stayed.
    assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
}

#[test]
fn idle_connections_make_room() {
    let server = server::start_with(&[("API_MAX_CONNECTIONS", "4"), ("API_WORKERS", "1")], server::routes);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_until(stream, "}")
    };
    let mut kept: Vec<_> = (0..3).map(|_| connect(server)).collect();
    for stream in &mut kept {
        assert!(!ask(stream).contains("connection: close"));
        // Time is measured in half seconds.
        thread::sleep(Duration::from_millis(1100));
    }
    let mut last = connect(server);
    ask(&mut last);
    // The one that has been idle for longest is closed, and no other.
    assert_eq!(kept[0].read(&mut [0]).unwrap(), 0);
    for stream in &mut kept[1..] {
        assert!(!ask(stream).contains("connection: close"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn many_may_wait_to_be_connected() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse::<usize>().unwrap();
    let server = server::start_with(&[("API_MAX_CONNECTIONS", "1"), ("API_WORKERS", "1")], slow);
    // From now on it listens as it does.
    assert_eq!(get(server, "/health").status, 200);
    let mut busy = connect(server);
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let time = Duration::from_millis(900);
    let waiting = (0..most.min(400)).map(|_| TcpStream::connect_timeout(&server, time)).collect::<Result<Vec<_>, _>>();
    assert_eq!(waiting.unwrap().len(), most.min(400));
}
