//! `completions`: prints a shell completion script, for `cargo xtask` itself and for an alias `xtask`.
//!
//! A shell completes by the first word. So for bash, zsh and fish a part is added that takes cargo's place, and passes on
//! what is not for `xtask`. Nothing of it starts a program of this tool: the names of the environments are read from
//! `deploy.toml` by the shell.

use anyhow::{Context as _, Result};
use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{Cli, names_environment};
use crate::ui::Ui;

/// The word of the alias, for which clap writes its script.
const WORD: &str = "xtask";
/// Stands in clap's script for the names of the environments.
const ENVIRONMENTS: &str = "XTASK_ENVIRONMENTS";

pub(super) fn run(shell: Shell, ui: &Ui) -> Result<()> {
    let script = script(shell)?;
    ui.result(script.trim_end());
    ui.note(|report| report.completions = Some(script));
    Ok(())
}

fn script(shell: Shell) -> Result<String> {
    let of_clap = |mut command: Command| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, WORD, &mut script);
        String::from_utf8(script).context("the script is not text")
    };
    let command = Cli::command().name(WORD);
    Ok(match shell {
        Shell::Bash => {
            let script = of_clap(with_environments(command))?.replace(ENVIRONMENTS, "$(_xtask_environments)");
            script + include_str!("completions/cargo.bash")
        }
        Shell::Zsh => {
            let script = of_clap(with_environments(command))?;
            let script = script.replace(&format!("({ENVIRONMENTS})"), "_xtask_environments");
            let load = "\n\n(( $+functions[compdef] )) || { autoload -U compinit && compinit; }\n";
            script.replacen('\n', load, 1) + include_str!("completions/cargo.zsh")
        }
        Shell::Fish => {
            let arguments = arguments_of_fish(&command, "__fish_xtask_using_subcommand ");
            of_clap(command)? + include_str!("completions/cargo.fish") + &arguments
        }
        _ => of_clap(command)?,
    })
}

/// The command with one possible value for each environment that is an argument, in whose place the names are put.
fn with_environments(command: Command) -> Command {
    let names = |argument: clap::Arg| match names_environment(&argument) {
        true => argument.default_value(Resettable::Reset).value_parser([ENVIRONMENTS]),
        false => argument,
    };
    command.mut_args(names).mut_subcommands(with_environments)
}

/// clap writes no arguments for fish, only options.
fn arguments_of_fish(command: &Command, condition: &str) -> String {
    let of = |command: &Command| {
        let condition = format!("{condition}{}", command.get_name());
        let inner = arguments_of_fish(command, &format!("{condition}; and __fish_seen_subcommand_from "));
        let argument = |argument: &clap::Arg| {
            let values = argument.get_possible_values();
            let values = match names_environment(argument) {
                true => "(__xtask_environments)".to_owned(),
                false if values.is_empty() => return String::new(),
                false => values.iter().map(|value| value.get_name()).collect::<Vec<_>>().join(" "),
            };
            format!("complete -c {WORD} -n \"{condition}\" -f -a \"{values}\"\n")
        };
        command.get_positionals().map(argument).chain([inner]).collect::<String>()
    };
    command.get_subcommands().map(of).collect()
}
