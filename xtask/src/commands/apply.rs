//!

use anyhow::Result;

use crate::cli::Apply;
use crate::context::Context;
use crate::ui::Ui;

pub(super) async fn run(_arguments: &Apply, _context: &Context, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
