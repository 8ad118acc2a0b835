//! 

use anyhow::Result;

use crate::context::Context;
use crate::ui::Ui;

pub(super) fn run(_arguments: &str, _context: &Context, _ui: &Ui) -> Result<()> {
    anyhow::bail!("in the making")
}
