//! What happens around every request: names, an explained error, one line in the log, its place in the metrics.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use config::service::LogLevel;

use crate::access_log::Entry;
use crate::connection::Watch;
use crate::health::PROBES;
use crate::routes::Route;
#[cfg(feature = "otel")]
use crate::spans;
use crate::state::{State, Worker};
use crate::trace::Names;
use crate::{caller, current, problem};

/// The outer layer, which sees every request and the answer that it gets.
#[derive(Clone)]
pub(crate) struct Observation {
    pub(crate) state: web::Data<State>,
    pub(crate) worker: Rc<Worker>,
}

impl Observation {
    pub(crate) async fn pass(
        self,
        request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        let (names, mut observed) = Observed::begin(&request, self.state);
        let (names, outcome) = current::scope(names, inner.call(request)).await;
        let (request, response) = match outcome {
            Ok(response) => {
                let (request, response) = response.into_parts();
                (Some(request), response)
            }
            Err(error) => {
                if let Some(problem::Error::SlowHandler { route, .. }) = error.as_error() {
                    observed.route = *route;
                }
                // With what the layers on the way have added to its answer, which `from_error` would forget.
                let answer = error.error_response();
                let (status, headers) = (answer.status(), answer.headers().clone());
                let mut response = HttpResponse::from_error(error);
                // An error that is made from an answer gives it away once only.
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                (None, response)
            }
        };
        let cause = problem::chain(&response);
        let response = problem::explain(problem::tell_options(response, &observed.method));
        let response = observed.end(names, request.as_ref(), response, &self.worker, cause.as_deref());

        match request {
            Some(request) => Ok(ServiceResponse::new(request, response)),
            // The request went down with what failed; an error carries the answer instead.
            None => Err(InternalError::from_response("the request was not answered", response).into()),
        }
    }
}

/// What is known of a request when its head is there.
struct Observed {
    started: Instant,
    presence: Presence,
    client: Option<IpAddr>,
    method: Method,
    path: String,
    /// Whether the client would change the protocol. Nobody does, and actix keeps no such connection, which the answer
    /// has to say (RFC 9112, section 9.6).
    upgrades: bool,
    #[cfg(feature = "otel")]
    span: Option<spans::Begun>,
    /// Of a request that was given up, which would be the one to say it.
    route: Option<&'static str>,
}

impl Observed {
    fn begin(request: &ServiceRequest, state: web::Data<State>) -> (Names, Self) {
        let headers = request.headers();
        #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "only a span changes them"))]
        let mut names = Names::of(headers);
        let observed = Self {
            started: Instant::now(),
            client: caller::address(headers, request.peer_addr(), state.trusted_proxies),
            method: request.method().clone(),
            path: request.path().to_owned(),
            upgrades: request.head().connection_type() == ConnectionType::Upgrade,
            #[cfg(feature = "otel")]
            span: state.spans.as_ref().and_then(|spans| spans.begin(&mut names, headers)),
            presence: Presence::begin(request, state),
            route: None,
        };
        (names, observed)
    }

    fn end(
        self,
        names: Names,
        request: Option<&HttpRequest>,
        mut response: HttpResponse,
        worker: &Worker,
        error: Option<&str>,
    ) -> HttpResponse {
        #[cfg(feature = "otel")]
        let span = self.span;
        let Self { started, presence, client, method, path, upgrades, route, .. } = self;
        let status = response.status();
        let draining = presence.state.is_draining();
        let latency = started.elapsed();
        let route = route.map_or_else(|| served_under(request), Cow::Borrowed);
        worker.tally.answered(&presence.state.metrics, route.clone(), &method, status, latency);
        let level = level(&path, status, draining);
        worker.log.add(&Entry { level, names: &names, client, method: &method, path: &path, status, latency, error });
        // Like their lines, spans of successful probes are no news.
        #[cfg(feature = "otel")]
        if level <= LogLevel::Info
            && let (Some(begun), Some(spans), Some(traceparent)) = (span, &presence.state.spans, names.traceparent())
        {
            spans.add(spans::Span {
                begun,
                latency,
                traceparent: traceparent.clone(),
                request_id: names.request_id.clone(),
                client,
                method,
                route: (route != UNROUTED).then_some(route),
                path,
                status,
                error: error.map(str::to_owned),
            });
        }
        if draining || upgrades || presence.ends_its_connection() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        let headers = response.headers_mut();
        if !headers.contains_key(CACHE_CONTROL) {
            // An answer is about this moment, unless its handler says otherwise.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        names.write(headers);
        response.map_body(|_, body| presence.last_until_the_end_of(body))
    }
}

/// A request, for as long as there is something to do for it.
struct Presence {
    state: web::Data<State>,
    watch: Option<Rc<Watch>>,
    answered: bool,
}

impl Presence {
    fn begin(request: &ServiceRequest, state: web::Data<State>) -> Self {
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        if let Some(watch) = &watch {
            let (_, body) = request.parts();
            watch.asked(request.headers(), !matches!(body, Payload::None));
        }
        Self { state, watch, answered: false }
    }

    fn ends_its_connection(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.ends())
    }

    /// A body that is there is as good as written; one that comes piece by piece takes its time.
    fn last_until_the_end_of(mut self, body: BoxBody) -> BoxBody {
        match body.try_into_bytes() {
            Ok(bytes) => {
                self.answered = true;
                BoxBody::new(bytes)
            }
            Err(body) => BoxBody::new(Lasting { body, presence: self }),
        }
    }
}

/// An answer's body with the request that it is for.
struct Lasting {
    body: BoxBody,
    presence: Presence,
}

impl MessageBody for Lasting {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = self.body.as_pin_mut().poll_next(context);
        if matches!(piece, Poll::Ready(None)) {
            self.presence.answered = true;
        }
        piece
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.answered();
        }
        if !self.answered {
            // The client has gone before its answer.
            self.state.metrics.abandoned.inc();
        }
    }
}

/// Instead of a pattern, where there was none.
const UNROUTED: &str = "none";

/// The pattern under which the request was served, of which there are few.
fn served_under(request: Option<&HttpRequest>) -> Cow<'static, str> {
    const NONE: Cow<'static, str> = Cow::Borrowed(UNROUTED);
    let Some(request) = request else { return NONE };
    match request.app_data::<Route>() {
        Some(Route(pattern)) => Cow::Borrowed(pattern),
        None => request.match_pattern().map_or(NONE, Cow::Owned),
    }
}

fn level(path: &str, status: StatusCode, draining: bool) -> LogLevel {
    match path {
        // Probes come every few seconds for ever.
        probe if PROBES.contains(&probe) && status.is_success() => LogLevel::Debug,
        // Told to stop, the service is not at fault.
        "/health" if draining => LogLevel::Info,
        // More than there is room for is no fault either.
        _ if status == StatusCode::SERVICE_UNAVAILABLE => LogLevel::Warn,
        _ if status.is_server_error() => LogLevel::Error,
        _ => LogLevel::Info,
    }
}
