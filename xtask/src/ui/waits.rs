//! What is waited for, told once nothing has been written for a while.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// After how much silence it is told for the first, second and third time; then once for every [`AGAIN`].
const FIRST: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];
const AGAIN: Duration = Duration::from_secs(60);

/// The waits that are open, the latest last.
#[derive(Debug)]
pub(super) struct Waits(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When something was written last.
    quiet_since: Instant,
    /// How often the silence since then was told of.
    notices: u32,
    open: Vec<Open>,
    next_id: u64,
}

#[derive(Debug)]
struct Open {
    id: u64,
    /// Of the phase; empty outside of one.
    name: &'static str,
    what: Option<String>,
    /// Whether it is on the screen already: as a live display, or as a question.
    seen: bool,
}

/// An open wait. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waits: &'a Waits,
    id: u64,
}

/// A wait that is to be told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) name: &'static str,
    pub(super) what: Option<String>,
    /// Nothing has been written for so long.
    pub(super) silence: Duration,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { quiet_since: Instant::now(), notices: 0, open: Vec::new(), next_id: 0 }))
    }

    /// Opens a wait.
    pub(super) fn open(&self, name: &'static str, what: Option<String>, seen: bool) -> Waiting<'_> {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.open.push(Open { id, name, what, seen });
        Waiting { waits: self, id }
    }

    /// Something is written.
    pub(super) fn written(&self) {
        let mut state = self.state();
        (state.quiet_since, state.notices) = (Instant::now(), 0);
    }

    /// The wait to tell of now, or else how long there is nothing to tell.
    pub(super) fn next(&self) -> Result<Notice, Duration> {
        let mut state = self.state();
        let silence = state.quiet_since.elapsed();
        let due = FIRST.get(state.notices as usize).copied().unwrap_or_else(|| AGAIN * (state.notices - 1));
        if silence < due {
            return Err(due - silence);
        }
        state.notices += 1;
        match state.open.last() {
            Some(open) if !open.seen => Ok(Notice { name: open.name, what: open.what.clone(), silence }),
            _ => Err(Duration::ZERO),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

impl Waiting<'_> {
    /// Says what is waited for by now.
    pub(super) fn set(&self, what: &str) {
        let mut state = self.waits.state();
        if let Some(open) = state.open.iter_mut().find(|open| open.id == self.id) {
            open.what = Some(what.to_owned());
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.state().open.retain(|open| open.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if nothing had been written for so many seconds.
    fn silent(waits: &Waits, seconds: u64) {
        let mut state = waits.state();
        state.quiet_since = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn silence_is_told_of_with_growing_pauses() {
        let waits = Waits::new();
        let _wait = waits.open("scan", Some("the scan".to_owned()), false);
        let mut told = Vec::new();
        for seconds in 0..=300 {
            silent(&waits, seconds);
            told.extend(waits.next().map(|notice| notice.silence.as_secs()));
        }
        assert_eq!(told, [10, 30, 60, 120, 180, 240, 300]);
        waits.written();
        assert!(waits.next().unwrap_err() > Duration::from_secs(9));
    }

    #[test]
    fn the_latest_wait_that_is_open_is_told_of() {
        let waits = Waits::new();
        let told = |waits: &Waits| {
            waits.written();
            silent(waits, 10);
            waits.next().map(|notice| (notice.name, notice.what))
        };
        let outer = waits.open("", Some("AWS".to_owned()), false);
        let inner = waits.open("push", None, false);
        assert_eq!(told(&waits), Ok(("push", None)));
        inner.set("layer 1");
        assert_eq!(told(&waits), Ok(("push", Some("layer 1".to_owned()))));
        let question = waits.open("", None, true);
        assert!(told(&waits).is_err(), "a question is on the screen");
        drop((question, inner));
        assert_eq!(told(&waits), Ok(("", Some("AWS".to_owned()))));
        drop(outer);
        assert!(told(&waits).is_err());
    }
}
