//! The lock that lets one command at a time change a checkout's containers.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::ui::Ui;
use machine::interrupt::Interrupt;
use model::outcome::{Exit, Failure, FailureKind};

/// The lock file, in cargo's folder, which git ignores.
const FILE: &str = "target/xtask-local.lock";
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Wait after which the user is informed.
const NOTICEABLE: Duration = Duration::from_secs(1);
/// Longest wait; the other command takes a minute at most.
const LIMIT: Duration = Duration::from_secs(300);

/// The right to change the checkout's containers. The system releases it when the process ends.
#[derive(Debug)]
pub struct CheckoutLock {
    /// `None` if the file system has no locks.
    _file: Option<File>,
}

impl CheckoutLock {
    /// Waits for the lock.
    ///
    /// # Errors
    /// The file cannot be written, the other command takes too long, or an interruption.
    pub async fn take(root: &Path, interrupt: &Interrupt, ui: &Ui) -> Result<Self> {
        let path = root.join(FILE);
        let context = || format!("cannot lock {}", path.display());
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).with_context(context)?;
        let file = File::options().create(true).append(true).open(&path).with_context(context)?;
        let started = Instant::now();
        let mut phase = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                // Some network file systems have no locks; the engine still refuses two containers on one port.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                    ui.warn(&format!("{}: {error}; run one command at a time", path.display()));
                    return Ok(Self { _file: None });
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
            if started.elapsed() > LIMIT {
                return Err(Failure::new(
                    Exit::Failed,
                    FailureKind::Locked,
                    "another command is changing this checkout's containers",
                )
                .resource(path.display().to_string())
                .reason(format!("it did not end within {} s", LIMIT.as_secs()))
                .hint("find it with: ps -ef | grep xtask")
                .into());
            }
            if phase.is_none() && started.elapsed() > NOTICEABLE {
                let waiting = ui.phase("lock");
                waiting.line("waiting for another release or destroy of this checkout to end");
                waiting.doing("another release or destroy of this checkout to end");
                phase = Some(waiting);
            }
            interrupt
                .or(async {
                    tokio::time::sleep(PAUSE).await;
                    Ok(())
                })
                .await?;
        }
        if let Some(phase) = phase {
            phase.done("the other command has ended");
        }
        Ok(Self { _file: Some(file) })
    }
}
