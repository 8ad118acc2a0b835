//! The OpenAPI document compared with what is served.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::server;
use chassis::testing::{assert_answers_as_described, get};

fn document(server: SocketAddr) -> Value {
    serde_json::from_str(&get(server, "/openapi.json").body).unwrap()
}

#[test]
fn every_resource_is_described_as_it_is() {
    let server = server::start();
    let document = assert_answers_as_described(server);
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!("0.1.0")));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/api/greeting", "/health", "/livez", "/version"]);
}

#[test]
fn the_limits_of_the_document_are_those_of_the_service() {
    let server = server::start();
    let document = document(server);
    let longest = document["paths"]["/api/greeting"]["get"]["parameters"][0]["schema"]["maxLength"].as_u64().unwrap();
    let greet = |length: u64| get(server, &format!("/api/greeting?name={}", "a".repeat(length as usize)));
    assert_eq!((greet(longest).status, greet(longest + 1).status), (200, 400));

    let content = &document["components"]["schemas"]["Greeting"]["properties"]["content"];
    let length = |length| {
        let body: Value = serde_json::from_str(&greet(length).body).unwrap();
        json!(body["content"].as_str().unwrap().len())
    };
    assert_eq!((&content["minLength"], &content["maxLength"]), (&length(1), &length(longest)));
}
