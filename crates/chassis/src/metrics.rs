//! What is counted for the operator, and how it is told: OpenMetrics text, as Prometheus reads it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::{About, output};

/// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#protocol-negotiation>
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In seconds: from what a short answer takes to what no caller waits for any more (API Gateway gives up after 29).
const BUCKETS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// Everything that is counted, over all workers.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    latency: Family<Routed, Histogram, fn() -> Histogram>,
    pub(crate) in_flight: Gauge,
    pub(crate) shed: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) connections: Gauge,
    impatience: Family<Reason, Counter>,
    malformed: Family<Refused, Counter>,
}

/// Everything but the route has few values; a route is a pattern, never a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: Cow<'static, str>,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Routed {
    route: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    status: u16,
}

/// Why the service ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Impatience {
    Idle,
    /// Idle, and others were waiting.
    Full,
    SlowHeader,
    SlowReader,
}

impl Metrics {
    pub(crate) fn new(about: About, image_digest: Option<&str>) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            shed: Counter::default(),
            abandoned: Counter::default(),
            connections: Gauge::default(),
            impatience: Family::default(),
            malformed: Family::default(),
        };
        metrics.registered(about, image_digest)
    }

    fn registered(mut self, about: About, image_digest: Option<&str>) -> Self {
        let registry = &mut self.registry;
        let build = [("name", about.name), ("version", about.version), ("digest", image_digest.unwrap_or_default())];
        let build = build.map(|(name, value)| (name.to_owned(), value.to_owned()));
        registry.register("build", "What is running", Info::new(Vec::from(build)));
        registry.register("http_requests", "Requests that were answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that have arrived as a whole and are being answered",
            self.in_flight.clone(),
        );
        registry.register("http_requests_shed", "Requests refused because there was too much to do", self.shed.clone());
        registry.register(
            "http_requests_abandoned",
            "Requests whose client left before the answer",
            self.abandoned.clone(),
        );
        registry.register("http_connections", "Connections that are open", self.connections.clone());
        registry.register(
            "http_connections_ended",
            "Connections that the service ended for lack of progress or room",
            self.impatience.clone(),
        );
        registry.register(
            "http_requests_malformed",
            "Requests refused before they could be read as such",
            self.malformed.clone(),
        );
        registry.register("log_lines_dropped", "Lines of the log for which there was no room", output::dropped());
        self
    }

    /// Counts spans too; for a service that sends some.
    #[cfg(feature = "otel")]
    pub(crate) fn count_spans(&mut self, counts: &crate::spans::Counts) {
        let exported = counts.exported.clone();
        self.registry.register("otel_spans_exported", "Spans that the collector has taken", exported);
        let dropped = counts.dropped.clone();
        self.registry.register("otel_spans_dropped", "Spans lost because the collector did not take them", dropped);
    }

    pub(crate) fn lost_patience(&self, reason: Impatience) {
        let reason = match reason {
            Impatience::Idle => "idle",
            Impatience::Full => "full",
            Impatience::SlowHeader => "slow_header",
            Impatience::SlowReader => "slow_reader",
        };
        self.impatience.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn malformed(&self, status: StatusCode) {
        self.malformed.get_or_create(&Refused { status: status.as_u16() }).inc();
    }

    /// The text of `/metrics`.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// One worker's way to the series that its requests belong to: there are few, and each is looked up once.
#[derive(Default)]
pub(crate) struct Tally(RefCell<Vec<(Answered, Counter, Histogram)>>);

impl Tally {
    pub(crate) fn answered(
        &self,
        metrics: &Metrics,
        route: Cow<'static, str>,
        method: &Method,
        status: StatusCode,
        latency: Duration,
    ) {
        let answered = Answered { route, method: method_label(method), status: status_class(status) };
        let mut known = self.0.borrow_mut();
        let place = known.iter().position(|(series, ..)| *series == answered).unwrap_or_else(|| {
            let requests = metrics.requests.get_or_create(&answered).clone();
            let routed = Routed { route: answered.route.clone() };
            let latency = metrics.latency.get_or_create(&routed).clone();
            known.push((answered, requests, latency));
            known.len() - 1
        });
        let (_, requests, latencies) = &known[place];
        requests.inc();
        latencies.observe(latency.as_secs_f64());
    }
}

/// Callers may invent methods; series may not.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
