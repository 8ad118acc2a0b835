//! Who is let in: the inner layer around every route, which keeps requests within their limits and panics in theirs.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, StatusCode, Uri};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{HttpMessage, HttpResponse, HttpResponseBuilder, rt};
use config::service::Limits;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use crate::connection::{Unfit, Watch};
use crate::health::PROBES;
use crate::layer::{Inner, Layer};
use crate::problem::Error;
use crate::state::State;

/// Lets a request in if it keeps within the limits; what a route then panics with is an error like others.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) state: web::Data<State>,
}

impl Layer for Admission {
    async fn pass(
        self,
        mut request: ServiceRequest,
        inner: Rc<impl Inner>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        let State { limits, metrics, path_prefix, .. } = &**self.state;
        if let Some(error) = too_large(&request, limits) {
            // The rest of what the client sends is not waited for.
            return Ok(closing(request.error_response(error)));
        }
        if let Some(prefix) = path_prefix {
            remove_prefix(&mut request, prefix);
        }
        // The request itself is one of those that are counted.
        if metrics.in_flight.get() > limits.in_flight as i64 && !PROBES.contains(&request.path()) {
            metrics.shed.inc();
            return Ok(request.into_response(overloaded()));
        }
        let outcome = AssertUnwindSafe(answer(request, inner, limits)).catch_unwind().await;
        outcome.unwrap_or_else(|_| Err(Error::Panic.into()))
    }
}

/// Reads the body, so that its limits hold on every route, and lets the route answer.
async fn answer(
    mut request: ServiceRequest,
    inner: Rc<impl Inner>,
    limits: &Limits,
) -> Result<ServiceResponse, actix_web::Error> {
    let (_, body) = request.parts();
    // What CONNECT and upgrades send has no end that could be waited for; it stays unread, and the connection closes.
    if !matches!(body, Payload::None)
        && [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|header| request.headers().contains_key(header))
        && let Err(error) = read_body(&mut request, limits).await
    {
        return Ok(request.error_response(error));
    }
    inner.call(request).await
}

/// Boxed, since few requests have one, and all would carry the room that it takes to read it.
fn read_body<'a>(request: &'a mut ServiceRequest, limits: &'a Limits) -> LocalBoxFuture<'a, Result<(), Error>> {
    async move {
        let too_large = Error::BodyTooLarge { allowed: limits.body_bytes };
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
        if length.is_some_and(|length: u64| length > limits.body_bytes as u64) {
            return Err(too_large);
        }
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        if let Some(watch) = &watch {
            watch.send();
        }
        let read = rt::time::timeout(limits.body_time, collect(request.take_payload())).await;
        let body = match (read, watch.and_then(|watch| watch.unfit())) {
            (_, Some(Unfit::TooLong)) => return Err(too_large),
            (_, Some(Unfit::Malformed)) => return Err(Error::MalformedBody),
            (Err(_elapsed), None) => return Err(Error::SlowBody),
            (Ok(read), None) => read.map_err(Error::BodyEnded)?,
        };
        let payload = Box::pin(stream::once(async { Ok(body) }));
        request.set_payload(Payload::Stream { payload });
        Ok(())
    }
    .boxed_local()
}

/// The whole body, which the connection lets through only as far as it keeps within its limit.
async fn collect(mut payload: Payload) -> Result<Bytes, PayloadError> {
    let Some(first) = payload.next().await.transpose()? else { return Ok(Bytes::new()) };
    let Some(second) = payload.next().await.transpose()? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    body.extend_from_slice(&second);
    while let Some(piece) = payload.next().await.transpose()? {
        body.extend_from_slice(&piece);
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

fn overloaded() -> HttpResponse {
    // No body of its own, so that it gets the problem details that all errors have.
    HttpResponseBuilder::new(StatusCode::SERVICE_UNAVAILABLE)
        .insert_header((RETRY_AFTER, HeaderValue::from_static("1")))
        .finish()
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
            ("/production/api/greeting?name=Ada", "/api/greeting?name=Ada"),
            ("/production", "/"),
            ("/production/", "/"),
            ("/production?a", "/?a"),
            ("/productions/api", "/productions/api"),
            ("/api/greeting", "/api/greeting"),
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
