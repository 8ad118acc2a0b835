//! Runs other programs, such as git, for their output: with a timeout, and with their own message on failure.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The usual timeout of a program.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    #[error("there is no such program in PATH")]
    NotFound,
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It ended with a failure: its exit code, and what it printed.
    #[error("{message}")]
    Failed { code: Option<i32>, message: String },
    #[error("its output is not UTF-8")]
    NotUtf8,
}

/// Runs a program and returns its standard output.
///
/// # Errors
/// A program that does not start, fails, or exceeds `limit`.
pub async fn run(command: &mut Command, limit: Duration) -> Result<String, ChildError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, output).await.map_err(|_| ChildError::TimedOut(limit))?;
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => ChildError::NotFound,
        _ => ChildError::NotStarted(error.to_string()),
    })?;
    if !output.status.success() {
        let printed = [output.stderr, output.stdout].into_iter().find(|bytes| !bytes.trim_ascii().is_empty());
        let message =
            printed.map_or_else(|| output.status.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        return Err(ChildError::Failed { code: output.status.code(), message: message.trim().to_owned() });
    }
    String::from_utf8(output.stdout).map_err(|_| ChildError::NotUtf8)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<String, ChildError> {
        run(Command::new("sh").args(["-c", script]), Duration::from_millis(500)).await
    }

    #[tokio::test]
    async fn a_failure_has_the_program_s_message() {
        assert_eq!(sh("echo answer; echo noise >&2").await.unwrap(), "answer\n");
        let failed = sh("echo the reason >&2; exit 3").await.unwrap_err();
        assert_eq!(failed, ChildError::Failed { code: Some(3), message: "the reason".to_owned() });
        assert_eq!(sh("exit 3").await.unwrap_err().to_string(), "exit status: 3");
        assert_eq!(sh("exec sleep 60").await, Err(ChildError::TimedOut(Duration::from_millis(500))));
        assert_eq!(sh("printf '\\377'").await, Err(ChildError::NotUtf8));
        assert_eq!(run(&mut Command::new("/nonexistent/git"), LIMIT).await, Err(ChildError::NotFound));
    }
}
