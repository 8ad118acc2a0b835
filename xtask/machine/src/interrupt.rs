//! Ctrl-C and SIGTERM, for code that may be left at any point and code that must come to an end first.

use std::future::Future;

use anyhow::Result;
use tokio::sync::watch;

use model::outcome::{Exit, Failure, FailureKind};

/// Tells whether the user wants to stop: how often a signal has come.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Starts to listen; from then on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the system does not let a process listen for signals.
    pub fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(0);
        // Listeners that live as long as the process: a signal between two waits must not be lost.
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

    /// Nobody wants to stop.
    #[cfg(any(test, feature = "test-util"))]
    pub fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Ends when the user insists, by a second signal.
    pub async fn insisted(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|times| *times > 1).await.is_err() {
            // Nobody listens any more, so nobody can insist.
            std::future::pending().await
        }
    }

    /// Runs `future` until it ends or the user wants to stop; then it is dropped where it is.
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

/// What an interruption is to the caller.
fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, FailureKind::Interrupted, "stopped as you asked")
}

/// What a second signal is to the caller: nothing was waited for.
pub fn cut_short() -> Failure {
    Failure::new(Exit::Interrupted, FailureKind::Interrupted, "stopped at once, as you asked twice")
        .reason("a call that was under way may still be carried out")
        .hint("repeat the command: it goes on from what it finds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_left_when_the_user_wants_to_stop() {
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
