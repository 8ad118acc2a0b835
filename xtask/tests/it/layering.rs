//! Holds the layers: who may know, print, exit and read what. The rules are data; this file applies them to the sources.

mod manifests;
pub(crate) mod source;

use std::path::{Path, PathBuf};

use source::Source;

/// Something that must not stand in some files.
struct Rule {
    /// Why, as a violation says it.
    reason: &'static str,
    /// Path prefixes of the files that keep the rule.
    within: &'static [&'static str],
    /// Path prefixes of those that need not.
    except: &'static [&'static str],
    /// Words of code; they begin where a word begins.
    forbidden: &'static [&'static str],
}

const MAINS: &[&str] = &["crates/api/src/main.rs", "xtask/src/main.rs"];
const PRODUCTION: &[&str] = &["crates/api/src/", "crates/config/src/", "xtask/src/"];

const RULES: &[Rule] = &[
    Rule {
        reason: "only `ui` prints: it alone knows --json, --quiet and what is on the screen",
        within: &["xtask/src/"],
        except: &["xtask/src/ui.rs", "xtask/src/ui/"],
        forbidden: PRINTING,
    },
    Rule {
        reason: "a service logs; only `main` prints, before there is a log",
        within: &["crates/"],
        except: &[
            "crates/api/src/main.rs",
            "crates/api/src/access_log.rs",
            "crates/api/examples/",
            "crates/api/tests/",
        ],
        forbidden: PRINTING,
    },
    Rule {
        reason: "only `main` exits: whoever else did would skip what the others still have to tidy up",
        within: PRODUCTION,
        except: MAINS,
        forbidden: &["ExitCode", "process::exit", "process::abort", "exit("],
    },
    Rule {
        reason: "only `main` reads the process environment: everything else can then be tested with any",
        within: PRODUCTION,
        except: MAINS,
        forbidden: &["env::var", "env::args", "env::current_dir", "env::home_dir", "env::temp_dir", "env::{"],
    },
    Rule {
        reason: "the pure modules do no I/O and hold no client: they are tables of input and output",
        within: &[
            "xtask/src/cli.rs",
            "xtask/src/cost",
            "xtask/src/diff",
            "xtask/src/drift",
            "xtask/src/eta.rs",
            "xtask/src/plan",
            "xtask/src/status.rs",
            "xtask/src/template/evaluate",
            "xtask/src/trust",
        ],
        except: &[],
        forbidden: &[
            "async",
            "await",
            "aws_config",
            "aws_sdk_cloudformation",
            "aws_sdk_ecr",
            "aws_sdk_sts",
            "bollard",
            "fs",
            "io",
            "net",
            "process",
            "reqwest",
            "tokio",
        ],
    },
    Rule {
        reason: "settings are text in and checked values out: the programs read files and environment",
        within: &["crates/config/src/"],
        except: &[],
        forbidden: &["env::", "fs", "io", "process", "TcpListener", "TcpStream", "UdpSocket"],
    },
    Rule {
        reason: "only `http` makes HTTP clients: proxies, authorities, limits and retries are the same for all",
        within: &["xtask/src/"],
        except: &["xtask/src/http.rs", "xtask/src/http/"],
        forbidden: &["reqwest::Client", "reqwest::get", "ClientBuilder", "Client::builder", "Proxy::"],
    },
    Rule {
        reason: "what speaks to cargo, engine and AWS does not know what a release is",
        within: &[
            "xtask/src/aws",
            "xtask/src/cargo.rs",
            "xtask/src/docker",
            "xtask/src/ecr",
            "xtask/src/git.rs",
            "xtask/src/smoke",
            "xtask/src/stack",
        ],
        except: &[],
        forbidden: &[
            "artifact::",
            "cli::",
            "commands::",
            "diagnose::",
            "local::",
            "preflight::",
            "proof::",
            "publish::",
            "report::",
            "rollout::",
        ],
    },
    Rule {
        reason: "commands stand above everything but `main`: nothing else may call them",
        within: &["xtask/src/"],
        except: &["xtask/src/main.rs", "xtask/src/commands"],
        forbidden: &["commands::", "commands"],
    },
    Rule {
        reason: "api and xtask meet as image, stack outputs and HTTP, never as code",
        within: &["xtask/"],
        except: &[],
        forbidden: &["api::", "extern crate"],
    },
    Rule {
        reason: "api and xtask meet as image, stack outputs and HTTP, never as code",
        within: &["crates/"],
        except: &[],
        forbidden: &["xtask::", "extern crate"],
    },
    Rule {
        reason: "what is not finished is not merged",
        within: &["crates/", "xtask/"],
        except: &[],
        forbidden: &["todo!", "unimplemented!", "dbg!"],
    },
];

const PRINTING: &[&str] =
    &["print!", "println!", "eprint!", "eprintln!", "io::stdout", "io::stderr", "stdout()", "stderr()"];

/// Most lines of a file: a longer one has more than one duty.
const LINES: usize = 600;

#[test]
fn every_source_keeps_the_layers() {
    let sources = source::all();
    assert!(sources.len() > 50, "only {} sources found", sources.len());
    let violations: Vec<String> = sources.iter().flat_map(violations).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_rule_is_about_files_that_exist() {
    let sources = source::all();
    for rule in RULES {
        for prefix in rule.within.iter().chain(rule.except) {
            assert!(sources.iter().any(|source| source.path.starts_with(prefix)), "{prefix}: {}", rule.reason);
        }
    }
}

#[test]
fn every_word_of_every_rule_is_found() {
    for rule in RULES {
        for (folder, word) in
            rule.within.iter().flat_map(|folder| rule.forbidden.iter().map(move |word| (folder, word)))
        {
            let path = if folder.ends_with(".rs") { (*folder).to_owned() } else { format!("{folder}/new.rs") };
            let found = violations(&snippet(&path, &format!("//! A file.\nfn f() {{\n    {word}\n}}\n")));
            let expected = format!("{path}:3: `{word}`: {}", rule.reason);
            assert!(found.contains(&expected), "{expected} is not among {found:?}");
            let word_in_text = format!("// {word}\nconst WORD: &str = \"{word}\";\n");
            assert_eq!(violations(&snippet(&path, &word_in_text)), <[String; 0]>::default());
        }
    }
}

#[test]
fn words_are_whole_and_tests_may_do_more() {
    for fine in [
        "error.print();",
        "use std::env::consts::ARCH;",
        "let name = env!(\"CARGO_PKG_NAME\");",
        "outcome::preflight(&problems);",
        "#[cfg(test)]\nmod tests {\n    fn f() { println!(\"{:?}\", std::env::vars()); }\n}",
    ] {
        assert_eq!(violations(&snippet("xtask/src/stack/new.rs", fine)), <[String; 0]>::default(), "{fine}");
    }
}

#[test]
fn long_files_and_notes_to_oneself_are_found() {
    let long = "\n".repeat(LINES + 1);
    assert_eq!(violations(&snippet("xtask/src/new.rs", &long)).len(), 1);
    assert_eq!(violations(&snippet("xtask/src/new.rs", &long[1..])).len(), 0);
    for note in NOTES {
        let found = violations(&snippet("crates/api/src/new.rs", &format!("\n// {note}: later\n")));
        assert!(found.len() == 1 && found[0].starts_with("crates/api/src/new.rs:2: "), "{found:?}");
    }
}

const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// What a file does against the rules, each as `path:line: what: why`.
fn violations(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut found = Vec::new();
    let code = source.code();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    for rule in RULES.iter().filter(|rule| starts(rule.within) && !starts(rule.except)) {
        // Tests of a module may do what the module may not, but neither know the other program nor be unfinished.
        if is_test && rule.within.iter().any(|prefix| prefix.contains("/src")) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            let words = rule.forbidden.iter().filter(|word| has_word(line, word));
            found.extend(words.map(|word| format!("{path}:{}: `{word}`: {}", number + 1, rule.reason)));
        }
    }
    for (number, line) in text.lines().enumerate() {
        for note in NOTES.iter().filter(|note| has_word(line, note)) {
            found.push(format!("{path}:{}: `{note}`: what remains to be done is an issue, not a comment", number + 1));
        }
    }
    let lines = text.lines().count();
    if lines > LINES {
        found.push(format!("{path}:{lines}: {lines} lines: a file of more than {LINES} has more than one duty"));
    }
    found
}

/// Whether `word` stands in `line` and is not merely a part of another word.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        // `env::var` is to find `env::vars_os` as well.
        let open_ended = !word.ends_with(is_word) || word.contains("::");
        // A method of that name belongs to someone else.
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| is_word(c) || c == '.') && (open_ended || !after.starts_with(is_word))
    })
}

fn snippet(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
