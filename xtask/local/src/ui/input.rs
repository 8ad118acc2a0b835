//! What the user types or pipes in: answers, and values that must not be shown.

use std::io::{self, BufRead as _, Read as _, StdinLock};

use anyhow::{Context as _, Result};
use model::outcome::{Exit, Failure, FailureKind};
use tokio::sync::oneshot;

/// The longest line that every terminal hands on whole, in bytes (`MAX_CANON` of macOS; Linux has 4095).
const LONGEST_LINE: usize = 1023;

/// Reads standard input on a thread of its own, so that an interruption ends the wait although the read goes on.
///
/// # Errors
/// What the read ends with.
async fn read<T: Send + 'static>(read: impl FnOnce(StdinLock<'static>) -> io::Result<T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || drop(sender.send(read(io::stdin().lock()))));
    receiver.await.context("no answer could be read")?.context("standard input cannot be read")
}

/// One line, for all to see.
///
/// # Errors
/// Input that cannot be read.
pub(super) async fn answer() -> Result<String> {
    read(|mut stdin| {
        let mut answer = String::new();
        stdin.read_line(&mut answer).map(|_| answer)
    })
    .await
}

/// All of standard input, or one byte more than `longest`.
///
/// # Errors
/// Input that cannot be read.
pub(super) async fn all(longest: usize) -> Result<Vec<u8>> {
    read(move |stdin| {
        let mut bytes = Vec::new();
        stdin.take(longest as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    })
    .await
}

/// One line of a terminal that [`hidden::Echo`] keeps silent.
///
/// # Errors
/// A line that the terminal may have cut, or several.
pub(super) async fn line() -> Result<Vec<u8>> {
    let mut line = read(|mut stdin| {
        let mut line = Vec::new();
        stdin.read_until(b'\n', &mut line).map(|_| line)
    })
    .await?;
    let fail = |message: &str, reason: String| {
        Failure::new(Exit::Usage, FailureKind::Input, message)
            .reason(reason)
            .hint("write it into a file and pass that as standard input: < FILE")
    };
    if hidden::has_more() {
        return Err(fail("the value has several lines", "a prompt takes one".to_owned()).into());
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.len() >= LONGEST_LINE {
        let reason = format!("a terminal may cut lines of {LONGEST_LINE} bytes and more");
        return Err(fail("the value may not be whole", reason).into());
    }
    Ok(line)
}

#[cfg(unix)]
pub(super) mod hidden {
    //! A terminal that does not show what is typed.

    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Turns the terminal's echo off until it is dropped.
    pub(in crate::ui) struct Echo(Termios);

    impl Echo {
        /// # Errors
        /// A terminal that cannot be set.
        pub(in crate::ui) fn off() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
            tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
            Ok(Self(before))
        }
    }

    impl Drop for Echo {
        fn drop(&mut self) {
            // What is left of a value in several lines must not become the shell's next commands.
            tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
        }
    }

    /// Whether more was typed than one line.
    pub(super) fn has_more() -> bool {
        rustix::io::ioctl_fionread(io::stdin()).is_ok_and(|bytes| bytes > 0)
    }
}

#[cfg(not(unix))]
pub(super) mod hidden {
    //! Terminals whose echo this tool cannot turn off.

    use std::io;

    pub(in crate::ui) struct Echo;

    impl Echo {
        /// # Errors
        /// Always.
        pub(in crate::ui) fn off() -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "the echo of this terminal cannot be turned off"))
        }
    }

    pub(super) fn has_more() -> bool {
        false
    }
}
