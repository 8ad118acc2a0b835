//! Examples of every command, at the end of its `--help`.

use clap::Command;

/// A command, and command lines with what each is for.
type Examples = (&'static str, &'static [(&'static str, &'static str)]);

const EXAMPLES: [Examples; 33] = [
    (
        "release",
        &[
            ("cargo xtask release --local", "on this machine, without an account"),
            ("cargo xtask release dev --dry-run", "what would be done"),
            ("cargo xtask release dev", "to AWS"),
            ("cargo xtask release production --yes", "without a question"),
        ],
    ),
    (
        "plan",
        &[
            ("cargo xtask plan production --out plan.json", "for a review"),
            ("cargo xtask apply plan.json", "deploys what was planned"),
        ],
    ),
    (
        "apply",
        &[
            ("cargo xtask apply plan.json", "asks where that is protected"),
            ("cargo xtask apply plan.json --yes --wait", "in a pipeline"),
        ],
    ),
    (
        "deploy",
        &[
            ("cargo xtask deploy dev --image HOST/NAME:TAG", "an image that is there"),
            ("cargo xtask deploy network", "a stack without an image"),
        ],
    ),
    (
        "rollback",
        &[
            ("cargo xtask rollback production", "to the release before"),
            ("cargo xtask rollback production 7", "to release 7 of `status`"),
            ("cargo xtask rollback production 7 --dry-run", "what would change"),
        ],
    ),
    (
        "diff",
        &[
            ("cargo xtask diff production", "reads only"),
            ("cargo xtask diff production --out diff.md", "for a pull request"),
        ],
    ),
    (
        "template",
        &[
            ("cargo xtask template dev", "on the screen"),
            ("cargo xtask template production --quiet > template.yaml", "into a file"),
        ],
    ),
    ("status", &[("cargo xtask status", "of dev"), ("cargo xtask status production --json", "for a program")]),
    (
        "logs",
        &[
            ("cargo xtask logs dev --follow", "new lines as they come"),
            ("cargo xtask logs production --since 15m --limit 1000", "the last 15 minutes"),
        ],
    ),
    (
        "events",
        &[("cargo xtask events dev", "the newest 50"), ("cargo xtask events dev --follow", "until the operation ends")],
    ),
    (
        "smoke",
        &[
            ("cargo xtask smoke production", "the environment's endpoint"),
            ("cargo xtask smoke http://127.0.0.1:8080", "any endpoint"),
        ],
    ),
    (
        "secret",
        &[
            ("cargo xtask secret set dev PGPASSWORD", "asks for the value"),
            ("cargo xtask secret list dev", "what is stored, without values"),
        ],
    ),
    (
        "secret set",
        &[
            ("cargo xtask secret set dev PGPASSWORD", "asks for the value"),
            ("cargo xtask secret set dev PGPASSWORD < FILE", "takes it from a file"),
        ],
    ),
    (
        "secret list",
        &[("cargo xtask secret list", "of dev"), ("cargo xtask secret list production --json", "for a program")],
    ),
    (
        "secret remove",
        &[
            ("cargo xtask secret remove dev PGPASSWORD", "asks before it deletes"),
            ("cargo xtask secret remove dev PGPASSWORD --yes", "without a question"),
        ],
    ),
    (
        "run",
        &[
            ("cargo xtask run dev -- /api migrate", "with the released image"),
            ("cargo xtask run dev --timeout 4h -- /api import", "for longer than an hour"),
            ("cargo xtask run dev --detach -- /api import", "without waiting for it"),
        ],
    ),
    (
        "cancel",
        &[
            ("cargo xtask cancel dev", "asks before it cancels"),
            ("cargo xtask events dev --follow", "follows the way back"),
        ],
    ),
    (
        "recover",
        &[
            ("cargo xtask recover dev", "continues the rollback"),
            ("cargo xtask recover dev --skip Service", "leaves a resource as it is"),
        ],
    ),
    ("unlock", &[("cargo xtask status dev", "who has the lock"), ("cargo xtask unlock dev", "removes it")]),
    (
        "drift",
        &[
            ("cargo xtask drift production", "exit code 1 if there is any"),
            ("cargo xtask drift production --json", "for a program"),
        ],
    ),
    (
        "prune",
        &[
            ("cargo xtask prune dev --dry-run", "what would be removed"),
            ("cargo xtask prune dev --keep 5", "fewer releases than ten"),
        ],
    ),
    (
        "destroy",
        &[
            ("cargo xtask destroy dev --dry-run", "what would be deleted"),
            ("cargo xtask destroy dev --images", "with the repository"),
            ("cargo xtask destroy --local --yes", "what `release --local` started"),
        ],
    ),
    (
        "verify",
        &[
            ("cargo xtask verify production", "the image that it runs"),
            ("cargo xtask verify HOST/REPOSITORY:TAG", "any image"),
        ],
    ),
    (
        "doctor",
        &[
            ("cargo xtask doctor dev", "before a first release"),
            ("cargo xtask doctor production --token token.txt", "and if GitHub may release"),
        ],
    ),
    (
        "bootstrap",
        &[
            ("cargo xtask bootstrap dev --dry-run", "what would be created"),
            ("cargo xtask bootstrap production", "once, as an administrator"),
            ("cargo xtask bootstrap dev --github OWNER/REPO", "for GitHub Actions"),
        ],
    ),
    (
        "iam-policy",
        &[
            ("cargo xtask iam-policy dev", "for releases"),
            ("cargo xtask iam-policy dev --for read", "for those who only watch"),
        ],
    ),
    (
        "completions",
        &[
            ("source <(cargo xtask completions bash)", "in ~/.bashrc, after cargo's own"),
            ("source <(cargo xtask completions zsh)", "in ~/.zshrc"),
            ("cargo xtask completions fish | source", "in config.fish"),
        ],
    ),
    (
        "build",
        &[
            ("cargo xtask build", "for this machine"),
            ("cargo xtask build --platform linux/arm64 --from-source", "for another one"),
        ],
    ),
    (
        "sweep",
        &[
            ("cargo xtask sweep preview --dry-run", "what would be deleted"),
            ("cargo xtask sweep preview --yes", "every night, in a job on GitHub"),
        ],
    ),
    (
        "compile",
        &[
            ("cargo xtask compile --out target/tool", "for .ci/tool DIGEST"),
            ("cargo xtask compile --out target/tool --service", "for a release as well"),
        ],
    ),
    (
        "comment",
        &[
            ("cargo xtask comment diff.md", "on the job's pull request"),
            ("cargo xtask comment diff.md --pull-request 12", "on another one"),
        ],
    ),
    (
        "version",
        &[
            ("cargo xtask version", "prints it"),
            ("cargo xtask version --write", "writes it to changelog and manifest"),
            ("cargo xtask version --write --set 2.0.0", "another one than by the changelog"),
        ],
    ),
    (
        "announce",
        &[
            ("cargo xtask announce v1.2.0 --dry-run", "prints the notes"),
            ("cargo xtask announce v1.2.0", "publishes them"),
        ],
    ),
];

/// What `-h` says instead.
const SHORT: &str = "Also --json, -q, -y, -v and --color WHEN: --help describes all, with examples.";

/// Adds the examples to the long help of each command.
pub(super) fn added(command: Command) -> Command {
    command.mut_subcommands(|command| {
        let of = command.get_name().to_owned();
        added_to(command, &of)
    })
}

fn added_to(command: Command, path: &str) -> Command {
    let inner = |command: Command| {
        let path = format!("{path} {}", command.get_name());
        added_to(command, &path)
    };
    let command = command.mut_subcommands(inner).after_help(SHORT);
    match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, examples)) => {
            command.after_long_help(format!("{}\n\nExamples:\n{}", model::outcome::EXIT_CODES, lines(examples)))
        }
        None => command,
    }
}

/// One line for each, with what it is for in a column of its own.
fn lines(examples: &[(&str, &str)]) -> String {
    let width = examples.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = examples.iter().map(|(line, purpose)| format!("  {line:<width$}  # {purpose}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    /// Every command and every command of one, by its path.
    fn paths(command: &Command, of: &str) -> Vec<String> {
        let inner = command.get_subcommands().flat_map(|inner| {
            let path = format!("{of} {}", inner.get_name());
            let path = path.trim_start();
            let own = [path.to_owned()];
            own.into_iter().chain(paths(inner, path)).collect::<Vec<String>>()
        });
        inner.collect()
    }

    #[test]
    fn every_command_has_examples_once() {
        let mut known = paths(&Cli::command(), "");
        let mut named = EXAMPLES.map(|(path, _)| path.to_owned());
        known.sort_unstable();
        named.sort_unstable();
        assert_eq!(named.as_slice(), known);
    }

    #[test]
    fn every_example_is_a_command_line_of_the_tool() {
        for (path, examples) in EXAMPLES {
            assert!((2..=4).contains(&examples.len()), "{path}");
            assert!(examples[0].0.contains(&format!("cargo xtask {path}")) || path == "unlock", "{path}");
            for (line, _) in examples {
                let (_, words) = line.split_once("cargo xtask ").unwrap_or_else(|| panic!("{line}"));
                // What the shell takes of it.
                let own = words.split([')', '|', '<', '>']).next().unwrap();
                let words = ["cargo xtask"].into_iter().chain(own.split_whitespace());
                assert!(Cli::try_parse_from(words).is_ok(), "{line}");
            }
            let wide = lines(examples).lines().find(|line| line.chars().count() > 80).map(str::to_owned);
            assert_eq!(wide, None);
        }
    }
}
