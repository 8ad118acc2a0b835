//! Every call to the engine: with a timeout, and with the engine's own message on failure.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use futures_util::{Stream, StreamExt as _};

use model::outcome::{Exit, Failure, FailureKind};
use model::progress::{Progress, Reporter};

/// Timeout of a query.
pub(super) const LOOKUP: Duration = Duration::from_secs(30);
/// Timeout of creating, starting, renaming or removing something.
pub(super) const CHANGE: Duration = Duration::from_secs(120);
/// Timeout of a build or push that prints nothing. A linker under emulation is silent for many minutes.
pub(super) const SILENCE: Duration = Duration::from_secs(20 * 60);
/// After this time without output, the wait is reported.
const NOTICEABLE: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) status: Option<u16>,
    /// The engine did not answer in time.
    pub(super) silent: bool,
    pub(super) reason: String,
}

impl CallError {
    pub(super) fn of(error: &Error) -> Self {
        let status = match error {
            Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
            _ => None,
        };
        Self { status, silent: false, reason: explain(error) }
    }

    /// What the engine or the registry said, without a status.
    pub(super) fn said(reason: String) -> Self {
        Self { status: None, silent: false, reason }
    }

    fn silent(limit: Duration) -> Self {
        let reason = format!("the engine did not answer within {} s", limit.as_secs());
        Self { status: None, silent: true, reason }
    }

    /// The call timed out.
    pub(super) fn is_silence(&self) -> bool {
        self.silent
    }

    /// The object does not exist.
    pub(super) fn is_missing(&self) -> bool {
        self.status == Some(404)
    }

    /// A name is taken, or an object is in use.
    pub(super) fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }

    /// What helps against a failure of the engine itself, whatever was asked.
    pub(super) fn hint(&self) -> Option<&'static str> {
        if self.silent {
            Some("check the engine (docker info), and restart it if it does not answer: sudo systemctl restart docker")
        } else {
            is_disk_full(&self.reason).then_some(MAKE_ROOM)
        }
    }

    /// As a failure of what was asked, such as `cannot look up image api:1`.
    pub(super) fn failure(self, what: impl Display) -> Failure {
        let hint = self.hint().unwrap_or("check the engine: docker info");
        Failure::new(Exit::Failed, FailureKind::Docker, what.to_string()).reason(self.reason).hint(hint)
    }
}

/// Whether the engine's words say that its disk is full.
fn is_disk_full(reason: &str) -> bool {
    let lower = reason.to_lowercase();
    ["no space left on device", "disk quota exceeded", "not enough space on the disk"]
        .iter()
        .any(|words| lower.contains(words))
}

/// How to free space on the engine's disk.
pub const MAKE_ROOM: &str =
    "docker system df shows what takes up the engine's disk; docker system prune removes what is unused";

/// Makes a call, with a timeout.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| CallError::of(&error)),
        Err(_) => Err(CallError::silent(limit)),
    }
}

/// As [`ask`]; `None` where there is no such thing.
pub(super) async fn optional<T>(call: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, CallError> {
    match within(LOOKUP, call).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The next message of a build or push that is at `step`. A silence is reported after ten seconds, and is a failure
/// after [`SILENCE`].
pub(super) async fn next<T>(
    stream: &mut (impl Stream<Item = Result<T, Error>> + Unpin),
    step: &str,
    report: Reporter<'_>,
) -> Option<Result<T, CallError>> {
    let message = match tokio::time::timeout(NOTICEABLE, stream.next()).await {
        Ok(message) => message,
        Err(_) => {
            let minutes = SILENCE.as_secs() / 60;
            report(Progress::Doing(&format!("the engine, silent for 10 s (limit {minutes} min): {step}")));
            match tokio::time::timeout(SILENCE - NOTICEABLE, stream.next()).await {
                Ok(message) => message,
                Err(_) => {
                    let reason = format!("the engine printed no output for {minutes} min: {step}");
                    return Some(Err(CallError { status: None, silent: true, reason }));
                }
            }
        }
    };
    message.map(|message| message.map_err(|error| CallError::of(&error)))
}

/// The engine's own message, without the library's wrapping.
pub(super) fn explain(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use model::progress::unread;

    #[tokio::test(start_paused = true)]
    async fn a_query_times_out_after_half_a_minute() {
        let started = tokio::time::Instant::now();
        let error = within(LOOKUP, std::future::pending::<Result<(), Error>>()).await.unwrap_err();
        assert_eq!(started.elapsed(), Duration::from_secs(30));
        let failure = error.failure("cannot look up image api:1");
        assert_eq!(failure.to_string(), "cannot look up image api:1");
        assert_eq!(failure.reason.as_deref(), Some("the engine did not answer within 30 s"));
        assert!(failure.hint.is_some_and(|hint| hint.contains("restart")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_times_out_and_names_the_step() {
        let started = tokio::time::Instant::now();
        let mut messages = stream::iter([Ok::<_, Error>(1)]).chain(stream::pending());
        assert!(matches!(next(&mut messages, "[1/2] COPY", &unread).await, Some(Ok(1))));
        assert_eq!(started.elapsed(), Duration::ZERO);
        let Some(Err(error)) = next(&mut messages, "[2/2] RUN", &unread).await else { panic!("it goes on") };
        assert_eq!(started.elapsed(), SILENCE);
        assert_eq!(error.reason, "the engine printed no output for 20 min: [2/2] RUN");
    }

    #[test]
    fn a_full_disk_has_a_hint_that_frees_space() {
        for reason in [
            "failed to create layer: write /var/lib/docker/overlay2/l: no space left on device",
            "mkdir /var/lib/docker: disk quota exceeded",
            "There is not enough space on the disk.",
        ] {
            let error = CallError { status: Some(500), silent: false, reason: reason.to_owned() };
            assert_eq!(error.failure("cannot create container").hint.as_deref(), Some(MAKE_ROOM), "{reason}");
        }
    }
}
