//!

use anyhow::Result;

use crate::cli::Events;
use crate::context::Context;
use crate::ui::Ui;

pub(super) async fn run(_arguments: &Events, _context: &Context, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
