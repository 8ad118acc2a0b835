//! Ctrl-C and SIGTERM, for code that may be left at any point and code that must come to an end first.

use std::future::Future;

use anyhow::Result;
use tokio::sync::watch;

use crate::outcome::{Exit, Failure};

/// Tells whether the user wants to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Starts to listen; from then on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the system does not let a process listen for signals.
    pub(crate) fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(false);
        #[cfg(unix)]
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::spawn(async move {
            #[cfg(unix)]
            let terminated = terminate.recv();
            #[cfg(not(unix))]
            let terminated = std::future::pending::<Option<()>>();
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => drop(pressed),
                _ = terminated => {}
            }
            sender.send_replace(true);
        });
        Ok(Self(receiver))
    }

    /// Nobody wants to stop.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// Runs `future` until it ends or the user wants to stop; then it is dropped where it is.
    ///
    /// # Errors
    /// The future's own, or the interruption as a failure with exit code 130.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut receiver = self.0.clone();
        tokio::select! {
            biased;
            result = future => result,
            Ok(_) = receiver.wait_for(|stop| *stop) => Err(interrupted().into()),
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted", "stopped as you asked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_left_when_the_user_wants_to_stop() {
        let (sender, receiver) = watch::channel(false);
        let interrupt = Interrupt(receiver);
        assert_eq!(interrupt.or(async { Ok(1) }).await.unwrap(), 1);
        sender.send(true).unwrap();
        let error = interrupt.or(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(Failure::of(&error).exit, Exit::Interrupted);
    }
}
