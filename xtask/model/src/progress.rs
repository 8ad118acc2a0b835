//! Progress of long operations, as values: only `ui` renders them.

/// A report from inside a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The current activity or wait; the next one replaces it.
    Doing(&'a str),
    /// A change of state, which stays on the screen.
    Line(&'a str),
}

/// Receives reports.
pub type Reporter<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// A [`Reporter`] that discards them.
pub fn unread(_: Progress<'_>) {}
