//! What Cargo cannot hold of the layers: who prints, exits and reads the environment, and circles of modules.

mod circles;
pub(crate) mod packages;

use crate::sources::{self, Source};

/// Words that must not stand in some files.
struct Rule {
    reason: &'static str,
    applies_to: fn(&str) -> bool,
    /// They begin where a word begins.
    forbidden: &'static [&'static str],
}

const RULES: [Rule; 5] = [
    Rule {
        reason: "only `ui` prints, it alone knows --json and --quiet; a service logs",
        applies_to: |path| !(is_main(path) || is_in(path, "ui") || is_in(path, "output") || is_command_line(path)),
        forbidden: &["print!", "println!", "eprint!", "eprintln!", "io::stdout", "io::stderr", "stdout()", "stderr()"],
    },
    Rule {
        reason: "only a `main` exits: elsewhere it would skip the cleanup of the callers",
        applies_to: |path| !(is_main(path) || is_command_line(path)),
        forbidden: &["ExitCode", "process::exit", "process::abort", "exit("],
    },
    Rule {
        reason: "only a `main` reads the process environment: everything else can be tested with any",
        applies_to: |path| !is_main(path),
        forbidden: &["env::var", "env::args", "env::current_dir", "env::home_dir", "env::temp_dir", "env::{"],
    },
    Rule {
        reason: "only `http` makes HTTP clients: proxies, authorities, limits and retries are the same for all",
        applies_to: |path| path.starts_with("xtask/") && !is_in(path, "http"),
        forbidden: &["reqwest::Client", "reqwest::get", "ClientBuilder", "Client::builder", "Proxy::"],
    },
    Rule {
        reason: "`config` and `model` are tables of input and output: others read files and call",
        applies_to: |path| path.starts_with("crates/config/") || path.starts_with("xtask/model/"),
        forbidden: &[
            "std::fs",
            "std::io",
            "std::process",
            "std::{",
            "tokio::",
            "TcpListener",
            "TcpStream",
            "UdpSocket",
        ],
    },
];

/// Most lines of a file: a longer one has more than one duty.
const LINES: usize = 600;

#[test]
fn every_source_keeps_the_layers() {
    let sources = sources::all();
    let violations: Vec<String> = sources.iter().filter(|source| source.is_production()).flat_map(violations).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_file_has_one_duty() {
    for source in sources::all() {
        let lines = source.text.lines().count();
        assert!(lines <= LINES, "{}: {lines} lines, at most {LINES}", source.path);
    }
}

#[test]
fn a_forbidden_word_is_found_in_code_and_nowhere_else() {
    let found = |path: &str, code: &str| {
        let text = format!("fn f() {{ {code} }} // std::env::vars()\n");
        violations(&Source { path: path.to_owned(), text }).len()
    };
    for (path, bad) in [
        ("xtask/src/new.rs", "println!(\"a\")"),
        ("xtask/src/new.rs", "std::process::exit(1)"),
        ("xtask/src/new.rs", "let path = std::env::vars_os();"),
        ("xtask/src/new.rs", "use std::env::{self, consts};"),
        ("xtask/src/new.rs", "reqwest::Client::new()"),
        ("crates/config/src/new.rs", "std::fs::read(path)"),
    ] {
        assert!(found(path, bad) > 0, "{bad}");
    }
    for fine in ["error.print()", "std::env::consts::ARCH", "env!(\"A\")", "\"std::env::vars()\"", "context.exit(1)"] {
        assert_eq!(found("xtask/src/new.rs", fine), 0, "{fine}");
    }
}

fn violations(source: &Source) -> Vec<String> {
    let code = source.code();
    let of = |rule: &'static Rule| rule.forbidden.iter().map(move |word| (word, rule.reason));
    let all = RULES.iter().filter(|rule| (rule.applies_to)(&source.path)).flat_map(of);
    let found = all.filter(|(word, _)| has_word(&code, word));
    found.map(|(word, reason)| format!("{}: `{word}`: {reason}", source.path)).collect()
}

fn is_main(path: &str) -> bool {
    path.ends_with("/src/main.rs")
}

/// What a service's `main` consists of, for all services.
fn is_command_line(path: &str) -> bool {
    ["crates/chassis/src/program.rs", "crates/database/src/command.rs"].contains(&path)
}

/// Whether the file is the module of this name, or below it.
fn is_in(path: &str, module: &str) -> bool {
    path.ends_with(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"))
}

/// Whether `word` stands in `code` and is neither a part of another word nor a method.
fn has_word(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        // `env::var` is to find `env::vars_os` as well.
        let is_open = !word.ends_with(is_word) || word.contains("::");
        !code[..at].ends_with(|c| is_word(c) || c == '.') && (is_open || !code[at + word.len()..].starts_with(is_word))
    })
}
