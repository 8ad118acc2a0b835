//! The example of CONTRIBUTING.md, "Replace the greeting with your own backend": what stands there is what runs here.

mod calls;
mod notes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use actix_web::rt::System;
use actix_web::web;
use api::{Listeners, readable, resource, routes, serve};
use config::service::Settings;
use futures_util::{Stream, stream};
use notes::Notes;
use serde_json::Value;
use ureq::http::Method;
use utoipa::OpenApi;

use crate::client::{self, ask};

#[expect(unreachable_pub, reason = "as it stands in the service's lib.rs")]
pub async fn run(listeners: Listeners, settings: &Settings, signals: impl Stream<Item = ()> + Unpin) -> io::Result<()> {
    let shared = web::Data::new(Notes::default());
    let routes = move |config: &mut web::ServiceConfig| {
        config.app_data(shared.clone()).configure(routes).configure(notes::routes);
    };
    serve(listeners, settings, signals, routes).await
}

/// What `crate::server` is in the service's own tests.
mod server {
    use super::*;

    pub(super) fn start() -> SocketAddr {
        let vars = [("API_LOG_LEVEL", "error"), ("API_MAX_BODY_BYTES", "2000")];
        let settings = Settings::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = service.local_addr().unwrap();
        let listeners = Listeners { service, management: None };
        thread::spawn(move || System::new().block_on(run(listeners, &settings, stream::pending())).unwrap());
        address
    }
}

#[test]
fn the_page_shows_what_is_tested_here() {
    let page = include_str!("../../../../CONTRIBUTING.md");
    let (_, chapter) = page.split_once("\n## Replace the greeting with your own backend\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let blocks: Vec<_> = chapter.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let sources =
        [include_str!("own_backend.rs"), include_str!("own_backend/notes.rs"), include_str!("own_backend/calls.rs")];
    for source in &sources[1..] {
        assert!(blocks.contains(source), "CONTRIBUTING.md does not show this file as it is:\n{source}");
    }
    for block in &blocks {
        assert!(
            sources.iter().any(|source| source.contains(block)),
            "CONTRIBUTING.md shows what nobody runs:\n{block}"
        );
    }
    assert_eq!(blocks.len(), 3);
}

#[test]
fn the_greeting_is_still_there_and_a_resource_tells_its_methods() {
    let server = server::start();
    assert_eq!(client::get(server, "/api/greeting").body, r#"{"id":1,"content":"Hello, World!"}"#);
    let answer = ask(server, Method::OPTIONS, "/api/notes", &[]);
    assert_eq!((answer.status, answer.header("allow")), (204, "POST, OPTIONS"));
    client::get(server, "/api/notes").assert_problem(405, "Method Not Allowed", "Allowed here: POST, OPTIONS.");
    assert_eq!(client::get(server, "/api/notes/one").status, 404);
    let long = format!(r#"{{"text":"{}"}}"#, "a".repeat(2000));
    assert_eq!(client::post(server, "/api/notes", "application/json", &long).status, 413);
}

#[test]
fn its_handlers_describe_themselves() {
    #[derive(OpenApi)]
    #[openapi(paths(notes::create, notes::read))]
    struct Document;

    let document: Value = serde_json::from_str(&Document::openapi().to_json().unwrap()).unwrap();
    assert!(document["paths"]["/api/notes"]["post"]["responses"]["201"]["headers"]["Location"].is_object());
    assert!(document["paths"]["/api/notes/{id}"]["get"]["responses"]["404"].is_object());
    assert_eq!(document["components"]["schemas"]["NewNote"]["properties"]["text"]["maxLength"], 1000);
}
