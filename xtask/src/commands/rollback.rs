//!

use anyhow::Result;

use crate::cli::Rollback;
use crate::context::Context;
use crate::ui::Ui;

pub(super) async fn run(_arguments: &Rollback, _context: &Context, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
