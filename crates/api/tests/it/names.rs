//! No name, however it is spelt, gets anything but a greeting or a refusal.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

use crate::server;
use chassis::testing::{DEADLINE, Method, ask_with};

static SERVER: LazyLock<SocketAddr> = LazyLock::new(server::start);
static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build().into()
});

/// The status and the body of a greeting, which must be JSON whatever was asked.
fn greet(query: &str) -> (u16, Value) {
    let answer = ask_with(&AGENT, *SERVER, Method::GET, &format!("/api/greeting?{query}"), &[]);
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

proptest! {
    #[test]
    fn any_text_is_greeted_as_it_is(name in "(?s).{1,110}") {
        let (status, body) = greet(&format!("name={}", percent_encoded(name.as_bytes())));
        if name.chars().count() <= 100 {
            prop_assert_eq!((status, body["content"].as_str().unwrap()), (200, &*format!("Hello, {name}!")));
        } else {
            prop_assert_eq!((status, &body["status"]), (400, &Value::from(400)));
        }
    }

    #[test]
    fn any_bytes_are_a_name_or_too_many(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (status, body) = greet(&format!("name={}", percent_encoded(&bytes)));
        prop_assert!(status == 200 && body["content"].is_string() || status == 400 && body["detail"].is_string());
    }

    #[test]
    fn any_query_is_answered(query in "[%a-fA-F0-9+&=;name]{0,300}|(name|%|=|&|%[0-9]|[!$'()*,/:?@_~.-]){0,40}") {
        let (status, body) = greet(&query);
        prop_assert!(status == 200 && body["content"].is_string() || status == 400 && body["detail"].is_string());
    }
}
