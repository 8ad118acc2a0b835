//! The names under which a request is known: its id, and the trace that it is part of.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub(crate) const AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Sixteen hexadecimal digits.
#[cfg(feature = "otel")]
pub(crate) type SpanId = [u8; 16];

/// A request's names: what its answer and its line in the log carry.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) request_id: HeaderValue,
    /// Our own part of the caller's trace.
    traceparent: Option<HeaderValue>,
    /// As it came.
    amzn_trace_id: Option<HeaderValue>,
}

impl Names {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            request_id: headers.get(REQUEST_ID).filter(|id| is_fit(id, 128)).cloned().unwrap_or_else(new_request_id),
            traceparent: headers.get(TRACEPARENT).and_then(continued),
            amzn_trace_id: headers.get(AMZN_TRACE_ID).filter(|id| is_fit(id, 512)).cloned(),
        }
    }

    /// The trace's id as W3C writes it, whichever header names it.
    pub(crate) fn trace_id(&self) -> Option<TraceId<'_>> {
        let w3c = self.traceparent.as_ref().map(|parent| TraceId(text(&parent.as_bytes()[3..35]), ""));
        w3c.or_else(|| xray_root(self.amzn_trace_id.as_ref()?.as_bytes()))
    }

    /// Begins a trace where the caller has begun none that W3C knows, below X-Ray's root if there is one.
    ///
    /// Returns the caller's span, of which the request's own is a child.
    #[cfg(feature = "otel")]
    pub(crate) fn begin_trace(&mut self, headers: &HeaderMap) -> Option<SpanId> {
        if self.traceparent.is_some() {
            // Valid, or it would not be continued.
            return headers.get(TRACEPARENT)?.as_bytes().get(36..52)?.try_into().ok();
        }
        let mut trace = [hex(*PROCESS), hex(new_span())].concat();
        if let Some(TraceId(time, random)) = self.trace_id() {
            trace = [time.as_bytes(), random.as_bytes()].concat();
        }
        let xray = self.amzn_trace_id.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        let flags = if xray_field(xray, b"Sampled=") == Some(b"0") { b"00" } else { b"01" };
        let parent = xray_field(xray, b"Parent=").filter(|parent| is_hex(parent));
        let parent = parent.and_then(|parent| parent.try_into().ok());
        self.traceparent = Some(own_span(&trace, flags));
        parent
    }

    /// Whether the trace is recorded; what the caller has decided holds.
    #[cfg(feature = "otel")]
    pub(crate) fn is_sampled(&self) -> bool {
        // The lowest bit of the last digit.
        self.traceparent.as_ref().is_some_and(|parent| {
            matches!(parent.as_bytes().last(), Some(b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f'))
        })
    }

    #[cfg(feature = "otel")]
    pub(crate) fn traceparent(&self) -> Option<&HeaderValue> {
        self.traceparent.as_ref()
    }

    /// What a call to another service carries, so that it counts as part of this request: headers' names and values.
    #[cfg(feature = "client")]
    pub(crate) fn handed_on(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let given = [
            ("x-request-id", Some(&self.request_id)),
            ("traceparent", self.traceparent.as_ref()),
            ("x-amzn-trace-id", self.amzn_trace_id.as_ref()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes())))
    }

    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request_id);
        if let Some(parent) = self.traceparent {
            headers.insert(TRACEPARENT, parent);
        }
        if let Some(id) = self.amzn_trace_id {
            headers.insert(AMZN_TRACE_ID, id);
        }
    }
}

/// The 32 hexadecimal digits of a trace's id, in the two pieces in which a header may hold them.
pub(crate) struct TraceId<'a>(pub(crate) &'a str, pub(crate) &'a str);

/// Fit for a header and a log.
fn is_fit(id: &HeaderValue, longest: usize) -> bool {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:;=+/@".contains(byte);
    (1..=longest).contains(&id.len()) && id.as_bytes().iter().all(safe)
}

/// The caller's trace with a span of our own as its newest, if the header is valid.
fn continued(parent: &HeaderValue) -> Option<HeaderValue> {
    let bytes = parent.as_bytes();
    let (version, rest) = bytes.split_at_checked(2)?;
    let (trace, span, flags) = (rest.get(1..33)?, rest.get(34..50)?, rest.get(51..53)?);
    let dashes = [rest[0], rest[33], rest[50]] == *b"---";
    // Later versions may add fields; the first ones stay where they are.
    let length = bytes.len() == 55 || (version != b"00" && bytes.get(55) == Some(&b'-'));
    let named = |id: &[u8]| id.iter().any(|digit| *digit != b'0');
    let valid = dashes
        && length
        && [version, trace, span, flags].into_iter().all(is_hex)
        && version != b"ff"
        && named(trace)
        && named(span);
    valid.then(|| own_span(trace, flags))
}

/// A new span of a trace; both are as long as the header has them.
fn own_span(trace: &[u8], flags: &[u8]) -> HeaderValue {
    let mut own = *b"00-00000000000000000000000000000000-0000000000000000-00";
    own[3..35].copy_from_slice(trace);
    own[36..52].copy_from_slice(&hex(new_span()));
    own[53..].copy_from_slice(flags);
    HeaderValue::from_bytes(&own).expect("hexadecimal digits and dashes are fit for a header")
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;…`: a time and 96 random bits, which together are W3C's 128.
fn xray_root(header: &[u8]) -> Option<TraceId<'_>> {
    let root = xray_field(header, b"Root=1-")?;
    let (time, random) = (root.get(..8)?, root.get(9..)?);
    let valid = root[8] == b'-' && random.len() == 24 && is_hex(time) && is_hex(random);
    valid.then(|| TraceId(text(time), text(random)))
}

/// What follows the name of a field of `Root=…;Parent=…;Sampled=…`.
fn xray_field<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    header.split(|byte| *byte == b';').find_map(|field| field.strip_prefix(name))
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("hexadecimal digits are ASCII")
}

/// A random half for the process, a running number for the request: no other process gives the same.
pub(crate) fn new_request_id() -> HeaderValue {
    let mut id = [b'-'; 33];
    id[..16].copy_from_slice(&hex(*PROCESS));
    id[17..].copy_from_slice(&hex(next()));
    HeaderValue::from_bytes(&id).expect("hexadecimal digits and a dash are fit for a header")
}

/// Sixteen digits; `format!` would take many times as long.
fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|place| b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15])
}

/// Never zero, which W3C forbids: an odd multiplier and an odd sum leave no other way.
fn new_span() -> u64 {
    (PROCESS.wrapping_add(next()).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

fn next() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn continued_from(parent: &str) -> Option<String> {
        continued(&HeaderValue::from_str(parent).unwrap()).map(|own| own.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_our_own() {
        let given = format!("00-{TRACE}-b7ad6b7169203331-01");
        let own = continued_from(&given).unwrap();
        assert_eq!((&own[..36], &own[52..]), (&given[..36], "-01"));
        assert_ne!(own, given);
        assert_ne!(continued_from(&given), Some(own));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for (given, valid) in [
            (format!("cc-{TRACE}-b7ad6b7169203331-00"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-00-more"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-00more"), false),
            (format!("00-{TRACE}-b7ad6b7169203331-00-more"), false),
            (format!("ff-{TRACE}-b7ad6b7169203331-00"), false),
        ] {
            assert_eq!(continued_from(&given).is_some(), valid, "{given}");
        }
    }

    #[test]
    fn what_is_no_trace_is_not_continued() {
        for given in [
            "",
            "00",
            "00-0-0-0",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(continued_from(given), None, "{given}");
        }
    }

    #[cfg(feature = "otel")]
    #[test]
    fn a_trace_begins_where_there_is_none() {
        let begun = |header: Option<(HeaderName, &str)>| {
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            let mut names = Names::of(&headers);
            let parent = names.begin_trace(&headers).map(|parent| String::from_utf8(parent.into()).unwrap());
            let TraceId(first, second) = names.trace_id().unwrap();
            (format!("{first}{second}"), parent.unwrap_or_default(), names.is_sampled())
        };
        let (first, second) = (begun(None), begun(None));
        assert_eq!((first.0.len(), first.1.as_str(), first.2), (32, "", true));
        assert_ne!(first.0, second.0);
        for (header, given, parent, sampled) in [
            (TRACEPARENT, format!("00-{TRACE}-b7ad6b7169203331-01"), "b7ad6b7169203331", true),
            (TRACEPARENT, format!("00-{TRACE}-b7ad6b7169203331-02"), "b7ad6b7169203331", false),
            (AMZN_TRACE_ID, "Root=1-0af76519-16cd43dd8448eb211c80319c".into(), "", true),
            (
                AMZN_TRACE_ID,
                "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=53995c3f42cd8ad8;Sampled=0".into(),
                "53995c3f42cd8ad8",
                false,
            ),
        ] {
            assert_eq!(begun(Some((header, &given))), (TRACE.to_owned(), parent.to_owned(), sampled), "{given}");
        }
    }

    #[test]
    fn a_trace_of_x_ray_is_known_by_its_root() {
        for (given, expected) in [
            ("Root=1-5759e988-bd862e3fe1be46a994272793", Some("5759e988bd862e3fe1be46a994272793")),
            ("Self=1-2;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", Some("5759e988bd862e3fe1be46a994272793")),
            ("Root=2-5759e988-bd862e3fe1be46a994272793", None),
            ("Root=1-5759e988-bd862e3fe1be46a99427279", None),
            ("Root=1-5759e98", None),
            ("", None),
        ] {
            let id = xray_root(given.as_bytes()).map(|TraceId(time, random)| format!("{time}{random}"));
            assert_eq!(id.as_deref(), expected, "{given}");
        }
    }
}
