//! What browsers are told about pages of other origins.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use actix_web::web::ServiceConfig;

use crate::server;
use chassis::testing::{Answer, Method, ask, connect, read_until};

const OURS: &str = "https://app.example.com";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn routes(config: &mut ServiceConfig) {
    config
        .service(chassis::readable("/panic", async || -> &'static str { panic!("on purpose") }))
        .configure(server::routes);
}

fn start(origins: &str) -> SocketAddr {
    server::start_with(&[("API_CORS_ORIGINS", origins)], routes)
}

fn preflight(server: SocketAddr, origin: &str, method: &str, headers: &str) -> Answer {
    let asked = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", headers),
        ("content-length", "0"),
    ];
    ask(server, Method::OPTIONS, "/hello", &asked)
}

#[test]
fn without_origins_nothing_is_said() {
    let server = server::start();
    let answer = ask(server, Method::GET, "/version", &[("origin", OURS)]);
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN), answer.header("vary")), (200, "", ""));
    let answer = preflight(server, OURS, "GET", "authorization");
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (204, ""));
}

#[test]
fn a_page_of_ours_may_read_every_answer() {
    let server = start(&format!("http://localhost:5173,{OURS}"));
    for (path, status) in [("/version", 200), ("/nowhere", 404), ("/panic", 500)] {
        let answer = ask(server, Method::GET, path, &[("origin", OURS)]);
        assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (status, OURS), "{path}");
        assert!(answer.header("vary").starts_with("Origin"), "{answer:?}");
        let exposed: BTreeSet<_> = answer.header("access-control-expose-headers").split(", ").collect();
        assert_eq!(exposed, BTreeSet::from(["retry-after", "x-request-id"]));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let length = crate::errors::BODY_LIMIT + 1;
    let mut stream = connect(server);
    let head = format!("PUT /version HTTP/1.1\r\nHost: a\r\nOrigin: {OURS}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_until(&mut stream, "}");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(&format!("{ALLOW_ORIGIN}: {OURS}\r\n")), "{answer}");
}

#[test]
fn a_page_of_others_is_told_nothing_and_caches_are_told_why() {
    let server = start(OURS);
    for origin in ["https://evil.example", "http://app.example.com", "https://app.example.com:8443", "null"] {
        let answer = ask(server, Method::GET, "/version", &[("origin", origin)]);
        assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (200, ""), "{origin}");
        assert!(answer.header("vary").starts_with("Origin"), "{answer:?}");
    }
    let answer = ask(server, Method::GET, "/version", &[]);
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (200, ""));
    assert!(answer.header("vary").starts_with("Origin"), "{answer:?}");
}

#[test]
fn a_preflight_is_answered_and_bounded() {
    let server = start(OURS);
    let answer = preflight(server, OURS, "PUT", "authorization, content-type, x-api-key");
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN), answer.body.as_str()), (200, OURS, ""));
    let list = |name| {
        let mut values: Vec<String> = answer.header(name).split(", ").map(str::to_owned).collect();
        values.sort_unstable();
        values.join(" ")
    };
    assert_eq!(list("access-control-allow-methods"), "DELETE GET HEAD PATCH POST PUT");
    assert_eq!(
        list("access-control-allow-headers"),
        "authorization content-type traceparent x-amz-content-sha256 x-amz-date x-amz-security-token x-api-key x-request-id"
    );
    assert_eq!(answer.header("access-control-max-age"), "3600");
    assert!(!answer.header("x-request-id").is_empty());

    for (origin, method, headers, detail) in [
        ("https://evil.example", "GET", "authorization", "Origin is not allowed to make this request"),
        (OURS, "TRACE", "authorization", "Requested method is not allowed"),
        (OURS, "GET", "x-other", "One or more request headers are not allowed"),
    ] {
        let answer = preflight(server, origin, method, headers);
        answer.assert_problem(400, "Bad Request", detail);
        assert_eq!(answer.header(ALLOW_ORIGIN), "");
    }
}

#[test]
fn everybody_may_be_named_with_a_star() {
    let answer = ask(start("*"), Method::GET, "/version", &[("origin", OURS)]);
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (200, "*"));
}
