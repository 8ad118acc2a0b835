//! `[local]`: what the container of `release --local` gets besides what the tool sets.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::rules::{self, Rule};
use crate::{Given, Invalid, Problem};

/// The variables that the tool sets itself: who answers, where, and with which secrets.
pub const RESERVED: [&str; 3] = ["API_PORT", "IMAGE_DIGEST", SECRET_VERSIONS];
/// Names the version of each secret, so that a new one is a change.
pub const SECRET_VERSIONS: &str = "SECRET_VERSIONS";

/// Longest value in bytes: the kernel takes no longer string into a program's environment (execve(2)).
const LONGEST: usize = 128 * 1024 - 1;

/// What the container of `release --local` gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// Variables, by name.
    pub env: BTreeMap<String, String>,
    /// A file with variables that are not for everybody's eyes, relative to `deploy.toml`: see [`parse_env_file`].
    pub env_file: Option<String>,
}

impl Local {
    pub(super) fn read(mut reader: Reader) -> Self {
        let local = Self {
            env: reader.map("env", rules::VARIABLE, "text, a number, true or false, below 128 KiB", is_value),
            env_file: reader.optional("env_file", rules::ENV_FILE),
        };
        reader.finish();
        local
    }
}

/// Reads a file of variables: a line `NAME=VALUE` for each; empty lines and those that begin with `#` are passed over.
///
/// A value is taken as it stands, but for quotes around all of it, which are removed; nothing is replaced in it. `source`
/// is the path that problems name.
///
/// # Errors
/// Every line that is none of these, without its text: it may be a secret.
pub fn parse_env_file(source: &str, text: &str) -> Result<BTreeMap<String, String>, Invalid> {
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let Rule { holds, allowed } = rules::VARIABLE;
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), unquoted(value.trim())));
        match pair {
            Some((name, value)) if holds(name) && is_value(value) && !variables.contains_key(name) => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            _ => problems.push(Problem {
                source: source.to_owned(),
                key: format!("line {number}"),
                given: Given::Secret,
                allowed: format!("NAME=VALUE, each name once; a name is {allowed}"),
            }),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(Invalid(problems)) }
}

fn is_value(value: &str) -> bool {
    value.len() <= LONGEST && !value.contains('\0')
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "# for me\n\nPGHOST=db.example\n PGPASSWORD = \"a b#c\" \nEMPTY=\nQUOTE='\nURL='a=b'\r\n";
        let expected =
            [("EMPTY", ""), ("PGHOST", "db.example"), ("PGPASSWORD", "a b#c"), ("QUOTE", "'"), ("URL", "a=b")];
        let read: Vec<(String, String)> = parse_env_file(".env", text).unwrap().into_iter().collect();
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named_and_not_shown() {
        let text = "GOOD=1\nhunter2\nexport A=hunter2\nGOOD=hunter2\nAPI_PORT=1\n1A=hunter2\n";
        let invalid = parse_env_file(".env", text).unwrap_err();
        let lines: Vec<&str> = invalid.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5", "line 6"]);
        assert!(!invalid.to_string().contains("hunter2"), "{invalid}");
    }
}
