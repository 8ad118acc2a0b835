//! From the text of a variable to its value; `None` is a text that is not allowed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{LogFormat, LogLevel, Origins};

pub(super) fn whole_number(text: &str) -> Option<u32> {
    // The standard parser takes a leading plus sign, which nobody means in a port.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A whole number within a range, as whatever type holds it.
pub fn number<T: TryFrom<u32>>(range: RangeInclusive<u32>) -> impl Fn(&str) -> Option<T> {
    move |text| whole_number(text).filter(|number| range.contains(number))?.try_into().ok()
}

/// Whole seconds within a range.
pub fn seconds(range: RangeInclusive<u32>) -> impl Fn(&str) -> Option<Duration> {
    move |text| number::<u64>(range.clone())(text).map(Duration::from_secs)
}

/// `on` or `off`.
pub fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A port, or `Some(None)` for none at all.
pub(super) fn port_or_off(text: &str) -> Option<Option<u16>> {
    if text == "off" { Some(None) } else { number(0..=65_535)(text).map(Some) }
}

pub(super) fn path_prefix(text: &str) -> Option<String> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment = |text: &str| !text.is_empty() && text != "." && text != ".." && text.bytes().all(fit);
    text.strip_prefix('/')?.split('/').all(segment).then(|| text.to_owned())
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    }
}

pub(super) fn log_level(text: &str) -> Option<LogLevel> {
    match text {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    }
}

pub(super) fn origins(text: &str) -> Option<Origins> {
    match text {
        "" => Some(Origins::default()),
        "*" => Some(Origins::Any),
        list => list.split(',').map(|origin| origin_as_sent(origin.trim())).collect::<Option<_>>().map(Origins::Only),
    }
}

/// The two parts of an authority.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a server may have this host and this port.
fn is_server(host: &str, port: Option<&str>) -> bool {
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    host_fits && port.is_none_or(|port| number::<u16>(1..=65_535)(port).is_some())
}

/// An origin letter for letter as a browser sends it; anything else would never fit and nobody would know why.
fn origin_as_sent(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let plain = |text: &str, also: &[u8]| {
        let fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || also.contains(&byte);
        !text.is_empty() && text.bytes().all(fit)
    };
    let (host, port) = host_and_port(authority);
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

/// Names separated by commas, at least one; blanks around them do not count.
pub(super) fn names(text: &str) -> Option<Vec<String>> {
    text.split(',').map(|name| Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned)).collect()
}

/// As OpenID Connect Discovery has it (section 3): a secure URL without query.
pub(super) fn issuer(text: &str) -> Option<String> {
    secure_url(text).filter(|url| !url.contains('?'))
}

/// A URL whose answer nobody on the way can change: https, or http to this machine; without user and fragment.
pub fn secure_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = host_and_port(authority);
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte));
    let is_loopback =
        host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    let secure = scheme == "https" || (scheme == "http" && is_loopback);
    (secure && is_server(host, port) && printable).then(|| text.to_owned())
}

/// `Some(None)` for an empty text, otherwise what it is parsed to.
pub(super) fn unless_empty<T>(parse: impl Fn(&str) -> Option<T>) -> impl Fn(&str) -> Option<Option<T>> {
    move |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}

/// The URL below which a collector has its paths; without TLS, which the exporter does not have.
pub(super) fn collector(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host_and_port(authority);
    let path_fits = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte));
    (is_server(host, port) && path_fits).then(|| text.trim_end_matches('/').to_owned())
}

/// <https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable>
pub(super) fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decoded(key.trim()).filter(|key| !key.is_empty())?;
        Some((key, percent_decoded(value.trim())?))
    };
    text.split(',').map(pair).collect()
}

/// `None` if a percent sign encodes no byte, or the bytes are not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(hexadecimal.then(|| u8::from_str_radix(digits, 16).ok())??);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn image_digest(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex.len() == 64 && digits).then(|| text.to_owned())
}
