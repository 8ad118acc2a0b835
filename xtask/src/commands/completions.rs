//! `completions`: a script that lets a shell complete this tool's words.

use anyhow::Result;

use crate::ui::Ui;

pub(super) fn run(_shell: clap_complete::Shell, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
