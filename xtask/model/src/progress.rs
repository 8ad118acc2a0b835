//! Progress of long operations, as values: only `ui` renders them.

/// A report from inside a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The current activity or wait; the next one replaces it.
    Doing(&'a str),
    /// A change of state, which stays on the screen.
    Line(&'a str),
    /// What happened to a resource, as a line; `name` is `None` for the stack itself.
    Resource { name: Option<&'a str>, line: &'a str, state: ResourceState },
}

/// How far the work on a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceState {
    Begun,
    Done,
    /// It failed, or the stack rolls back; the line has the reason.
    Failed,
}

/// Receives reports.
pub type Reporter<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// A [`Reporter`] that discards them.
pub fn unread(_: Progress<'_>) {}
