//! Who is let in: the inner layer around every route, which keeps requests within their limits and panics in theirs.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{HttpMessage, HttpResponse, rt};
use config::service::Limits;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use crate::connection::{Unfit, Watch, content_length};
use crate::health::PROBES;
use crate::metrics::Metrics;
use crate::problem::Error;
use crate::routes;
use crate::state::State;

/// Lets a request in if it keeps within the limits; what a route then panics with is an error like others.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) state: web::Data<State>,
}

impl Admission {
    pub(crate) async fn pass(
        self,
        mut request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        let State { limits, path_prefix, .. } = &**self.state;
        if let Some(error) = too_large(&request, limits) {
            // The rest of what the client sends is not waited for.
            return Ok(closing(request.error_response(error)));
        }
        if request.method() == Method::OPTIONS && request.path() == "*" {
            return Ok(request.into_response(of_the_whole_service()));
        }
        if let Some(prefix) = path_prefix {
            remove_prefix(&mut request, prefix);
        }
        let outcome = AssertUnwindSafe(answer(request, inner, &self.state)).catch_unwind().await;
        outcome.unwrap_or_else(|_| Err(Error::Panic.into()))
    }
}

/// Reads the body, so that its limits hold on every route, and lets the route answer.
async fn answer(
    mut request: ServiceRequest,
    inner: Next<BoxBody>,
    state: &State,
) -> Result<ServiceResponse, actix_web::Error> {
    let State { limits, metrics, .. } = state;
    let most = if PROBES.contains(&request.path()) { i64::MAX } else { limits.in_flight as i64 };
    let mut held = Held { state, bytes: 0 };
    let (_, body) = request.parts();
    let has_body = !matches!(body, Payload::None);
    let framed = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|header| request.headers().contains_key(header));
    if has_body && !framed {
        // What CONNECT and upgrades send has no end that a handler could wait for; the connection closes.
        request.set_payload(Payload::None);
    } else if has_body {
        if metrics.in_flight.get() >= most {
            return Ok(shed(request, metrics));
        }
        if is_encoded(request.headers()) {
            let mut response = request.error_response(Error::EncodedBody);
            // What would have been accepted (RFC 9110, sections 12.5.3 and 15.5.16).
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            return Ok(response);
        }
        if let Err(error) = read_body(&mut request, &mut held).await {
            if matches!(error, Error::TooManyBodies { .. }) {
                metrics.shed.inc();
            }
            return Ok(request.error_response(error));
        }
    }
    // Only now: clients that take their time with a body are not to keep the others out.
    let (others, _slot) = Slot::take(metrics);
    if others >= most {
        return Ok(shed(request, metrics));
    }
    // What was found before was found for others.
    routes::found();
    in_time(inner.call(request), limits.request_time).await
}

/// The answer, unless it takes too long: then whatever is at it is dropped.
async fn in_time<T>(
    call: impl Future<Output = Result<T, actix_web::Error>>,
    time: Duration,
) -> Result<T, actix_web::Error> {
    let mut call = pin!(call);
    // Most answers are there at once, and need no timer.
    if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        return answer;
    }
    let route = routes::found();
    rt::time::timeout(time, call).await.unwrap_or_else(|_elapsed| Err(Error::SlowHandler { time, route }.into()))
}

/// One of the requests in flight, for as long as this is kept.
struct Slot<'a>(&'a Metrics);

impl<'a> Slot<'a> {
    /// With how many there are already.
    fn take(metrics: &'a Metrics) -> (i64, Self) {
        (metrics.in_flight.inc(), Self(metrics))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// A body's share of the bytes that all bodies may have, for as long as this is kept.
struct Held<'a> {
    state: &'a State,
    bytes: usize,
}

impl Held<'_> {
    fn more(&mut self, bytes: usize) -> Result<(), Error> {
        let Limits { bodies_bytes, body_bytes, .. } = self.state.limits;
        self.bytes += bytes;
        let all = self.state.bodies.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let allowed = bodies_bytes.max(body_bytes);
        if all > allowed { Err(Error::TooManyBodies { allowed }) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.state.bodies.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Boxed, since few requests have one, and all would carry the room that it takes to read it.
fn read_body<'a>(request: &'a mut ServiceRequest, held: &'a mut Held<'_>) -> LocalBoxFuture<'a, Result<(), Error>> {
    async move {
        let limits = &held.state.limits;
        let too_large = Error::BodyTooLarge { allowed: limits.body_bytes };
        let length = content_length(request.headers());
        if length.is_some_and(|length| length > limits.body_bytes as u64) {
            return Err(too_large);
        }
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        if let Some(watch) = &watch {
            watch.send();
        }
        let read = rt::time::timeout(limits.body_time, collect(request.take_payload(), length, held)).await;
        let body = match (read, watch.and_then(|watch| watch.unfit())) {
            (_, Some(Unfit::TooLong)) => return Err(too_large),
            (_, Some(Unfit::Malformed)) => return Err(Error::MalformedBody),
            (Err(_elapsed), None) => return Err(Error::SlowBody),
            (Ok(read), None) => read?,
        };
        let payload = Box::pin(stream::once(async { Ok(body) }));
        request.set_payload(Payload::Stream { payload });
        Ok(())
    }
    .boxed_local()
}

/// The whole body, which the connection lets through only as far as it keeps within its limit.
async fn collect(mut payload: Payload, length: Option<u64>, held: &mut Held<'_>) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    // By its length where it has one: with `Upgrade: websocket` and with CONNECT, actix sees an end in no length.
    while length != Some(body.len() as u64)
        && let Some(piece) = payload.next().await.transpose().map_err(Error::BodyEnded)?
    {
        held.more(piece.len())?;
        if body.is_empty() {
            body = BytesMut::from(piece);
        } else {
            body.extend_from_slice(&piece);
        }
    }
    Ok(body.freeze())
}

fn too_large(request: &ServiceRequest, limits: &Limits) -> Option<Error> {
    let uri = length(request.uri());
    if uri > limits.uri_bytes {
        return Some(Error::UriTooLong { allowed: limits.uri_bytes });
    }
    // As they came: a colon, a space and the end of the line for each, and the like for the request line.
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let head = request.method().as_str().len() + uri + " HTTP/1.1\r\n\r\n ".len() + headers;
    (head > limits.header_bytes).then_some(Error::HeaderTooLarge { allowed: limits.header_bytes })
}

fn length(uri: &Uri) -> usize {
    uri.path().len() + uri.query().map_or(0, |query| query.len() + 1)
}

/// Below the prefix stands what stands at the root.
fn remove_prefix(request: &mut ServiceRequest, prefix: &str) {
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return;
    };
    let path = if rest.is_empty() { "/" } else { rest };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{path}{query}").parse::<Uri>().expect("what follows a prefix of a path is a path");
    request.match_info_mut().get_mut().update(&target);
    request.head_mut().uri = target;
}

/// Whether a body is coded in a way that nothing here decodes (RFC 9110, section 8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii);
    !codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

/// The answer to `OPTIONS *` (RFC 9110, section 9.3.7): the methods that a resource may have.
fn of_the_whole_service() -> HttpResponse {
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    HttpResponse::NoContent().insert_header((ALLOW, methods)).finish()
}

/// Sends a request away at once; its body, if it has not come, is not waited for.
fn shed(request: ServiceRequest, metrics: &Metrics) -> ServiceResponse {
    metrics.shed.inc();
    // No body of its own, so that it gets the problem details that all errors have.
    request.into_response(HttpResponse::ServiceUnavailable().finish())
}

fn closing(mut response: ServiceResponse) -> ServiceResponse {
    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    response
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_prefix_ends_with_a_segment() {
        for (given, expected) in [
            ("/production/api/hello?name=Ada", "/api/hello?name=Ada"),
            ("/production", "/"),
            ("/production/", "/"),
            ("/production?a", "/?a"),
            ("/productions/api", "/productions/api"),
            ("/api/hello", "/api/hello"),
            ("/production/production/api", "/production/api"),
            ("/production//api", "//api"),
        ] {
            let mut request = TestRequest::with_uri(given).to_srv_request();
            remove_prefix(&mut request, "/production");
            assert_eq!(request.uri().to_string(), expected);
            assert_eq!(request.path(), expected.split('?').next().unwrap());
        }
    }
}
