//! The OpenAPI document and the files of the page; what the page does in a browser is another suite's.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::server;
use chassis::testing::{Method, ask, assert_answers_as_described, get};

const FILES: [(&str, &str); 5] = [
    ("/openapi.json", "application/json"),
    ("/docs/", "text/html; charset=utf-8"),
    ("/docs/page.css", "text/css; charset=utf-8"),
    ("/docs/page.js", "text/javascript; charset=utf-8"),
    ("/docs/icon.svg", "image/svg+xml"),
];

fn document(server: SocketAddr) -> Value {
    serde_json::from_str(&get(server, "/openapi.json").body).unwrap()
}

#[test]
fn every_resource_is_described_as_it_is() {
    let server = server::start();
    let document = assert_answers_as_described(server);
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!("1.2.3")));
    // From the document's own place, below a prefix too.
    assert_eq!(document["servers"], json!([{"url": "."}]));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/health", "/livez", "/version"]);
}

#[test]
fn every_failure_is_described_once_for_all() {
    let document = document(server::start());
    for path in ["/health", "/livez", "/version"] {
        let responses = &document["paths"][path]["get"]["responses"];
        for status in ["400", "408", "413", "414", "431", "500", "503", "504"] {
            let described = &responses[status];
            let shared = described["$ref"].as_str().map(|place| document.pointer(&place[1..]).unwrap());
            let response = shared.unwrap_or(described);
            assert!(response["headers"]["X-Request-Id"].is_object(), "{path} {status}");
            let own = path == "/health" && status == "503";
            assert_eq!(response["headers"]["Retry-After"].is_object(), status == "503" && !own, "{path} {status}");
            assert_ne!(response["content"]["application/problem+json"].is_object(), own, "{path} {status}");
        }
    }
}

#[test]
fn a_file_is_sent_once_and_then_only_confirmed() {
    let server = server::start();
    for (path, content_type) in FILES {
        let answer = get(server, path);
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{path}");
        let tag = answer.header("etag");
        for known in [tag, &format!("W/{tag}"), &format!("\"other\", {tag}"), "*"] {
            let confirmed = ask(server, Method::GET, path, &[("if-none-match", known)]);
            assert_eq!((confirmed.status, confirmed.body.as_str()), (304, ""), "{path} {known}");
            assert_eq!((confirmed.header("etag"), confirmed.header("cache-control")), (tag, "no-cache"), "{path}");
        }
        assert_eq!(ask(server, Method::GET, path, &[("if-none-match", "\"other\"")]).status, 200, "{path}");
        let head = ask(server, Method::HEAD, path, &[]);
        assert_eq!((head.status, head.header("etag"), head.body.as_str()), (200, tag, ""), "{path}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string(), "{path}");
    }
}

#[test]
fn the_page_may_reach_nothing_but_its_origin() {
    let server = server::start();
    for (path, _) in FILES {
        let answer = get(server, path);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
}

#[test]
fn without_its_slash_the_page_is_found_below_any_prefix() {
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let answer = chassis::testing::ask_with(&agent, server::start(), Method::GET, "/docs", &[]);
    assert_eq!((answer.status, answer.header("location")), (308, "docs/"));
}

#[test]
fn document_and_page_can_be_switched_off() {
    let server = server::start_with(&[("API_DOCS", "off")], server::routes);
    for path in FILES.map(|(path, _)| path).into_iter().chain(["/docs"]) {
        get(server, path).assert_problem(404, "Not Found", "Nothing is served at this path.");
    }
    assert_eq!(get(server, "/hello").status, 200);
}

#[test]
fn a_served_resource_and_its_description_are_compared() {
    use utoipa::openapi::{HttpMethod, PathItem, Paths, path::Operation};

    let described = |paths: &[(&str, HttpMethod)]| {
        let item = |method: &HttpMethod| PathItem::new(method.clone(), Operation::new());
        let paths = paths.iter().fold(Paths::builder(), |paths, (path, method)| paths.path(*path, item(method)));
        utoipa::openapi::OpenApiBuilder::new().paths(paths).build()
    };
    let holds = |description| {
        std::panic::catch_unwind(|| chassis::testing::assert_described(server::routes, &description)).is_ok()
    };
    assert!(holds(described(&[("/hello", HttpMethod::Get)])));
    let others = [
        &[][..],
        &[("/hello", HttpMethod::Post)],
        &[("/bye", HttpMethod::Get)],
        &[("/hello", HttpMethod::Get), ("/bye", HttpMethod::Get)],
        &[("/hello", HttpMethod::Get), ("/hello", HttpMethod::Put)],
    ];
    for (number, other) in others.into_iter().enumerate() {
        assert!(!holds(described(other)), "{number}");
    }
}
