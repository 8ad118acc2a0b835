//! The OpenAPI document against what is served.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::server;
use chassis::testing::get;

fn document(server: SocketAddr) -> Value {
    serde_json::from_str(&get(server, "/openapi.json").body).unwrap()
}

#[test]
fn every_resource_is_described_as_it_is() {
    let server = server::start();
    let document = document(server);
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!("0.1.0")));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/api/greeting", "/health", "/livez", "/version"]);
    for (path, item) in paths {
        let answer = get(server, path);
        let described = &item["get"]["responses"][answer.status.to_string()];
        let (media, content) = described["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(media, answer.header("content-type"), "{path}");
        let schema = document.pointer(&content["schema"]["$ref"].as_str().unwrap()[1..]).unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(body.as_object().unwrap().keys().all(|key| properties.contains_key(key)), "{path}: {body}");
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|key| body.get(key.as_str().unwrap()).is_some()), "{path}: {body}");
    }
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
