//! What callers get when they ask for what there is.

use crate::server;
use chassis::testing::{Method, ask, get};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn health_and_version() {
    let server = server::start_with(&[("IMAGE_DIGEST", DIGEST)], server::routes);
    let health = get(server, "/health");
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
    let version = "1.2.3";
    let expected = format!(r#"{{"name":"test","version":"{version}","digest":"{DIGEST}"}}"#);
    assert_eq!(get(server, "/version").body, expected);
    assert_eq!(get(server::start(), "/version").body, format!(r#"{{"name":"test","version":"{version}"}}"#));
}

#[test]
fn head_is_get_without_the_body() {
    let server = server::start();
    for path in ["/hello", "/health", "/version", "/nowhere"] {
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
    for path in ["/hello", "/health", "/livez", "/version", "/nowhere"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(server, method, path, &[]);
            assert_eq!((answer.header("cache-control"), answer.header("etag")), ("no-store", ""), "{path}");
        }
    }
}

#[test]
fn a_resource_tells_its_methods() {
    let server = server::start();
    for path in ["/hello", "/health", "/livez", "/version"] {
        let answer = ask(server, Method::OPTIONS, path, &[]);
        assert_eq!((answer.status, answer.header("allow"), answer.body.as_str()), (204, "GET, HEAD, OPTIONS", ""));
    }
    assert_eq!(ask(server, Method::OPTIONS, "/nowhere", &[]).status, 404);
}

#[test]
fn everything_is_also_served_below_the_prefix() {
    let server = server::start_with(&[("API_PATH_PREFIX", "/production")], server::routes);
    for prefix in ["", "/production"] {
        let answer = get(server, &format!("{prefix}/hello?name=Ada"));
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"hello":"World"}"#));
        assert_eq!(get(server, &format!("{prefix}/health")).status, 200);
        assert_eq!(ask(server, Method::POST, &format!("{prefix}/version"), &[]).status, 405);
    }
    for path in ["/production", "/production/", "/productions/health", "/production/production/health", "/other/health"]
    {
        assert_eq!(get(server, path).status, 404, "{path}");
    }
}
