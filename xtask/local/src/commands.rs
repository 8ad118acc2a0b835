//! The commands that need neither AWS nor TLS.

mod build;
mod completions;
mod destroy;
mod release;

use anyhow::Result;

use crate::cli::{Build, Command, Destroy, Release};
use crate::context::Context;
use crate::ui::Ui;

/// A command that is done on this machine alone.
#[derive(Debug)]
pub enum Here {
    Build(Build),
    Completions(clap_complete::Shell),
    Destroy(Destroy),
    Release(Release),
}

impl Here {
    /// `None` if the command needs AWS.
    pub fn of(command: Command) -> Option<Self> {
        match command {
            Command::Build(arguments) => Some(Self::Build(arguments)),
            Command::Completions { shell } => Some(Self::Completions(shell)),
            Command::Destroy(arguments) if arguments.local => Some(Self::Destroy(arguments)),
            Command::Release(arguments) if arguments.local => Some(Self::Release(arguments)),
            _ => None,
        }
    }

    pub fn uses_engine(&self) -> bool {
        !matches!(self, Self::Completions(_))
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The command's failure, or its interruption.
    pub async fn run(self, context: &Context, ui: &Ui) -> Result<()> {
        let interrupt = &context.interrupt;
        match self {
            Self::Build(arguments) => interrupt.or(build::run(&arguments, context, ui)).await,
            Self::Completions(shell) => completions::run(shell, ui),
            Self::Destroy(arguments) => interrupt.or(destroy::run(&arguments, context, ui)).await,
            // It must not stop between two containers.
            Self::Release(arguments) => release::run(&arguments, context, ui).await,
        }
    }
}
