//! Whom a request comes from, as far as that can be known.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};

/// The address of whoever asked: the connection's, or what the trusted proxies in front have said about theirs.
///
/// Every proxy adds the address that it was asked from to the end of `X-Forwarded-For`, so what the first of `proxies`
/// added stands that far from the end. What stands before that, the caller may have written. A list that is too short,
/// or holds something else, did not come through these proxies, and says nothing.
pub(crate) fn address(headers: &HeaderMap, peer: Option<SocketAddr>, proxies: usize) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.ip());
    let Some(place) = proxies.checked_sub(1) else { return peer };
    // Several lines of a header are one list (RFC 9110, section 5.3).
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
    let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    entries.map(parse).nth(place).flatten().or(peer)
}

/// An address, with or without the port that some proxies add.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn from(lines: &[&'static str], proxies: usize) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        address(&headers, Some(([10, 0, 0, 9], 4711).into()), proxies).unwrap().to_string()
    }

    #[test]
    fn nobody_is_believed_without_being_trusted() {
        assert_eq!(from(&["1.1.1.1"], 0), "10.0.0.9");
    }

    #[test]
    fn the_first_trusted_proxy_knows_the_caller() {
        assert_eq!(from(&["1.1.1.1"], 1), "1.1.1.1");
        assert_eq!(from(&["6.6.6.6, 1.1.1.1,2.2.2.2"], 2), "1.1.1.1");
        assert_eq!(from(&["6.6.6.6", "1.1.1.1", "2.2.2.2"], 2), "1.1.1.1");
        assert_eq!(from(&["2001:db8::1"], 1), "2001:db8::1");
        assert_eq!(from(&["[2001:db8::1]:443"], 1), "2001:db8::1");
        assert_eq!(from(&["1.1.1.1:5000"], 1), "1.1.1.1");
    }

    #[test]
    fn what_does_not_come_through_all_proxies_says_nothing() {
        for line in ["", "1.1.1.1", "unknown, 2.2.2.2", "1.1.1, 2.2.2.2"] {
            assert_eq!(from(&[line], 2), "10.0.0.9", "{line}");
        }
        assert_eq!(from(&[], 1), "10.0.0.9");
    }
}
