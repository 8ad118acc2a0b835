//! YAML as CloudFormation reads it: version 1.1, as PyYAML and SnakeYAML do.
//!
//! Indentation inside brackets and quotes does not count, `Yes` is true and `010` is 8. A key that occurs twice is no error
//! (the last one counts), so a loader for YAML 1.2 cannot be used; the events come from a parser that accepts what PyYAML
//! accepts.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::value::text;

/// How deep collections may be nested, aliases written out.
const DEEPEST: usize = 100;
/// How many nodes a text may have, aliases written out.
const MOST_NODES: usize = 1_000_000;
const CORE: &str = "tag:yaml.org,2002:";

/// A node, and the line where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A function's short form: its name as in JSON, and its argument.
    Function(String, Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

/// Reads the first document of a text; `None` if there is none.
///
/// # Errors
/// Where and why the text is not YAML.
pub(super) fn read(body: &str) -> Result<Option<Node>, String> {
    let options = granit_parser::options! {
        block_nesting_limit: DEEPEST,
        block_scalar_eof_without_line_feed: true,
        bom_inside_document_as_content: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
    };
    let events = Parser::new_from_str_with_options(body, options);
    let mut composer = Composer { events, anchors: BTreeMap::new(), nodes: 0 };
    loop {
        match composer.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
            (event, span) => return composer.node(event, span, 0).map(Some),
        }
    }
}

impl Node {
    /// As JSON, with functions in their long form. Of a key that occurs twice the last value counts.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>().into()
            }
            Content::Function(name, argument) => Map::from_iter([(name.clone(), argument.to_json())]).into(),
        }
    }

    /// How many nodes it has, and how deep it is.
    fn extent(&self) -> (usize, usize) {
        let inner: Vec<(usize, usize)> = match &self.content {
            Content::Scalar(_) => Vec::new(),
            Content::List(items) => items.iter().map(Self::extent).collect(),
            Content::Map(entries) => entries.iter().map(|entry| entry.value.extent()).collect(),
            Content::Function(_, argument) => vec![argument.extent()],
        };
        let nodes = inner.iter().map(|(nodes, _)| nodes).sum::<usize>() + 1;
        (nodes, inner.iter().map(|(_, depth)| depth + 1).max().unwrap_or_default())
    }
}

/// Builds nodes from a parser's events.
struct Composer<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// By the parser's number.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        let next = self.events.next().ok_or("it ends too early")?;
        next.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            format!("line {line}, column {column}: {}", error.info())
        })
    }

    /// The node that begins with an event.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, String> {
        let line = span.start.line();
        let (content, anchor, tag) = match event {
            Event::Alias(anchor) => {
                let node =
                    self.anchors.get(&anchor).ok_or_else(|| format!("line {line}: an alias of its own parent"))?;
                let ((nodes, deep), node) = (node.extent(), node.clone());
                self.count(nodes, depth + deep, line)?;
                return Ok(Node { line, content: node.content });
            }
            Event::Scalar(value, style, anchor, tag) => {
                (Content::Scalar(scalar(&value, style, tag.as_deref())), anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (Content::List(self.items(depth)?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Content::Map(self.entries(depth)?), anchor, tag),
            other => return Err(format!("line {line}: {other:?} where a value is expected")),
        };
        self.count(1, depth, line)?;
        let content = match tag.as_deref().and_then(function_name) {
            Some(name) => Content::Function(name, Box::new(Node { line, content })),
            None => content,
        };
        let node = Node { line, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let Node { line, content } = self.node(event, span, depth + 1)?;
            let key = match content {
                Content::Scalar(value) => text(&value).unwrap_or_default(),
                _ => return Err(format!("line {line}: a key is a list or a mapping")),
            };
            let (event, span) = self.next()?;
            entries.push(Entry { key, line, value: self.node(event, span, depth + 1)? });
        }
    }

    fn count(&mut self, nodes: usize, depth: usize, line: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(format!("line {line}: aliases make it too large or too deep"));
        }
        Ok(())
    }
}

/// The name in JSON of a short form such as `!Sub`.
fn function_name(tag: &Tag) -> Option<String> {
    match tag.parts() {
        ("!", "") => None,
        ("!", name @ ("Ref" | "Condition")) => Some(name.to_owned()),
        ("!", name) => Some(if name.starts_with("Fn::") { name.to_owned() } else { format!("Fn::{name}") }),
        _ => None,
    }
}

fn scalar(value: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let kind = tag.map(|tag| tag.parts());
    let is_text = matches!(kind, Some(("!", "") | (CORE, "str"))) || style != ScalarStyle::Plain;
    let has_kind = matches!(kind, Some((CORE, "bool" | "float" | "int" | "null")));
    if is_text && !has_kind { value.into() } else { plain(value) }
}

/// A plain scalar, as the types of YAML 1.1 (<https://yaml.org/type/>) have it. Dates stay text.
fn plain(value: &str) -> Value {
    match value {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return false.into(),
        _ => {}
    }
    let negative = value.starts_with('-');
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    // An underscore separates digits, and is no first one.
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return value.into();
    }
    let digits = digits.replace('_', "");
    integer(&digits, negative).or_else(|| float(&digits, negative)).unwrap_or_else(|| value.into())
}

/// Binary, octal, decimal, hexadecimal, or base 60 (`22:30` is 1350).
fn integer(digits: &str, negative: bool) -> Option<Value> {
    // Rust's own parsers take a sign after the prefix.
    if digits.contains('+') {
        return None;
    }
    let number = if let Some(binary) = digits.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        u64::from_str_radix(hexadecimal, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(&digits[1..], 8)
    } else if let Some(number) = base_60(digits) {
        Ok(number)
    } else {
        digits.parse()
    };
    let number = number.ok()?;
    if negative { Some((-i64::try_from(number).ok()?).into()) } else { Some(number.into()) }
}

fn base_60(digits: &str) -> Option<u64> {
    let (first, rest) = digits.split_once(':')?;
    rest.split(':').try_fold(first.parse::<u64>().ok()?, |sum, part| {
        let part = part.parse::<u64>().ok().filter(|part| *part < 60)?;
        sum.checked_mul(60)?.checked_add(part)
    })
}

fn float(digits: &str, negative: bool) -> Option<Value> {
    let has_shape = digits.contains(['.', 'e', 'E']) && digits.contains(|digit: char| digit.is_ascii_digit());
    let number = digits.parse::<f64>().ok().filter(|number| has_shape && number.is_finite())?;
    Some(Value::from(if negative { -number } else { number }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What YAML is made of.
    const PARTS: &[&str] = &[
        "\n",
        "  ",
        "\t",
        "- ",
        ": ",
        "? ",
        "a",
        "'",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        "!Ref",
        "! ",
        "!!int ",
        "&a ",
        "*a",
        "|",
        ">",
        "#",
        "---\n",
        "...\n",
        "%TAG ! b\n",
        "\\u",
        "\u{feff}",
        "010",
        "1:",
        "0x",
    ];

    fn json(body: &str) -> Value {
        read(body).unwrap().map(|node| node.to_json()).unwrap_or_default()
    }

    #[test]
    fn plain_scalars_are_those_of_version_1_1() {
        let cases = [
            ("Yes", json!(true)),
            ("off", json!(false)),
            ("y", json!("y")),
            ("~", Value::Null),
            ("010", json!(8)),
            ("0644", json!(420)),
            ("089", json!("089")),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("22:30", json!(1350)),
            ("22:90", json!("22:90")),
            ("-7", json!(-7)),
            ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            (".", json!(".")),
            ("1e999", json!("1e999")),
            ("111122223333", json!(111_122_223_333_u64)),
            ("99999999999999999999999", json!("99999999999999999999999")),
            ("2012-10-17", json!("2012-10-17")),
            ("10.0.0.0/16", json!("10.0.0.0/16")),
            ("arn:aws:s3:::b", json!("arn:aws:s3:::b")),
            ("!!str 010", json!("010")),
            ("!!int '7'", json!(7)),
            ("'Yes'", json!("Yes")),
        ];
        for (body, expected) in cases {
            assert_eq!(json(body), expected, "{body}");
        }
    }

    #[test]
    fn indentation_inside_brackets_and_quotes_does_not_count() {
        assert_eq!(json("a:\n  b: [\n  x,\n y\n]\n  c: 1\n"), json!({"a": {"b": ["x", "y"], "c": 1}}));
        assert_eq!(json("a:\n  b: 'x\ny'\n  c: \"x\n  \\\n z\"\n"), json!({"a": {"b": "x y", "c": "x z"}}));
        assert_eq!(json("a:\n    b: {\n\"c\":1,\n\"d\": [\n]}\n"), json!({"a": {"b": {"c": 1, "d": []}}}));
    }

    #[test]
    fn short_forms_are_functions() {
        assert_eq!(json("[!Ref A, !If [B, !GetAtt C.D, !Sub e]]")[0], json!({"Ref": "A"}));
        assert_eq!(
            json("!If [B, !GetAtt C.D, !Sub e]"),
            json!({"Fn::If": ["B", {"Fn::GetAtt": "C.D"}, {"Fn::Sub": "e"}]})
        );
        assert_eq!(json("!Condition C"), json!({"Condition": "C"}));
    }

    #[test]
    fn aliases_are_written_out_up_to_a_limit() {
        assert_eq!(json("a: &x [1, 2]\nb: *x\n"), json!({"a": [1, 2], "b": [1, 2]}));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let inside = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inside}]\n"));
        }
        assert!(read(&bomb).unwrap_err().contains("too large"));
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&"- ".repeat(50_000)).is_err());
    }

    proptest! {
        /// Whatever a text is made of, it is read or refused.
        #[test]
        fn no_text_makes_it_panic(parts in prop::collection::vec(prop::sample::select(PARTS), 0..30), other in ".{0,20}") {
            let text = parts.concat() + &other;
            if let Ok(Some(node)) = read(&text) {
                node.to_json();
            }
        }
    }

    #[test]
    fn errors_name_the_line() {
        assert!(read("a:\n  - b\n c: [").unwrap_err().starts_with("line "));
        assert!(read("a: {{resolve}}").unwrap_err().contains("line 1: a key is"));
        assert!(read("a: *nothing").is_err());
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("# only a comment\n"), Ok(None));
    }
}
