//! What can go wrong with a request, and the problem details (RFC 9457) that its caller gets.

use std::time::{Duration, SystemTime};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, HttpDate, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::telemetry::with_causes;

/// When to ask again where the service cannot answer for the moment.
const RETRY_SECONDS: u16 = 1;

/// The answer to a request that fails with an error of the service's own.
///
/// It has the error's status. The body of a client error (4xx) is problem details whose `detail` is the error's text; that
/// of a server error (5xx) says nothing of the inside, and the log gets the error's text with those of everything that
/// caused it. A 503 gets `Retry-After: 1`.
///
/// ```
/// use actix_web::http::StatusCode;
/// use actix_web::{HttpResponse, ResponseError};
///
/// #[derive(Debug, thiserror::Error)]
/// enum Error {
///     #[error("there is no note {0}")]
///     Missing(u64),
///     #[error("the notes cannot be read")]
///     Unread(#[source] std::io::Error),
/// }
///
/// impl ResponseError for Error {
///     fn status_code(&self) -> StatusCode {
///         match self {
///             Self::Missing(_) => StatusCode::NOT_FOUND,
///             Self::Unread(_) => StatusCode::INTERNAL_SERVER_ERROR,
///         }
///     }
///
///     fn error_response(&self) -> HttpResponse {
///         chassis::problem::answer(self)
///     }
/// }
/// ```
///
/// Without this `error_response` callers get the same, but the log has the error's `Debug` text instead of its causes:
/// actix-web does not know them.
pub fn answer<E: ResponseError + std::error::Error>(error: &E) -> HttpResponse {
    let mut response = HttpResponse::new(error.status_code());
    if error.status_code().is_server_error() {
        response.extensions_mut().insert(Chain(with_causes(error)));
    }
    response
}

/// What the log gets of a server error.
struct Chain(String);

/// What the chassis itself refuses, or fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body did not arrive in time")]
    SlowBody,
    #[error("the body has more than {allowed} bytes")]
    BodyTooLarge { allowed: usize },
    #[error("the body is not what its headers say")]
    MalformedBody,
    #[error("the body is to be sent without Content-Encoding")]
    EncodedBody,
    #[error("all bodies together have more than {allowed} bytes")]
    TooManyBodies { allowed: usize },
    #[error("the body has ended too early")]
    BodyEnded(#[source] PayloadError),
    #[error("path and query have more than {allowed} bytes")]
    UriTooLong { allowed: usize },
    #[error("request line and headers have more than {allowed} bytes")]
    HeaderTooLarge { allowed: usize },
    #[error("no answer within {} s", .time.as_secs())]
    SlowHandler { time: Duration, route: Option<&'static str> },
    /// The panic hook has logged it.
    #[error("a panic")]
    Panic,
    #[error("the metrics cannot be written")]
    Metrics(#[source] std::fmt::Error),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MalformedBody | Self::BodyEnded(_) => StatusCode::BAD_REQUEST,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeaderTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::EncodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowHandler { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::TooManyBodies { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panic | Self::Metrics(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        answer(self)
    }
}

/// The whole answer to what is not a request, or not yet; its connection is closed.
pub(crate) fn refusal(status: StatusCode, detail: &str, request_id: &str) -> String {
    let body = json(status, detail);
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\ncache-control: no-store\r\n\
         content-type: application/problem+json\r\nx-request-id: {request_id}\r\ndate: {}\r\n\r\n{body}",
        body.len(),
        HttpDate::from(SystemTime::now()),
    )
}

fn json(status: StatusCode, detail: &str) -> String {
    serde_json::to_string(&Problem::new(status, detail)).expect("text and a number are always JSON")
}

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
    let body = json(status, &detail(&response));
    response.map_body(|head, _| {
        let headers = head.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE && !headers.contains_key(RETRY_AFTER) {
            headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
        }
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
    let known = response.extensions().get::<Chain>().map(|Chain(text)| text.clone());
    // Of other errors nothing is known but these two texts, the second of which has the causes where it is derived.
    Some(known.unwrap_or_else(|| format!("{error} ({error:?})")))
}

/// What the caller learns: of a server error nothing but what to do.
fn detail(response: &HttpResponse) -> String {
    match (response.status(), response.error()) {
        (StatusCode::SERVICE_UNAVAILABLE, Some(_)) => "This cannot be answered at the moment; ask again later.".into(),
        (StatusCode::SERVICE_UNAVAILABLE, None) => "Too much is asked at this moment; ask again later.".into(),
        (StatusCode::GATEWAY_TIMEOUT, _) => "The answer took too long.".into(),
        (status, _) if status.is_server_error() => "The request failed here; the log has the reason.".into(),
        (_, Some(error)) => error.to_string(),
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
    #[error("the table `salaries` is away")]
    struct Away(#[source] std::num::TryFromIntError);

    impl ResponseError for Away {
        fn status_code(&self) -> StatusCode {
            StatusCode::SERVICE_UNAVAILABLE
        }

        fn error_response(&self) -> HttpResponse {
            answer(self)
        }
    }

    /// As an error is written by somebody who does not know [`answer`].
    #[derive(Debug, thiserror::Error)]
    #[error("no connection to salaries.internal")]
    struct Unaware(#[source] std::num::TryFromIntError);

    impl ResponseError for Unaware {
        fn status_code(&self) -> StatusCode {
            StatusCode::BAD_GATEWAY
        }
    }

    fn server_faults() -> [HttpResponse; 2] {
        let cause = || u8::try_from(256).unwrap_err();
        [HttpResponse::from_error(Away(cause())), HttpResponse::from_error(Unaware(cause()))]
    }

    #[test]
    fn the_log_gets_the_whole_chain() {
        let [away, unaware] = server_faults().map(|response| chain(&response).unwrap());
        assert_eq!(away, "the table `salaries` is away: out of range integral type conversion attempted");
        assert_eq!(unaware, "no connection to salaries.internal (Unaware(TryFromIntError(())))");
    }

    #[test]
    fn the_caller_of_a_server_fault_learns_nothing_of_it() {
        let [away, unaware] = server_faults().map(explain);
        assert_eq!(away.headers().get(RETRY_AFTER).unwrap(), "1");
        let texts = [away, unaware].map(|response| response.into_body().try_into_bytes().unwrap());
        assert_eq!(
            texts[0],
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"This cannot be answered at the moment; ask again later."}"#
        );
        assert_eq!(
            texts[1],
            r#"{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"The request failed here; the log has the reason."}"#
        );
    }

    #[test]
    fn a_refusal_is_as_long_as_it_says() {
        let refusal = refusal(StatusCode::REQUEST_TIMEOUT, "\"Slow\"", "1");
        let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["detail"], "\"Slow\"");
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
