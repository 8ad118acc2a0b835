//! What the service needs to start.
//!
//! Every variable stands once in [`VARIABLES`]: parsing, error messages, `--help` and the table in the service's README
//! all draw from it. A service's own variables stand in a table of its own, and are read with the same [`Reader`].
//! Nothing here reads the environment; the caller passes it in.

pub mod values;
mod variables;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::time::Duration;

use crate::{Given, Invalid, Problem, suggestion};
use values::{number, seconds};
use variables as variable;
pub use variables::{VARIABLES, Variable};

const PREFIX: &str = "API_";

/// What the service needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub bind_address: IpAddr,
    pub port: u16,
    /// The port of `/metrics`, if there is to be one.
    pub management_port: Option<u16>,
    /// How many threads answer; `None` is one for each processor.
    pub workers: Option<NonZero<u16>>,
    /// A path, with a slash in front and none behind, below which everything is served too.
    pub path_prefix: Option<String>,
    /// Whether the API's description and its page are served.
    pub docs: bool,
    pub cors_origins: Origins,
    /// How many proxies in front add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    /// How long `/health` says 503 while requests are still accepted.
    pub drain: Duration,
    /// How long requests in flight may take once nothing new is accepted.
    pub shutdown: Duration,
    pub limits: Limits,
    /// Whose tokens say who asks; without it no handler can know.
    pub identity: Option<Identity>,
    /// Where a span of each request is sent, if it is to be.
    pub spans: Option<Spans>,
    pub image_digest: Option<String>,
}

/// Which OpenTelemetry collector gets spans, and as whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// An http URL without a slash at its end, below which OTLP has its paths.
    pub collector: String,
    /// What is to be `service.name`.
    pub service_name: Option<String>,
    /// Further attributes of the resource that sends them, each with its value.
    pub attributes: Vec<(String, String)>,
}

/// Whose tokens say who asks (OpenID Connect), and for whom they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A URL, letter for letter as the claim `iss` has it.
    pub issuer: String,
    /// Of which a token must name one; never empty.
    pub audiences: Vec<String>,
    /// Where the keys are, if the issuer is not to be asked for that.
    pub jwks_url: Option<String>,
}

/// What a client, and all of them together, may take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub connections: usize,
    /// Requests whose bodies have arrived, and that are not answered.
    pub in_flight: usize,
    pub header_bytes: usize,
    pub uri_bytes: usize,
    pub body_bytes: usize,
    /// Of all bodies together, from their first byte to the answer.
    pub bodies_bytes: usize,
    /// In which a request line with its headers has to arrive.
    pub header_time: Duration,
    /// In which a body has to arrive, and an answer to be taken.
    pub body_time: Duration,
    /// In which a handler has to answer.
    pub request_time: Duration,
    pub keep_alive: Duration,
}

/// Whose pages may read the answers in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These, and nobody's when there are none.
    Only(Vec<String>),
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

/// The least important level that is logged; the more important, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Settings {
    /// Reads the settings of a service that has none of its own.
    ///
    /// # Errors
    /// Every problem at once. Variables of other programs are passed over; an unknown one that starts with `API_` is an
    /// error.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut reader = Reader::new(vars);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }

    /// Reads the settings beside a service's own; [`Reader::finish`] says what is wrong with them.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            bind_address: reader.value(&variable::BIND_ADDRESS, |text| text.parse().ok()),
            port: reader.value(&variable::PORT, number(0..=65_535)),
            management_port: reader.value(&variable::MANAGEMENT_PORT, values::port_or_off),
            workers: reader.optional(&variable::WORKERS, |text| NonZero::new(number(1..=512)(text)?)),
            path_prefix: reader.optional(&variable::PATH_PREFIX, values::path_prefix),
            docs: reader.value(&variable::DOCS, values::switch),
            cors_origins: reader.optional(&variable::CORS_ORIGINS, values::origins).unwrap_or_default(),
            trusted_proxies: reader.value(&variable::TRUSTED_PROXIES, number(0..=16)),
            log_format: reader.value(&variable::LOG_FORMAT, values::log_format),
            log_level: reader.value(&variable::LOG_LEVEL, values::log_level),
            drain: reader.value(&variable::DRAIN_SECONDS, seconds(0..=600)),
            shutdown: reader.value(&variable::SHUTDOWN_SECONDS, seconds(0..=600)),
            limits: Limits {
                connections: reader.value(&variable::MAX_CONNECTIONS, number(1..=1_000_000)),
                in_flight: reader.value(&variable::MAX_IN_FLIGHT, number(1..=1_000_000)),
                header_bytes: reader.value(&variable::MAX_HEADER_BYTES, number(1024..=131_072)),
                uri_bytes: reader.value(&variable::MAX_URI_BYTES, number(256..=65_535)),
                body_bytes: reader.value(&variable::MAX_BODY_BYTES, number(0..=10_485_760)),
                bodies_bytes: reader.value(&variable::MAX_BODIES_BYTES, number(0..=1_073_741_824)),
                header_time: reader.value(&variable::HEADER_SECONDS, seconds(1..=600)),
                body_time: reader.value(&variable::BODY_SECONDS, seconds(1..=600)),
                request_time: reader.value(&variable::REQUEST_SECONDS, seconds(1..=3600)),
                keep_alive: reader.value(&variable::KEEP_ALIVE_SECONDS, seconds(1..=4000)),
            },
            identity: identity(reader),
            spans: spans(reader),
            image_digest: reader.optional(&variable::IMAGE_DIGEST, values::image_digest),
        }
    }

    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.port)
    }

    /// The address of `/metrics`, if there is to be one.
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management_port.map(|port| SocketAddr::new(self.bind_address, port))
    }

    /// The address at which the service is reached from its own host or container.
    pub fn local_address(&self) -> SocketAddr {
        let ip = match self.bind_address {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.port)
    }
}

/// Neither of the two works alone: without an audience, tokens that the issuer made for other services would do.
fn identity(reader: &mut Reader) -> Option<Identity> {
    let all = [&variable::OIDC_ISSUER, &variable::OIDC_AUDIENCE, &variable::OIDC_JWKS_URL];
    let is_wanted = all.iter().any(|variable| reader.vars.contains_key(variable.name));
    let issuer = reader.optional(&variable::OIDC_ISSUER, values::issuer);
    let audiences = reader.optional(&variable::OIDC_AUDIENCE, values::names);
    let jwks_url = reader.optional(&variable::OIDC_JWKS_URL, values::secure_url);
    if is_wanted && issuer.is_none() {
        reader.missing(&variable::OIDC_ISSUER);
    }
    if is_wanted && audiences.is_none() {
        reader.missing(&variable::OIDC_AUDIENCE);
    }
    Some(Identity { issuer: issuer?, audiences: audiences?, jwks_url })
}

/// An empty value counts as none, as OpenTelemetry has it.
fn spans(reader: &mut Reader) -> Option<Spans> {
    let collector = reader.optional(&variable::OTLP_ENDPOINT, values::unless_empty(values::collector));
    let service_name =
        reader.optional(&variable::OTEL_SERVICE_NAME, values::unless_empty(|text| Some(text.to_owned())));
    let attributes = reader.optional(&variable::OTEL_RESOURCE_ATTRIBUTES, values::unless_empty(values::attributes));
    let attributes = attributes.flatten().unwrap_or_default();
    Some(Spans { collector: collector.flatten()?, service_name: service_name.flatten(), attributes })
}

/// Reads variables one by one, and collects what is wrong with them.
///
/// The chassis' settings and those of a service are read with one and the same, so that every problem is reported at
/// once and an unknown name is known to be one.
pub struct Reader {
    vars: BTreeMap<String, String>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Reader {
    /// From the whole environment, of which only what is asked for is read.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { vars: vars.into_iter().collect(), known: Vec::new(), problems: Vec::new() }
    }

    /// The value of a variable that has a default; `parse` returns `None` for a text that is not allowed.
    ///
    /// # Panics
    /// If the variable has no default that is allowed: a slip in its table.
    pub fn value<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> T {
        let given = self.optional(variable, &parse);
        given
            .or_else(|| variable.default.and_then(&parse))
            .expect("a variable that must have a value has a default that is allowed")
    }

    /// The value of a variable, if it is set; `parse` returns `None` for a text that is not allowed.
    pub fn optional<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.known.push(variable.name);
        let text = self.vars.remove(variable.name)?;
        let value = parse(&text);
        if value.is_none() {
            self.problem(variable, Some(text));
        }
        value
    }

    /// As [`optional`](Self::optional), for a value that contains a secret: no problem shows it.
    pub fn secret<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.known.push(variable.name);
        let value = parse(&self.vars.remove(variable.name)?);
        if value.is_none() {
            self.note(variable.name, Given::Secret, variable.allowed.to_owned());
        }
        value
    }

    /// Notes that the value of a variable, or its absence, cannot be used. A value is shown: never pass a secret.
    pub fn problem(&mut self, variable: &Variable, value: Option<String>) {
        self.note(variable.name, value.into(), variable.allowed.to_owned());
    }

    /// Notes that a variable must be set, unless it is set to something that is reported already.
    fn missing(&mut self, variable: &Variable) {
        if self.problems.iter().all(|problem| problem.key != variable.name) {
            self.problem(variable, None);
        }
    }

    /// Ends the reading: whatever has the service's prefix, `API_`, and was not asked for is taken for a slip.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn finish<T>(mut self, settings: T) -> Result<T, Invalid> {
        for name in std::mem::take(&mut self.vars).into_keys().filter(|name| name.starts_with(PREFIX)) {
            let meant = suggestion(&name, self.known.iter().copied());
            self.note(&name, Given::UnknownName, format!("only variables that --help lists{meant}"));
        }
        if self.problems.is_empty() { Ok(settings) } else { Err(Invalid(self.problems)) }
    }

    fn note(&mut self, key: &str, given: Given, allowed: String) {
        self.problems.push(Problem { source: "environment".into(), key: key.into(), given, allowed });
    }
}

#[cfg(test)]
mod tests;
