//! What the service needs to start.
//!
//! Every variable stands once in [`VARIABLES`]: parsing, error messages, `api --help` and the table in the service's
//! README all draw from it. Nothing here reads the environment; the caller passes it in.

mod values;
mod variables;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::time::Duration;

use crate::{Invalid, Problem};
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
    pub ids: Ids,
    pub image_digest: Option<String>,
}

/// What a client, and all of them together, may take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub connections: usize,
    pub in_flight: usize,
    pub header_bytes: usize,
    pub uri_bytes: usize,
    pub body_bytes: usize,
    /// In which a request line with its headers has to arrive.
    pub header_time: Duration,
    /// In which a body has to arrive, and an answer to be taken.
    pub body_time: Duration,
    pub keep_alive: Duration,
}

/// Where the numbers of greetings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Counted by the process itself.
    Memory,
    /// Leased in blocks from a table that all instances share.
    DynamoDb { table: String, block: u64 },
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
    /// Reads the settings out of environment variables and reports every problem at once.
    ///
    /// Variables of other programs are passed over; an unknown one with our prefix is taken for a slip of the pen.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut reader = Reader { vars: vars.into_iter().collect(), problems: Vec::new() };
        let settings = Self {
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
                header_time: reader.value(&variable::HEADER_SECONDS, seconds(1..=600)),
                body_time: reader.value(&variable::BODY_SECONDS, seconds(1..=600)),
                keep_alive: reader.value(&variable::KEEP_ALIVE_SECONDS, seconds(1..=4000)),
            },
            ids: reader.ids(),
            image_digest: reader.optional(&variable::IMAGE_DIGEST, values::image_digest),
        };
        reader.unknown();
        if reader.problems.is_empty() { Ok(settings) } else { Err(Invalid(reader.problems)) }
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

struct Reader {
    vars: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader {
    fn value<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> T {
        let given = self.optional(variable, &parse);
        given
            .or_else(|| variable.default.and_then(&parse))
            .expect("a variable that must have a value has a default that is allowed")
    }

    fn optional<T>(&mut self, variable: &Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.vars.remove(variable.name)?;
        let value = parse(&text);
        if value.is_none() {
            self.problem(variable.name, Some(text), variable.allowed.to_owned());
        }
        value
    }

    /// The table is read in any case, so that a wrong name shows before it is needed.
    fn ids(&mut self) -> Ids {
        let shared = self.value(&variable::IDS, |text| match text {
            "memory" => Some(false),
            "dynamodb" => Some(true),
            _ => None,
        });
        let given = self.vars.contains_key(variable::IDS_TABLE.name);
        let table = self.optional(&variable::IDS_TABLE, values::table);
        let block = self.value(&variable::IDS_BLOCK, number(1..=1_000_000));
        match table {
            Some(table) if shared => Ids::DynamoDb { table, block },
            None if shared && !given => {
                self.problem(variable::IDS_TABLE.name, None, variable::IDS_TABLE.allowed.to_owned());
                Ids::Memory
            }
            _ => Ids::Memory,
        }
    }

    /// Whatever has our prefix and was not asked for.
    fn unknown(&mut self) {
        for (name, text) in std::mem::take(&mut self.vars) {
            if name.starts_with(PREFIX) {
                self.problem(&name, Some(text), "only variables that `api --help` lists".to_owned());
            }
        }
    }

    fn problem(&mut self, key: &str, value: Option<String>, allowed: String) {
        self.problems.push(Problem { source: "environment".into(), key: key.into(), value, allowed });
    }
}

#[cfg(test)]
mod tests;
