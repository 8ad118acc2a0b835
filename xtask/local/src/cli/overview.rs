//! The tool's own help: every command in its group, on one screen.

use std::fmt::Write as _;

use clap::builder::styling::Style;

/// What the commands are for, with what each does in a few words. Each command's own help says the rest.
const GROUPS: [(&str, &[(&str, &str)]); 6] = [
    (
        "daily",
        &[
            ("release", "Build, deploy, verify"),
            ("plan", "Write a plan to review"),
            ("apply", "Deploy as planned"),
            ("deploy", "Deploy an image again"),
            ("rollback", "Return to a release"),
            ("diff", "Show what would change"),
            ("template", "Print the template"),
            ("status", "Show state and releases"),
            ("logs", "Show the service's log"),
            ("events", "Show the stack's events"),
            ("smoke", "Verify the endpoint"),
        ],
    ),
    ("backend", &[("secret", "Store and list secrets"), ("run", "Run a command once")]),
    (
        "trouble",
        &[
            ("cancel", "Cancel an update"),
            ("recover", "Roll back a stuck stack"),
            ("unlock", "Remove the lock"),
            ("drift", "Show drift and findings"),
        ],
    ),
    (
        "upkeep",
        &[
            ("prune", "Remove old images"),
            ("destroy", "Delete the stack"),
            ("sweep", "Delete old previews"),
            ("verify", "Check SBOM, provenance"),
        ],
    ),
    (
        "set-up",
        &[
            ("doctor", "Check what is missing"),
            ("bootstrap", "Create roles, registry"),
            ("iam-policy", "Print the permissions"),
            ("completions", "Print a shell script"),
            ("build", "Build the image only"),
        ],
    ),
    (
        "pipeline",
        &[
            ("compile", "Hand the tool over"),
            ("comment", "Comment a pull request"),
            ("version", "Print the next version"),
            ("announce", "Publish on GitHub"),
        ],
    ),
];

/// The text of `cargo xtask --help`, `-h` and `help`.
pub(super) fn text() -> String {
    let heading = Style::new().bold();
    let mut text = format!("{}\n\n{heading}Usage:{heading:#} cargo xtask <COMMAND> [ENV] [OPTIONS]\n\n", super::ABOUT);
    for (group, commands) in GROUPS {
        for (row, pair) in commands.chunks(2).enumerate() {
            let group = if row == 0 { group } else { "" };
            let mut line = format!("{heading}{group:<10}{heading:#}");
            for ((name, summary), (name_width, width)) in pair.iter().zip([(11, 24), (12, 0)]) {
                // Writing to a string does not fail.
                write!(line, "{name:<name_width$}{summary:<width$}").ok();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text + "\nEvery command takes --json, -q (quiet), -y (yes), -v (verbose), --color WHEN.\n\
            Options, exit codes and examples of a command: cargo xtask help COMMAND"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let mut known: Vec<String> = Cli::command().get_subcommands().map(|of| of.get_name().to_owned()).collect();
        let mut listed: Vec<&str> =
            GROUPS.iter().flat_map(|(_, commands)| commands.iter().map(|(name, _)| *name)).collect();
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, known);
    }

    #[test]
    fn it_leaves_room_for_the_prompt_on_a_small_terminal() {
        let text = Cli::command().render_help().to_string();
        assert!(text.lines().count() <= 23, "{text}");
        assert_eq!(text.lines().find(|line| line.chars().count() > 80), None);
    }
}
