//! Ctrl-C and SIGTERM, for code that may be dropped at any await and code that must finish first.

use std::future::Future;

use anyhow::Result;
use tokio::sync::watch;

use model::outcome::{Exit, Failure, FailureKind};

/// How many signals have arrived.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Starts to listen; from then on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(0);
        // The listeners live as long as the process: no signal between two waits is lost.
        #[cfg(unix)]
        let (mut interrupt, mut terminate) = {
            use tokio::signal::unix::{SignalKind, signal};
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        #[cfg(windows)]
        let (mut interrupt, mut terminate) = (tokio::signal::windows::ctrl_c()?, tokio::signal::windows::ctrl_close()?);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    else => return,
                }
                sender.send_modify(|times| *times += 1);
            }
        });
        Ok(Self(receiver))
    }

    /// Never interrupted.
    #[cfg(any(test, feature = "test-util"))]
    pub fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Resolves at the second signal.
    pub async fn insisted(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|times| *times > 1).await.is_err() {
            // Nothing listens any more, so there will be no second signal.
            std::future::pending().await
        }
    }

    /// Runs `future` until it ends or a signal arrives, which drops it.
    ///
    /// # Errors
    /// The future's own, or the interruption as a failure with exit code 130.
    pub async fn or<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut receiver = self.0.clone();
        tokio::select! {
            biased;
            result = future => result,
            Ok(_) = receiver.wait_for(|times| *times > 0) => Err(interrupted().into()),
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, FailureKind::Interrupted, "stopped as you asked")
}

/// The failure after a second signal, at which nothing more is waited for.
pub fn cut_short() -> Failure {
    Failure::new(Exit::Interrupted, FailureKind::Interrupted, "stopped at once, as you asked twice")
        .reason("a call that was under way may still be carried out")
        .hint("repeat the command: it goes on from what it finds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_drops_the_future() {
        let (sender, receiver) = watch::channel(0);
        let interrupt = Interrupt(receiver);
        assert_eq!(interrupt.or(async { Ok(1) }).await.unwrap(), 1);
        sender.send(1).unwrap();
        let error = interrupt.or(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(Failure::of(&error).exit, Exit::Interrupted);
        sender.send(2).unwrap();
        interrupt.insisted().await;
    }
}
