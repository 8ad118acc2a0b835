//! What a line looks like.
//!
//! It is put together digit by digit: the machinery of `format!` would take longer than all the rest.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::{Method, StatusCode};
use config::service::{LogFormat, LogLevel};
use time::OffsetDateTime;

use crate::trace::{Names, TraceId};

/// What is told of a request. Never its query, which may hold what is personal.
pub(crate) struct Entry<'a> {
    pub(crate) level: LogLevel,
    pub(crate) names: &'a Names,
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) latency: Duration,
    pub(crate) error: Option<&'a str>,
}

/// The text of the last second in which there was a line; most lines share theirs with the one before.
#[derive(Default)]
pub(super) struct Second {
    number: u64,
    text: String,
}

/// Adds a line, ended, to those that are there.
pub(super) fn add(out: &mut Vec<u8>, last: &mut Second, format: LogFormat, entry: &Entry<'_>, now: SystemTime) {
    // A clock before 1970 is no reason to lose a line.
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (second, micros) = (last.text(now.as_secs()), now.subsec_micros());
    let written = match format {
        LogFormat::Json => json(out, second, micros, entry),
        LogFormat::Text => text(out, second, micros, entry),
    };
    written.expect("a vector takes whatever is written to it");
}

fn json(out: &mut Vec<u8>, second: &str, micros: u32, entry: &Entry<'_>) -> io::Result<()> {
    let Entry { level, names, client, method, path, status, latency, error } = entry;
    out.extend_from_slice(b"{\"timestamp\":\"");
    timestamp(out, second, micros);
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(name(*level).as_bytes());
    out.extend_from_slice(b"\",\"message\":\"request\",\"request_id\":\"");
    out.extend_from_slice(names.request_id.as_bytes());
    if let Some(TraceId(begin, end)) = names.trace_id() {
        out.extend_from_slice(b"\",\"trace_id\":\"");
        out.extend_from_slice(begin.as_bytes());
        out.extend_from_slice(end.as_bytes());
    }
    if let Some(client) = client {
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, *client)?;
    }
    // Neither an id that is fit for a header nor a method (RFC 9110, section 5.6.2) has anything to be escaped.
    out.extend_from_slice(b"\",\"method\":\"");
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b"\",\"path\":");
    string(out, path.as_bytes())?;
    out.extend_from_slice(b",\"status\":");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b",\"latency_ms\":");
    milliseconds(out, *latency);
    if let Some(error) = error {
        out.extend_from_slice(b",\"error\":");
        string(out, error.as_bytes())?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn text(out: &mut Vec<u8>, second: &str, micros: u32, entry: &Entry<'_>) -> io::Result<()> {
    let Entry { level, names, client, method, path, status, latency, error } = entry;
    timestamp(out, second, micros);
    write!(out, " {:>5} request request_id=", name(*level))?;
    string(out, names.request_id.as_bytes())?;
    if let Some(TraceId(begin, end)) = names.trace_id() {
        write!(out, " trace_id={begin}{end}")?;
    }
    if let Some(client) = client {
        write!(out, " client={client}")?;
    }
    write!(out, " method={method} path=")?;
    string(out, path.as_bytes())?;
    write!(out, " status={} latency_ms=", status.as_u16())?;
    milliseconds(out, *latency);
    if let Some(error) = error {
        out.extend_from_slice(b" error=");
        string(out, error.as_bytes())?;
    }
    out.extend_from_slice(b"\n");
    Ok(())
}

/// A JSON string; headers and paths are ASCII, whatever is not is shown as far as it can be.
fn string(out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if bytes.iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
        return Ok(());
    }
    Ok(serde_json::to_writer(out, &String::from_utf8_lossy(bytes))?)
}

fn timestamp(out: &mut Vec<u8>, second: &str, micros: u32) {
    out.extend_from_slice(second.as_bytes());
    out.push(b'.');
    digits::<6>(out, micros);
    out.push(b'Z');
}

fn milliseconds(out: &mut Vec<u8>, time: Duration) {
    number(out, time.as_millis());
    out.push(b'.');
    digits::<3>(out, time.subsec_micros() % 1000);
}

fn address(out: &mut Vec<u8>, address: IpAddr) -> io::Result<()> {
    let IpAddr::V4(v4) = address else { return write!(out, "{address}") };
    for (place, octet) in v4.octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        number(out, octet);
    }
    Ok(())
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// With zeros in front.
fn digits<const COUNT: usize>(out: &mut Vec<u8>, mut number: u32) {
    let mut text = [b'0'; COUNT];
    for digit in text.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text);
}

impl Second {
    fn text(&mut self, number: u64) -> &str {
        if self.number != number || self.text.is_empty() {
            let known = i64::try_from(number).ok().and_then(|number| OffsetDateTime::from_unix_timestamp(number).ok());
            let time = known.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
            let (hour, minute, second) = time.to_hms();
            self.text.clear();
            write!(self.text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
                .expect("a string takes whatever is written to it");
            self.number = number;
        }
        &self.text
    }
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn line(format: LogFormat, headers: &[(&'static str, &'static str)], path: &str, error: Option<&str>) -> String {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let entry = Entry {
            level: LogLevel::Info,
            names: &Names::of(&headers),
            client: Some([192, 0, 2, 1].into()),
            method: &Method::GET,
            path,
            status: StatusCode::OK,
            latency: Duration::from_micros(1_050),
            error,
        };
        let (mut out, now) = (Vec::new(), UNIX_EPOCH + Duration::from_micros(1_795_375_862_000_042));
        add(&mut out, &mut Second::default(), format, &entry, now);
        String::from_utf8(out).unwrap()
    }

    const NAMES: [(&str, &str); 2] =
        [("x-request-id", "tale-1"), ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")];

    #[test]
    fn a_line_is_one_json_object() {
        assert_eq!(
            line(LogFormat::Json, &NAMES, "/a", None),
            "{\"timestamp\":\"2026-11-22T19:31:02.000042Z\",\"level\":\"INFO\",\"message\":\"request\",\
             \"request_id\":\"tale-1\",\"trace_id\":\"5759e988bd862e3fe1be46a994272793\",\"client\":\"192.0.2.1\",\
             \"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"latency_ms\":1.050}\n"
        );
    }

    #[test]
    fn nobody_writes_a_line_of_his_own() {
        let path = "/\"},\n{\"level\":\"\u{1b}[31m\\é";
        let line = line(LogFormat::Json, &NAMES[..1], path, Some("two\nlines"));
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["path"], &object["error"]), (&path.into(), &"two\nlines".into()));
        assert!(!super::tests::line(LogFormat::Text, &NAMES, path, None).trim_end().contains(['\n', '\u{1b}']));
    }

    #[test]
    fn text_is_for_people() {
        assert_eq!(
            line(LogFormat::Text, &NAMES, "/a", Some("why")),
            "2026-11-22T19:31:02.000042Z  INFO request request_id=\"tale-1\" trace_id=5759e988bd862e3fe1be46a994272793 \
             client=192.0.2.1 method=GET path=\"/a\" status=200 latency_ms=1.050 error=\"why\"\n"
        );
    }
}
