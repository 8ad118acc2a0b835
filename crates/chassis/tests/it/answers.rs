//! What callers get when they ask for what there is.

use crate::server;
use actix_web::HttpResponse;
use chassis::testing::{Method, ask, exchange, get};

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
fn the_readme_has_the_table_of_settings() {
    let table = chassis::testing::table_of_settings(config::service::VARIABLES);
    assert!(include_str!("../../README.md").contains(&table), "README.md should have:\n{table}");
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

#[test]
fn a_resource_with_several_methods_answers_head_and_names_them_all() {
    let server = server::start_with(&[], |config| {
        config.service(
            chassis::resource("/notes/{id}")
                .get(async || "read")
                .patch(async || "changed")
                .put(async || "replaced")
                .delete(async || HttpResponse::NoContent()),
        );
        config.service(chassis::resource("/notes").post(async || HttpResponse::Created()));
    });
    let ask = |method: &str, path| ask(server, method.parse().unwrap(), path, &[("content-length", "0")]);
    let head = ask("HEAD", "/notes/1");
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, "4", ""));
    for (method, status, body) in
        [("GET", 200, "read"), ("PATCH", 200, "changed"), ("PUT", 200, "replaced"), ("DELETE", 204, "")]
    {
        let answer = ask(method, "/notes/1");
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{method}");
    }
    assert_eq!(ask("POST", "/notes").status, 201);
    for (path, allowed) in [("/notes/1", "GET, HEAD, PATCH, PUT, DELETE, OPTIONS"), ("/notes", "POST, OPTIONS")] {
        let options = ask("OPTIONS", path);
        assert_eq!((options.status, options.header("allow")), (204, allowed));
        let refused = ask("TRACE", path);
        assert_eq!((refused.status, refused.header("allow")), (405, allowed));
    }
    assert_eq!(ask("HEAD", "/notes").status, 405);
}

#[test]
fn the_whole_service_tells_its_methods() {
    let answer = exchange(server::start(), b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{answer}");
    let other = exchange(server::start(), b"GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
}
