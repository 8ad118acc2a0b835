//! `completions`: prints a shell completion script.

use anyhow::{Context as _, Result};
use clap::CommandFactory;

use crate::cli::Cli;
use crate::ui::Ui;

/// The completed command. Shells complete by the first word, which in `cargo xtask` is cargo.
const WORD: &str = "xtask";

pub(super) fn run(shell: clap_complete::Shell, ui: &Ui) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command().name(WORD), WORD, &mut script);
    let script = String::from_utf8(script).context("the script is not text")?;
    ui.result(script.trim_end());
    ui.note(|report| report.completions = Some(script));
    Ok(())
}
