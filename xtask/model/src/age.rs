//! How long ago something was, in words.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in RFC 3339 as `2 h ago (2026-01-02T03:04:05Z)`; alone where it is no time, or one in the future.
pub fn with_age(at: &str, now: OffsetDateTime) -> String {
    let age = OffsetDateTime::parse(at, &Rfc3339).ok().map(|at| (now - at).whole_seconds());
    match age {
        // Clocks differ by some seconds.
        Some(seconds) if seconds > -60 => format!("{} ago ({at})", words(seconds.max(0))),
        _ => at.to_owned(),
    }
}

/// In the largest unit that there are two of, or the smallest.
fn words(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_one_unit() {
        let now = OffsetDateTime::parse("2026-01-10T00:00:00Z", &Rfc3339).unwrap();
        for (at, expected) in [
            ("2026-01-09T23:59:59Z", "1 s ago (2026-01-09T23:59:59Z)"),
            ("2026-01-10T00:00:05Z", "0 s ago (2026-01-10T00:00:05Z)"),
            ("2026-01-09T23:30:00.5Z", "29 min ago (2026-01-09T23:30:00.5Z)"),
            ("2026-01-09T21:30:00Z", "2 h ago (2026-01-09T21:30:00Z)"),
            ("2026-01-01T00:00:00Z", "9 days ago (2026-01-01T00:00:00Z)"),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("then", "then"),
        ] {
            assert_eq!(with_age(at, now), expected);
        }
    }
}
