//! What can go wrong with a request, and the problem details (RFC 9457) that its caller is told.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::NameTooLong;
use crate::ids::OutOfIds;
use crate::telemetry::with_causes;

/// When to ask again where the service cannot answer for the moment.
const RETRY_SECONDS: u16 = 1;

/// Why a handler did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// It passes by itself: the caller is told to come again.
    #[error(transparent)]
    Ids(#[from] OutOfIds),
    #[error("the body did not arrive in time")]
    SlowBody,
    #[error("path and query have more than {allowed} bytes")]
    UriTooLong { allowed: usize },
    #[error("request line and headers have more than {allowed} bytes")]
    HeaderTooLarge { allowed: usize },
    /// No fault of the caller, who learns nothing of it; the log gets the whole chain.
    #[error("the request could not be answered")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Name(_) => StatusCode::BAD_REQUEST,
            Self::Ids(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeaderTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
        }
        response
    }
}

/// What a client gets whose request takes too long to arrive, before there is a request to answer.
pub(crate) const TOO_SLOW: &str = concat!(
    "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\ncontent-length: 108\r\n",
    "cache-control: no-store\r\nconnection: close\r\n\r\n",
    r#"{"type":"about:blank","title":"Request Timeout","status":408,"detail":"The request did not arrive in time."}"#
);

/// What went wrong (RFC 9457); the type is always the default one, whose title is the status's own.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    detail: &'a str,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(status: StatusCode, detail: &'a str) -> Self {
        let title = status.canonical_reason().unwrap_or("Unknown");
        Self { r#type: "about:blank", title, status: status.as_u16(), detail }
    }
}

/// Gives an error's answer its problem details, whether it comes from a handler or from actix itself.
///
/// An answer that a handler composed with a body of its own is left alone.
pub(crate) fn explain(response: HttpResponse) -> HttpResponse {
    let status = response.status();
    let unexplained =
        response.error().is_some() || matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    if !(status.is_client_error() || status.is_server_error()) || !unexplained {
        return response;
    }
    let body =
        serde_json::to_string(&Problem::new(status, &detail(&response))).expect("text and a number are always JSON");
    response.map_body(|head, _| {
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        BoxBody::new(body)
    })
}

/// Answers for a resource that does not answer `OPTIONS` itself: with the methods that it has.
pub(crate) fn tell_options(mut response: HttpResponse, method: &Method) -> HttpResponse {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let methods = format!("{}, OPTIONS", allowed(response.headers()));
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    if method == Method::OPTIONS {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

/// The error behind a server fault's answer with everything that caused it, for the log.
pub(crate) fn chain(response: &HttpResponse) -> Option<String> {
    let error = response.error().filter(|_| response.status().is_server_error())?;
    Some(error.as_error::<Error>().map_or_else(|| error.to_string(), |error| with_causes(error)))
}

fn detail(response: &HttpResponse) -> String {
    match (response.status(), response.error()) {
        (StatusCode::INTERNAL_SERVER_ERROR, _) => "The request failed here; the log has the reason.".into(),
        (_, Some(error)) => error.to_string(),
        (StatusCode::SERVICE_UNAVAILABLE, None) => "Too much is asked at this moment; ask again later.".into(),
        (StatusCode::NOT_FOUND, None) => "Nothing is served at this path.".into(),
        (StatusCode::METHOD_NOT_ALLOWED, None) => format!("Allowed here: {}.", allowed(response.headers())),
        (_, None) => "The request cannot be answered as it is.".into(),
    }
}

fn allowed(headers: &HeaderMap) -> &str {
    headers.get(ALLOW).and_then(|methods| methods.to_str().ok()).unwrap_or("nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the table is throttled")]
    struct Throttled(#[source] std::num::TryFromIntError);

    fn server_fault() -> HttpResponse {
        HttpResponse::from_error(Error::Internal(Box::new(Throttled(u8::try_from(256).unwrap_err()))))
    }

    #[test]
    fn the_log_gets_the_whole_chain() {
        assert_eq!(
            chain(&server_fault()).unwrap(),
            "the request could not be answered: the table is throttled: out of range integral type conversion attempted"
        );
    }

    #[test]
    fn the_caller_of_a_server_fault_learns_nothing_of_it() {
        let body = explain(server_fault()).into_body().try_into_bytes().unwrap();
        assert_eq!(
            body,
            r#"{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"The request failed here; the log has the reason."}"#
        );
    }

    #[test]
    fn the_answer_to_a_slow_client_is_as_long_as_it_says() {
        let (head, body) = TOO_SLOW.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn a_callers_fault_has_no_place_in_the_log() {
        assert_eq!(chain(&HttpResponse::from_error(actix_web::error::ErrorBadRequest("no"))), None);
    }

    #[test]
    fn an_answer_with_a_body_of_its_own_is_left_alone() {
        let body = explain(HttpResponse::ServiceUnavailable().body("draining")).into_body().try_into_bytes().unwrap();
        assert_eq!(body, "draining");
    }
}
