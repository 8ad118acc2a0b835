//! Programs that are asked one thing, such as git: each has an end, and a failure carries the program's own words.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// How long a program may take to answer.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such program in PATH")]
    Missing,
    #[error("it cannot be started: {0}")]
    Broken(String),
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It ended with a failure: its code, and what it said.
    #[error("{words}")]
    Failed { code: Option<i32>, words: String },
    #[error("its answer is not UTF-8")]
    NotText,
}

/// Runs a program and takes what it prints for its answer.
///
/// # Errors
/// Why there is none.
pub async fn ask(command: &mut Command, limit: Duration) -> Result<String, Refusal> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, output).await.map_err(|_| Refusal::Late(limit))?;
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Broken(error.to_string()),
    })?;
    if !output.status.success() {
        let said = [output.stderr, output.stdout].into_iter().find(|bytes| !bytes.trim_ascii().is_empty());
        let words =
            said.map_or_else(|| output.status.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        return Err(Refusal::Failed { code: output.status.code(), words: words.trim().to_owned() });
    }
    String::from_utf8(output.stdout).map_err(|_| Refusal::NotText)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<String, Refusal> {
        ask(Command::new("sh").args(["-c", script]), Duration::from_millis(500)).await
    }

    #[tokio::test]
    async fn a_failure_is_what_the_program_said() {
        assert_eq!(sh("echo answer; echo noise >&2").await.unwrap(), "answer\n");
        let failed = sh("echo the reason >&2; exit 3").await.unwrap_err();
        assert_eq!(failed, Refusal::Failed { code: Some(3), words: "the reason".to_owned() });
        assert_eq!(sh("exit 3").await.unwrap_err().to_string(), "exit status: 3");
        assert_eq!(sh("sleep 60").await, Err(Refusal::Late(Duration::from_millis(500))));
        assert_eq!(sh("printf '\\377'").await, Err(Refusal::NotText));
        assert_eq!(ask(&mut Command::new("/nonexistent/git"), LIMIT).await, Err(Refusal::Missing));
    }
}
