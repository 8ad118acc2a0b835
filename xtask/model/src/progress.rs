//! What is reported while something lasts, as values: only `ui` renders them.

/// A report from inside a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// What is done or waited for right now; the next one replaces it.
    Doing(&'a str),
    /// A change of state that stays on the screen.
    Line(&'a str),
}

/// Where reports go.
pub type Reporter<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// A [`Reporter`] that nobody reads.
pub fn unread(_: Progress<'_>) {}
