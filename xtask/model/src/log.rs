//! A line of a service's log for people: level, message and the other fields of a JSON object, or the text as it is.
//!
//! Pure: text in, text out. It neither reads a log nor chooses colours.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A line that is a JSON object with a level or a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In capital letters.
    pub level: Option<String>,
    pub message: String,
    /// The other fields as `key=value`, in the order of the line, without the time, which the log group has too.
    pub fields: Vec<String>,
}

/// How much a level stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Error,
    Warning,
    Normal,
    Detail,
}

/// Names of fields, the usual one first.
const LEVEL: [&str; 2] = ["level", "severity"];
const MESSAGE: [&str; 2] = ["message", "msg"];
const TIME: [&str; 3] = ["timestamp", "time", "ts"];

/// Reads a line; `None` for one that is not such an object.
pub fn parse(line: &str) -> Option<Entry> {
    let Fields(fields) = serde_json::from_str(line).ok()?;
    let (mut level, mut message, mut others) = (None, None, Vec::new());
    for (name, value) in fields {
        match value {
            Value::String(text) if level.is_none() && LEVEL.contains(&name.as_str()) => level = Some(text),
            Value::String(text) if message.is_none() && MESSAGE.contains(&name.as_str()) => message = Some(text),
            Value::String(_) if TIME.contains(&name.as_str()) => {}
            value => others.push(format!("{}={}", plain(&name), short(&value))),
        }
    }
    (level.is_some() || message.is_some()).then(|| Entry {
        level: level.map(|level| plain(&level.to_uppercase())),
        message: plain(&message.unwrap_or_default()),
        fields: others,
    })
}

impl Entry {
    pub fn weight(&self) -> Weight {
        match self.level.as_deref() {
            Some("ERROR" | "FATAL" | "CRITICAL" | "ALERT" | "EMERGENCY") => Weight::Error,
            Some("WARN" | "WARNING") => Weight::Warning,
            Some("DEBUG" | "TRACE") => Weight::Detail,
            _ => Weight::Normal,
        }
    }
}

/// A time in RFC 3339 as its date and `HH:MM:SS.mmm`; `None` for another text.
pub fn date_and_time(text: &str) -> Option<(&str, String)> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    Some((date, format!("{seconds}.{:0<3.3}", fraction)))
}

/// A value without quotes where it can be read without them.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=';
            if text.is_empty() || text.contains(needs_quotes) { plain(&value.to_string()) } else { text.clone() }
        }
        other => plain(&other.to_string()),
    }
}

/// One line without control characters.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
    lines.collect::<Vec<_>>().join(" ")
}

/// An object's fields in their own order.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let Some(entry) = parse(line) else { return "as it is".to_owned() };
        let parts = [entry.level.unwrap_or_default(), entry.message, entry.fields.join(" ")];
        parts.join("|")
    }

    #[test]
    fn a_json_line_is_shown_short_and_another_as_it_is() {
        for (line, expected) in [
            (
                r#"{"timestamp":"2026-11-22T19:31:02.000042Z","level":"INFO","message":"request","status":200,"path":"/a","latency_ms":1.5}"#,
                "INFO|request|status=200 path=/a latency_ms=1.5",
            ),
            (r#"{"severity":"warning","msg":"slow","ok":true,"none":null}"#, "WARNING|slow|ok=true none=null"),
            (r#"{"level":30,"msg":"a number"}"#, "|a number|level=30"),
            (
                r#"{"level":"ERROR","reason":"two words","at":"","q":"a=b"}"#,
                r#"ERROR||reason="two words" at="" q="a=b""#,
            ),
            (r#"{"message":"m","list":[1,"x"],"map":{"a":1}}"#, r#"|m|list=[1,"x"] map={"a":1}"#),
            ("{\"message\":\"\\u001b[31mred\\ntwo\",\"k\":\"a\\nb\"}", r#"|[31mred two|k="a\nb""#),
            (r#"{"a":1}"#, "as it is"),
            ("[1]", "as it is"),
            ("listening on 8080", "as it is"),
            (r#"{"message":"cut off"#, "as it is"),
            ("", "as it is"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn levels_stand_out_by_their_weight() {
        for (level, expected) in [
            ("error", Weight::Error),
            ("WARN", Weight::Warning),
            ("info", Weight::Normal),
            ("trace", Weight::Detail),
            ("other", Weight::Normal),
        ] {
            let entry = parse(&format!(r#"{{"level":"{level}"}}"#)).unwrap();
            assert_eq!(entry.weight(), expected, "{level}");
        }
    }

    #[test]
    fn a_time_has_milliseconds() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", Some(("2026-01-02", "03:04:05.000"))),
            ("2026-01-02T03:04:05.1Z", Some(("2026-01-02", "03:04:05.100"))),
            ("2026-01-02T03:04:05.123456Z", Some(("2026-01-02", "03:04:05.123"))),
            ("yesterday", None),
        ] {
            let found = date_and_time(text);
            assert_eq!(found.as_ref().map(|(date, time)| (*date, time.as_str())), expected, "{text}");
        }
    }
}
