//! The Rust files of the workspace, and their tokens without comments, literals and tests.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace's packages.
pub(crate) fn all() -> Vec<Source> {
    let mut sources = Vec::new();
    for path in files(&root().join("crates")).into_iter().chain(files(&root().join("xtask"))) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let parts = path.strip_prefix(root()).unwrap().iter().map(|part| part.to_str().unwrap());
            let path_from_root = parts.collect::<Vec<_>>().join("/");
            sources.push(Source { path: path_from_root, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

/// Every file below a folder, without what cargo builds.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().filter(|path| !path.ends_with("target")).flat_map(|path| self::files(path)));
    files.sort();
    files
}

impl Source {
    /// Whether it is compiled into a program or library, as far as its path says.
    pub(crate) fn is_production(&self) -> bool {
        let is_test = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        self.path.contains("/src/") && !is_test && !self.path.starts_with("xtask/requirements/")
    }

    /// The tokens as text, with blanks between words only.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        for token in tokens(&self.text) {
            if code.ends_with(is_word) && token.starts_with(is_word) {
                code.push(' ');
            }
            code.push_str(token);
        }
        code
    }
}

/// Words, `::` and single signs, without comments, literals, and items under `#[cfg(test)]`.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let literal = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            'r' | 'b' | 'c' => raw_string(rest).unwrap_or(0),
            '"' => string(rest),
            '\'' => character(rest),
            blank if blank.is_whitespace() => blank.len_utf8(),
            _ => 0,
        };
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let length = match (literal, word) {
            (0, 0) if rest.starts_with("::") => 2,
            (0, 0) => first.len_utf8(),
            (0, word) => word,
            (literal, _) => literal,
        };
        if literal == 0 {
            tokens.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    without_tests(&tokens)
}

fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut rest) = (Vec::new(), tokens);
    while let [token, after @ ..] = rest {
        if rest.starts_with(&MARK) {
            let mut depth = 0;
            // An item ends with a semicolon or with its body.
            let end = rest.iter().position(|token| {
                depth += match *token {
                    "{" => 1,
                    "}" => -1,
                    _ => 0,
                };
                depth == 0 && [";", "}"].contains(token)
            });
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        } else {
            kept.push(*token);
            rest = after;
        }
    }
    kept
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// `r"…"`, `br#"…"#` and their like; `None` for a word that merely starts so.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let hashes = text[prefix.len()..].chars().take_while(|c| *c == '#').count();
    let start = prefix.len() + hashes;
    text[start..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text[start + 1..].find(&end).map_or(text.len() - start - 1, |at| at + end.len());
    Some(start + 1 + length)
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let after = at + c.len_utf8();
            text[after..].find('\'').map_or(0, |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let text = "/* print /* nested */ print */ fn a<'a>(x: &'a str) -> char { '\"' } // print\n#[cfg(test)]\nfn gone() { if x { print } }\n\
                #[cfg(test)]\nmod tests;\nfn kept() { r#\"print \"print\" print\"#; for_r(b\"\\\"print\") }\n";
    let source = Source { path: String::new(), text: text.to_owned() };
    assert_eq!(source.code(), "fn a<'a>(x:&'a str)->char{}fn kept(){;for_r(b)}");
}
