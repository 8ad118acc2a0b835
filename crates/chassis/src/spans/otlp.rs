//! What a span looks like: OTLP's JSON (version 1), with the semantic conventions for HTTP servers (version 1).
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>,
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server>

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode};
use config::service::Spans as Settings;
use serde_json::{Value, json};

use super::Begun;
use crate::About;

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// What is known of a request when it has been answered.
pub(crate) struct Span {
    pub(crate) begun: Begun,
    pub(crate) latency: Duration,
    /// Valid, with the span's own id.
    pub(crate) traceparent: HeaderValue,
    pub(crate) request_id: HeaderValue,
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: Method,
    /// The pattern that it was served under, if any.
    pub(crate) route: Option<Cow<'static, str>>,
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    /// Why it failed, if the service is at fault.
    pub(crate) error: Option<String>,
}

/// Which service sends the spans.
pub(super) fn resource(about: About, settings: &Settings) -> Value {
    let own = [("service.name", about.name), ("service.version", about.version), ("telemetry.sdk.language", "rust")];
    // What is set replaces what is known; the name's own variable replaces both.
    let is_set = |key: &str| {
        settings.attributes.iter().any(|(set, _)| set == key)
            || (key == "service.name" && settings.service_name.is_some())
    };
    let own = own.into_iter().filter(|(key, _)| !is_set(key));
    let set = settings.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let set = set.filter(|(key, _)| *key != "service.name" || settings.service_name.is_none());
    let name = settings.service_name.as_deref().map(|name| ("service.name", name));
    let attributes: Vec<_> = own.chain(set).chain(name).map(|(key, value)| attribute(key, value)).collect();
    json!({ "attributes": attributes })
}

/// What is posted to `/v1/traces`.
pub(super) fn request(resource: &Value, spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().map(Span::json).collect();
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": spans }] }] })
}

/// How many spans the collector's answer says it has rejected; JSON has 64-bit numbers as text.
pub(super) fn rejected(answer: &str) -> u64 {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let number = &answer["partialSuccess"]["rejectedSpans"];
    number.as_u64().or_else(|| number.as_str()?.parse().ok()).unwrap_or(0)
}

impl Span {
    fn json(&self) -> Value {
        let traceparent = self.traceparent.to_str().unwrap_or_default();
        let piece = |place| traceparent.get(place).unwrap_or_default();
        let (known, original) = match self.method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "CONNECT" | "TRACE") => {
                (known, None)
            }
            other => ("_OTHER", Some(other)),
        };
        // A name must have few values: a method that nobody knows is none.
        let verb = if original.is_some() { "HTTP" } else { known };
        let name = self.route.as_ref().map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));

        let mut attributes = vec![
            attribute("http.request.method", known),
            attribute("url.path", &self.path),
            // What a proxy in front was asked by is not known.
            attribute("url.scheme", "http"),
            json!({ "key": "http.response.status_code", "value": { "intValue": self.status.as_str() } }),
            json!({ "key": "http.response.header.x-request-id", "value": { "arrayValue": { "values": [
                { "stringValue": self.request_id.to_str().unwrap_or_default() }
            ] } } }),
        ];
        attributes.extend(original.map(|method| attribute("http.request.method_original", method)));
        attributes.extend(self.route.as_ref().map(|route| attribute("http.route", route)));
        attributes.extend(self.client.map(|client| attribute("client.address", &client.to_string())));
        // A client's fault is no error of a server's span.
        let failed = self.status.is_server_error();
        attributes.extend(failed.then(|| attribute("error.type", self.status.as_str())));

        let mut span = json!({
            "traceId": piece(3..35),
            "spanId": piece(36..52),
            "flags": u8::from_str_radix(piece(53..55), 16).unwrap_or_default(),
            "name": name,
            "kind": SERVER,
            "startTimeUnixNano": nanoseconds(self.begun.at),
            "endTimeUnixNano": nanoseconds(self.begun.at + self.latency),
            "attributes": attributes,
            "status": {},
        });
        if let Some(parent) = self.begun.parent {
            span["parentSpanId"] = String::from_utf8_lossy(&parent).into();
        }
        if failed {
            span["status"] = json!({ "code": ERROR, "message": self.error.as_deref().unwrap_or_default() });
        }
        span
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// As text, since JSON's numbers may not hold it.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rejected_is_read_in_both_forms() {
        for (answer, expected) in [
            ("", 0),
            ("{}", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":2}}"#, 2),
        ] {
            assert_eq!(rejected(answer), expected, "{answer}");
        }
    }

    #[test]
    fn the_name_of_the_service_is_there_once() {
        let about = About { name: "api", version: "1.0.0" };
        let names = |service_name: Option<&str>, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            let service_name = service_name.map(str::to_owned);
            let resource = resource(about, &Settings { collector: String::new(), service_name, attributes });
            let attributes = resource["attributes"].as_array().unwrap().clone();
            let names = attributes.into_iter().filter(|attribute| attribute["key"] == "service.name");
            names.map(|name| name["value"]["stringValue"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let other = [("service.name", "other"), ("a", "b")];
        assert_eq!(names(None, &[]), ["api"]);
        assert_eq!(names(None, &other), ["other"]);
        assert_eq!(names(Some("set"), &other), ["set"]);
    }
}
