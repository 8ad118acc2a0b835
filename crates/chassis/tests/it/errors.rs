//! What callers get when they ask for what there is not, or in a way that cannot be answered.

use std::io::Write;

use actix_web::web::ServiceConfig;

use crate::server;
use chassis::testing::{Method, ask, connect, exchange, get, read_until};

/// What a body may have, if nothing else is said.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

#[test]
fn an_unknown_path() {
    let server = server::start();
    for path in ["/", "/api", "/hello/", "/API/hello", "/%2e%2e/etc", "//", "/%FF"] {
        get(server, path).assert_problem(404, "Not Found", "Nothing is served at this path.");
    }
}

#[test]
fn a_method_that_a_resource_does_not_have() {
    let server = server::start();
    for path in ["/hello", "/health", "/version"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let answer = ask(server, method.parse().unwrap(), path, &[("content-length", "0")]);
            answer.assert_problem(405, "Method Not Allowed", "Allowed here: GET, HEAD, OPTIONS.");
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
        }
    }
}

#[test]
fn a_body_above_the_limit_on_any_route() {
    let server = server::start();
    for target in ["GET /hello", "POST /hello", "PUT /nowhere"] {
        let known = format!("{target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", BODY_LIMIT + 1);
        let chunk = format!("{:x}\r\n{}\r\n", BODY_LIMIT / 2 + 1, "a".repeat(BODY_LIMIT / 2 + 1));
        let unknown =
            format!("{target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
        for request in [known, unknown] {
            let mut stream = connect(server);
            stream.write_all(request.as_bytes()).unwrap();
            let answer = read_until(&mut stream, "}");
            assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
            assert!(answer.contains(r#"{"type":"about:blank","title":"Payload Too Large","status":413,"#), "{answer}");
        }
    }
}

#[test]
fn a_body_within_the_limit_disturbs_nobody() {
    let server = server::start();
    let body = "a".repeat(BODY_LIMIT);
    let request = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let answer = exchange(server, format!("{request}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn what_is_not_http_is_refused_and_costs_nothing() {
    let server = server::start();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nNo Colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = exchange(server, bytes);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{} gets {answer}", bytes.escape_ascii());
    }
    assert_eq!(get(server, "/health").status, 200);
}

#[test]
fn a_request_without_a_path() {
    let server = server::start();
    for target in ["GET *", "CONNECT example.org:443"] {
        let request = format!("{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = exchange(server, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 40"), "{target} gets {answer}");
    }
}

#[test]
fn an_upgrade_is_not_waited_for() {
    let server = server::start();
    for protocol in ["websocket", "h2c"] {
        let mut stream = connect(server);
        let head = format!("GET /health HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        assert!(read_until(&mut stream, "}").starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

fn broken(config: &mut ServiceConfig) {
    config
        .service(chassis::readable("/panic", async || -> &'static str { panic!("on purpose") }))
        .service(chassis::readable("/fault", async || {
            let cause = std::io::Error::other("a secret of the inside");
            Err::<&'static str, _>(actix_web::error::ErrorInternalServerError(cause))
        }))
        .service(chassis::readable("/well", async || "well"));
}

#[test]
fn a_server_fault_says_nothing_and_a_panic_costs_one_request() {
    let server = server::start_with(&[], broken);
    for _ in 0..20 {
        for path in ["/panic", "/fault"] {
            let answer = ask(server, Method::GET, path, &[("x-request-id", "mine")]);
            let detail = "The request failed here; the log has the reason.";
            answer.assert_problem(500, "Internal Server Error", detail);
            assert_eq!(answer.header("x-request-id"), "mine");
        }
    }
    // The connection and its worker outlive a panic.
    let twice = b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET /well HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(server, twice);
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("\r\n\r\nwell"), "{answer}");
}

#[test]
fn a_body_that_nobody_decodes_is_refused() {
    let server = server::start();
    let request = |coding: &str| {
        let head = "POST /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n";
        exchange(server, format!("{head}Content-Encoding: {coding}\r\n\r\n{{}}").as_bytes())
    };
    for coding in ["gzip", "br", "identity, GZIP"] {
        let answer = request(coding);
        assert!(answer.starts_with("HTTP/1.1 415 Unsupported Media Type\r\n"), "{answer}");
        assert!(answer.contains("\r\naccept-encoding: identity\r\n"), "{answer}");
        assert!(answer.contains(r#""detail":"the body is to be sent without Content-Encoding"}"#), "{answer}");
    }
    for coding in ["", "identity", "Identity, identity"] {
        assert!(request(coding).starts_with("HTTP/1.1 404 "), "{coding:?}");
    }
    // Without a body there is nothing to decode.
    assert_eq!(ask(server, Method::GET, "/hello", &[("content-encoding", "gzip")]).status, 200);
}
