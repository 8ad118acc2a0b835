//! The text of a template, read as CloudFormation reads it: as JSON, or else as YAML.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expansion::Expansion;
use super::yaml::{self, Content, Node};

/// A template's content, with functions in their long form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    pub root: Value,
    /// Keys that occur more than once in their mapping, of which the last one counts.
    pub repeated: Vec<RepeatedKey>,
    /// What AWS replaces before it deploys the template.
    pub expansion: Expansion,
}

/// A key that its mapping has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedKey {
    /// `Resources.Box.Properties.BucketName`.
    path: String,
    line: usize,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// Why it is neither JSON nor YAML, as the end of a sentence that begins with the text's name and `is`.
    pub fn read(body: &str) -> Result<Self, String> {
        let body = body.strip_prefix('\u{feff}').unwrap_or(body);
        let json = body.trim_start().starts_with('{').then(|| serde_json::from_str(body));
        let node = yaml::read(body);
        let root = match (json, &node) {
            (Some(Ok(root)), _) => root,
            (_, Ok(Some(node))) => node.to_json(),
            (_, Ok(None)) => Value::Null,
            (Some(Err(json)), Err(yaml)) => return Err(format!("neither JSON ({json}) nor YAML ({yaml})")),
            (None, Err(yaml)) => return Err(format!("not YAML: {yaml}")),
        };
        let mut repeated = Vec::new();
        if let Ok(Some(node)) = &node {
            find_repeated("", node, &mut repeated);
        }
        let expansion = Expansion::of(&root);
        Ok(Self { root, repeated, expansion })
    }
}

impl std::fmt::Display for RepeatedKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} is there twice; the one of line {} counts", self.path, self.line)
    }
}

fn find_repeated(path: &str, node: &Node, found: &mut Vec<RepeatedKey>) {
    let at = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    match &node.content {
        Content::Scalar(_) => {}
        Content::Function(_, argument) => find_repeated(path, argument, found),
        Content::List(items) => {
            items.iter().enumerate().for_each(|(number, item)| find_repeated(&at(&number.to_string()), item, found));
        }
        Content::Map(entries) => {
            let mut seen = BTreeSet::new();
            for entry in entries {
                if !seen.insert(entry.key.as_str()) {
                    found.retain(|earlier| earlier.path != at(&entry.key));
                    found.push(RepeatedKey { path: at(&entry.key), line: entry.line });
                }
                find_repeated(&at(&entry.key), &entry.value, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_json() {
        let read = |body: &str| Document::read(body).unwrap().root;
        assert_eq!(read(r#"{"a": "\ud83d\ude80", "b": "Yes", "c": 1.0}"#), json!({"a": "🚀", "b": "Yes", "c": 1.0}));
        assert_eq!(read("\u{feff}{\n\t\"a\":\t1}"), json!({"a": 1}));
        assert_eq!(read("{a: Yes, b: !Ref C}"), json!({"a": true, "b": {"Ref": "C"}}));
        let error = Document::read("{\"a\": 1").unwrap_err();
        assert!(error.starts_with("neither JSON (EOF") && error.contains("nor YAML (line"), "{error}");
        assert!(Document::read("a: [").unwrap_err().starts_with("not YAML: line"));
    }

    #[test]
    fn a_key_that_occurs_twice_is_noted_and_the_last_one_counts() {
        for body in ["A:\n  B: 1\n  C: 2\n  B: 3\n", "{\"A\": {\"B\": 1, \"C\": 2,\n\n\n\"B\": 3}}"] {
            let document = Document::read(body).unwrap();
            assert_eq!(document.root, json!({"A": {"B": 3, "C": 2}}));
            let notes: Vec<String> = document.repeated.iter().map(ToString::to_string).collect();
            assert_eq!(notes, ["A.B is there twice; the one of line 4 counts"]);
        }
        let document = Document::read("A: [{B: 1, 'B': 2,\n B: 3}, !Sub {C: 1,\n C: 2}]").unwrap();
        let paths: Vec<(&str, usize)> = document.repeated.iter().map(|key| (key.path.as_str(), key.line)).collect();
        assert_eq!(paths, [("A.0.B", 2), ("A.1.C", 3)]);
        // In YAML 1.1 these are one key.
        assert_eq!(Document::read("on: 1\ntrue: 2\n").unwrap().repeated.len(), 1);
    }
}
