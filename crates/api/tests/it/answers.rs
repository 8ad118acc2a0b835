//! What callers get when they ask for what there is.

use ureq::http::Method;

use crate::client::{ask, get};
use crate::server;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn greetings_are_numbered_from_one() {
    let server = server::start();
    let first = get(server, "/api/greeting");
    assert_eq!((first.status, first.header("content-type")), (200, "application/json"));
    assert_eq!(first.body, r#"{"id":1,"content":"Hello, World!"}"#);
    assert_eq!(get(server, "/api/greeting").body, r#"{"id":2,"content":"Hello, World!"}"#);
    assert_eq!(get(server, "/api/greeting?name=Ada").body, r#"{"id":3,"content":"Hello, Ada!"}"#);
}

#[test]
fn a_name_is_read_as_forms_are_and_written_as_json() {
    let server = server::start();
    for (query, name) in [
        ("name=", "World"),
        ("name", "World"),
        ("", "World"),
        ("other=1&name=Ada&x", "Ada"),
        ("name=Ada+Lovelace", "Ada Lovelace"),
        ("name=%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80", "👩\u{200d}🚀"),
        ("name=%D7%9E%D7%A8%D7%99%D7%9D", "מרים"),
        ("name=%22%5C%2F", r#"\"\\/"#),
        ("name=%00%09%0A%1F%7F", "\\u0000\\t\\n\\u001f\u{7f}"),
        ("name=%3Cscript%3E", "<script>"),
        ("name=%E2%80%AE", "\u{202e}"),
        // Malformed: what is not UTF-8 is replaced, what encodes nothing stays.
        ("name=%FF%C3", "\u{fffd}\u{fffd}"),
        ("name=%ED%A0%80", "\u{fffd}\u{fffd}\u{fffd}"),
        ("name=%zz%4", "%zz%4"),
        ("name=%", "%"),
    ] {
        let answer = get(server, &format!("/api/greeting?{query}"));
        assert_eq!(answer.status, 200, "{query}");
        let content = answer.body.split_once(r#","content":"#).unwrap().1;
        assert_eq!(content, format!(r#""Hello, {name}!"}}"#), "{query}");
    }
}

#[test]
fn the_longest_name_has_a_hundred_characters_in_any_script() {
    let server = server::start();
    for encoded in ["a", "%C3%9F", "%F0%9F%91%8B"] {
        assert_eq!(get(server, &format!("/api/greeting?name={}", encoded.repeat(100))).status, 200);
        let answer = get(server, &format!("/api/greeting?name={}", encoded.repeat(101)));
        answer.assert_problem(400, "Bad Request", "the name has 101 characters, 100 are allowed");
    }
}

#[test]
fn health_and_version() {
    let server = server::start_with(&[("IMAGE_DIGEST", DIGEST)], api::routes);
    let health = get(server, "/health");
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(r#"{{"name":"api","version":"{version}","digest":"{DIGEST}"}}"#);
    assert_eq!(get(server, "/version").body, expected);
    assert_eq!(get(server::start(), "/version").body, format!(r#"{{"name":"api","version":"{version}"}}"#));
}

#[test]
fn head_is_get_without_the_body() {
    let server = server::start();
    for path in ["/api/greeting", "/health", "/version", "/nowhere"] {
        let (head, get) = (ask(server, Method::HEAD, path, &[]), get(server, path));
        assert_eq!(head.body, "", "{path}");
        assert_eq!(head.status, get.status, "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
    }
}

#[test]
fn nothing_is_kept_that_is_about_this_moment() {
    let server = server::start();
    for path in ["/api/greeting", "/health", "/livez", "/version", "/nowhere", "/api/greeting?name=a&name=b"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(server, method, path, &[]);
            assert_eq!((answer.header("cache-control"), answer.header("etag")), ("no-store", ""), "{path}");
        }
    }
}

#[test]
fn a_resource_tells_its_methods() {
    let server = server::start();
    for path in ["/api/greeting", "/health", "/livez", "/version"] {
        let answer = ask(server, Method::OPTIONS, path, &[]);
        assert_eq!((answer.status, answer.header("allow"), answer.body.as_str()), (204, "GET, HEAD, OPTIONS", ""));
    }
    assert_eq!(ask(server, Method::OPTIONS, "/nowhere", &[]).status, 404);
}

#[test]
fn everything_is_also_served_below_the_prefix() {
    let server = server::start_with(&[("API_PATH_PREFIX", "/production")], api::routes);
    for prefix in ["", "/production"] {
        let answer = get(server, &format!("{prefix}/api/greeting?name=Ada"));
        assert!(answer.status == 200 && answer.body.ends_with(r#""content":"Hello, Ada!"}"#), "{answer:?}");
        assert_eq!(get(server, &format!("{prefix}/health")).status, 200);
        assert_eq!(ask(server, Method::POST, &format!("{prefix}/version"), &[]).status, 405);
    }
    for path in ["/production", "/production/", "/productions/health", "/production/production/health", "/other/health"]
    {
        assert_eq!(get(server, path).status, 404, "{path}");
    }
}
