//! What happens around every request: an id, a bounded body, a caught panic, an explained error, one line in the log.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use futures_util::{FutureExt, stream};

use crate::{State, error};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outer middleware: the id, the explained error, the line in the log.
pub(crate) async fn observe(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, actix_web::Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.path().to_owned();
    let state = request.app_data::<web::Data<State>>().expect("every app is given its state").clone();

    let (request, response) = match next.call(request).await {
        Ok(response) => {
            let (request, response) = response.into_parts();
            (Some(request), response)
        }
        Err(error) => {
            // With what the layers on the way have added to its answer, which `from_error` would forget.
            let headers = error.error_response().headers().clone();
            let mut response = HttpResponse::from_error(error);
            *response.headers_mut() = headers;
            (None, response)
        }
    };
    let cause = error::chain(&response);
    let mut response = error::explain(response);
    response.headers_mut().insert(REQUEST_ID, id.clone());
    if state.is_draining() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }

    let status = response.status();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = id.to_str().ok(),
                %method,
                path,
                status = status.as_u16(),
                latency_ms = started.elapsed().as_micros() as f64 / 1000.0,
                error = cause,
                "request"
            )
        };
    }
    match path.as_str() {
        // Probes come every few seconds for ever.
        "/health" if status.is_success() => line!(debug),
        // Told to stop, the service is not at fault.
        "/health" if state.is_draining() => line!(info),
        _ if status.is_server_error() => line!(error),
        _ => line!(info),
    }

    match request {
        Some(request) => Ok(ServiceResponse::new(request, response)),
        // The request went down with what failed; an error carries the answer instead.
        None => Err(InternalError::from_response("the request was not answered", response).into()),
    }
}

/// The inner middleware: a panic of a route is an error like others.
pub(crate) async fn contain(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, actix_web::Error> {
    let outcome = AssertUnwindSafe(answer(request, next)).catch_unwind().await;
    // The panic hook has logged it.
    outcome.unwrap_or_else(|_| Err(InternalError::new("a panic", StatusCode::INTERNAL_SERVER_ERROR).into()))
}

/// Reads the body, so that its limit holds on every route, and lets the route answer.
async fn answer(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, actix_web::Error> {
    // What CONNECT and upgrades send has no end that could be waited for; it stays unread, and the connection closes.
    if [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|header| request.headers().contains_key(header)) {
        match request.extract::<web::Bytes>().await {
            Ok(body) => {
                let payload = Box::pin(stream::once(async { Ok(body) }));
                request.set_payload(Payload::Stream { payload });
            }
            Err(error) => return Ok(request.error_response(error)),
        }
    }
    next.call(request).await
}

/// The caller's own id if it is fit for a header and a log, otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fit = |id: &&HeaderValue| {
        let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(safe)
    };
    headers.get(REQUEST_ID).filter(fit).cloned().unwrap_or_else(new_request_id)
}

/// An id that no other process gives: a random half for the process, a running number for the request.
fn new_request_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let id = format!("{:016x}-{:x}", *PROCESS, NUMBER.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&id).expect("hexadecimal digits and a dash are fit for a header")
}
