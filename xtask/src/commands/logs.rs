//!

use anyhow::Result;

use crate::cli::Logs;
use crate::context::Context;
use crate::ui::Ui;

pub(super) async fn run(_arguments: &Logs, _context: &Context, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
