//! What the service needs to start.
//!
//! Every variable stands once in [`VARIABLES`]: parsing, error messages, `api --help` and the table in the service's
//! README all draw from it. Nothing here reads the environment; the caller passes it in.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::{Invalid, Problem};

const PREFIX: &str = "API_";

/// One environment variable as its users see it.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The text that counts when the variable is not set; `None` when its absence has a meaning of its own.
    pub default: Option<&'static str>,
    /// What it does, with its unit.
    pub meaning: &'static str,
    /// Which values are taken.
    pub allowed: &'static str,
}

/// Every variable that the service reads, in the order in which problems are reported.
pub const VARIABLES: [&Variable; 8] =
    [&BIND_ADDRESS, &PORT, &LOG_FORMAT, &LOG_LEVEL, &DRAIN_SECONDS, &SHUTDOWN_SECONDS, &CORS_ORIGINS, &IMAGE_DIGEST];

const BIND_ADDRESS: Variable = Variable {
    name: "API_BIND_ADDRESS",
    default: Some("0.0.0.0"),
    meaning: "address to listen on",
    allowed: "an IPv4 or IPv6 address",
};
const PORT: Variable = Variable {
    name: "API_PORT",
    default: Some("8080"),
    meaning: "port to listen on; 0 takes a free one, which the first log line names",
    allowed: "a whole number from 0 to 65535",
};
const LOG_FORMAT: Variable = Variable {
    name: "API_LOG_FORMAT",
    default: Some("json"),
    meaning: "form of a log line on stdout",
    allowed: "json or text",
};
const LOG_LEVEL: Variable = Variable {
    name: "API_LOG_LEVEL",
    default: Some("info"),
    meaning: "least important level that is logged",
    allowed: "error, warn, info, debug or trace",
};
const DRAIN_SECONDS: Variable = Variable {
    name: "API_DRAIN_SECONDS",
    default: Some("2"),
    meaning: "seconds after a signal in which `/health` answers 503 and requests are still accepted",
    allowed: "a whole number from 0 to 600",
};
const SHUTDOWN_SECONDS: Variable = Variable {
    name: "API_SHUTDOWN_SECONDS",
    default: Some("25"),
    meaning: "seconds that requests in flight may still take after the drain, when nothing new is accepted",
    allowed: "a whole number from 0 to 600",
};
const CORS_ORIGINS: Variable = Variable {
    name: "API_CORS_ORIGINS",
    default: None,
    meaning: "origins whose pages may read the answers in a browser; without any, no CORS header is sent",
    allowed: "origins as browsers write them, such as https://app.example.com, separated by commas; or * alone",
};
const IMAGE_DIGEST: Variable = Variable {
    name: "IMAGE_DIGEST",
    default: None,
    meaning: "digest of the image that is running, shown by `/version`; set by whoever starts the container",
    allowed: "sha256: and 64 hexadecimal digits in lower case",
};

/// What the service needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub bind_address: IpAddr,
    pub port: u16,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    /// How long `/health` says 503 while requests are still accepted.
    pub drain: Duration,
    /// How long requests in flight may take once nothing new is accepted.
    pub shutdown: Duration,
    pub cors_origins: Origins,
    pub image_digest: Option<String>,
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

/// The least important level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            bind_address: reader.value(&BIND_ADDRESS, |text| text.parse().ok()),
            port: reader.value(&PORT, |text| whole_number(text)?.try_into().ok()),
            log_format: reader.value(&LOG_FORMAT, log_format),
            log_level: reader.value(&LOG_LEVEL, log_level),
            drain: reader.value(&DRAIN_SECONDS, seconds),
            shutdown: reader.value(&SHUTDOWN_SECONDS, seconds),
            cors_origins: reader.optional(&CORS_ORIGINS, origins).unwrap_or_default(),
            image_digest: reader.optional(&IMAGE_DIGEST, image_digest),
        };
        reader.unknown();
        if reader.problems.is_empty() { Ok(settings) } else { Err(Invalid(reader.problems)) }
    }

    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.port)
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
            self.problem(variable.name, text, variable.allowed.to_owned());
        }
        value
    }

    /// Whatever has our prefix and was not asked for.
    fn unknown(&mut self) {
        let names = VARIABLES.map(|variable| variable.name).join(", ");
        for (name, text) in std::mem::take(&mut self.vars) {
            if name.starts_with(PREFIX) {
                self.problem(&name, text, format!("only the variables {names}"));
            }
        }
    }

    fn problem(&mut self, key: &str, value: String, allowed: String) {
        self.problems.push(Problem { source: "environment".into(), key: key.into(), value: Some(value), allowed });
    }
}

fn whole_number(text: &str) -> Option<u32> {
    // The standard parser takes a leading plus sign, which nobody means in a port.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn seconds(text: &str) -> Option<Duration> {
    whole_number(text).filter(|seconds| *seconds <= 600).map(|seconds| Duration::from_secs(seconds.into()))
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    }
}

fn log_level(text: &str) -> Option<LogLevel> {
    match text {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    }
}

fn origins(text: &str) -> Option<Origins> {
    match text {
        "" => Some(Origins::default()),
        "*" => Some(Origins::Any),
        list => list.split(',').map(|origin| origin_as_sent(origin.trim())).collect::<Option<_>>().map(Origins::Only),
    }
}

/// An origin letter for letter as a browser sends it; anything else would never fit and nobody would know why.
fn origin_as_sent(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let plain = |text: &str, also: &[u8]| {
        let fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || also.contains(&byte);
        !text.is_empty() && text.bytes().all(fit)
    };
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => plain(host, b"-._"),
    };
    let port_fits = match port {
        // Left out by browsers.
        Some("80") if scheme == "http" => false,
        Some("443") if scheme == "https" => false,
        Some(port) => whole_number(port).is_some_and(|number| number <= 65_535 && number.to_string() == port),
        None => true,
    };
    (plain(scheme, b"+-.") && host_fits && port_fits).then(|| text.to_owned())
}

fn image_digest(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex.len() == 64 && digits).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
