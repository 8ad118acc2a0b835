//! Sends a call that begins an operation of a stack, and says whether AWS has taken it.
//!
//! Only AWS's own refusal proves that nothing began: the answer of a proxy, a cut connection or a timeout proves nothing.

use std::time::Duration;

use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use tokio::time::Instant;

use crate::error;
use machine::http::jitter;
use machine::interrupt::Interrupt;
use model::outcome::Failure;

/// Attempts whose answers may be lost. All carry the same token, so that a second one does not begin a second operation.
const ATTEMPTS: u32 = 4;
/// Longest that AWS may ask for patience.
const BUSY: Duration = Duration::from_secs(60);
/// The first pause between two attempts, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// An operation of which AWS has not said that it has begun.
#[derive(Debug)]
pub struct NotBegun {
    pub failure: Failure,
    /// Whether it may have begun all the same: an answer was lost.
    pub in_doubt: bool,
}

impl From<NotBegun> for anyhow::Error {
    fn from(not_begun: NotBegun) -> Self {
        not_begun.failure.into()
    }
}

/// The attempts are counted here: whether an earlier one was lost must be known.
pub(super) fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Makes attempts until AWS has taken the call or refused it. Pauses end when the user wants to stop.
pub(super) async fn begin(
    interrupt: Option<&Interrupt>,
    attempt: impl AsyncFn() -> Result<(), Failure>,
) -> Result<(), NotBegun> {
    let deadline = Instant::now() + BUSY;
    let (mut lost, mut pause) = (0, PAUSE.0);
    loop {
        let Err(failure) = attempt().await else { return Ok(()) };
        let is_refused = error::is_refusal(&failure);
        lost += u32::from(!is_refused);
        let again =
            if is_refused { error::is_throttled(&failure) && Instant::now() < deadline } else { lost < ATTEMPTS };
        if !again {
            return Err(NotBegun { failure, in_doubt: lost > 0 });
        }
        let wait = async {
            tokio::time::sleep(pause / 2 + jitter(pause / 2)).await;
            Ok(())
        };
        let stopped = match interrupt {
            Some(interrupt) => interrupt.or(wait).await,
            None => wait.await,
        };
        if let Err(error) = stopped {
            return Err(NotBegun { failure: Failure::of(&error), in_doubt: lost > 0 });
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}
