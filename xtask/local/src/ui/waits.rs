//! Open waits, which are reported when nothing has been written for a while.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The silences after which the wait is reported for the first, second and third time; later every [`AGAIN`].
const FIRST: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(60)];
const AGAIN: Duration = Duration::from_secs(60);

/// The waits that are open, the latest last.
#[derive(Debug)]
pub(super) struct Waits(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When something was written last.
    quiet_since: Instant,
    /// How often the current silence was reported.
    notices: u32,
    open: Vec<Open>,
    next_id: u64,
}

#[derive(Debug)]
struct Open {
    id: u64,
    /// The phase's name; empty outside of one.
    name: &'static str,
    what: Option<String>,
    /// Whether it is visible already, as a live display or as a question.
    seen: bool,
}

/// An open wait. It ends when this is dropped.
#[derive(Debug)]
pub struct Waiting<'a> {
    waits: &'a Waits,
    id: u64,
}

/// A wait to report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) name: &'static str,
    pub(super) what: Option<String>,
    /// How long nothing has been written.
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

    /// Records that something is written.
    pub(super) fn written(&self) {
        let mut state = self.state();
        (state.quiet_since, state.notices) = (Instant::now(), 0);
    }

    /// The wait to report now, or how long until there may be one.
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
    /// Changes what is waited for.
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

    /// Pretends that nothing was written for so many seconds.
    fn set_silence(waits: &Waits, seconds: u64) {
        let mut state = waits.state();
        state.quiet_since = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn silence_is_reported_at_growing_intervals() {
        let waits = Waits::new();
        let _wait = waits.open("scan", Some("the scan".to_owned()), false);
        let mut reported = Vec::new();
        for seconds in 0..=300 {
            set_silence(&waits, seconds);
            reported.extend(waits.next().map(|notice| notice.silence.as_secs()));
        }
        assert_eq!(reported, [10, 30, 60, 120, 180, 240, 300]);
        waits.written();
        assert!(waits.next().unwrap_err() > Duration::from_secs(9));
    }

    #[test]
    fn the_latest_open_wait_is_reported() {
        let waits = Waits::new();
        let reported = |waits: &Waits| {
            waits.written();
            set_silence(waits, 10);
            waits.next().map(|notice| (notice.name, notice.what))
        };
        let outer = waits.open("", Some("AWS".to_owned()), false);
        let inner = waits.open("push", None, false);
        assert_eq!(reported(&waits), Ok(("push", None)));
        inner.set("layer 1");
        assert_eq!(reported(&waits), Ok(("push", Some("layer 1".to_owned()))));
        let question = waits.open("", None, true);
        assert!(reported(&waits).is_err(), "a question is on the screen");
        drop((question, inner));
        assert_eq!(reported(&waits), Ok(("", Some("AWS".to_owned()))));
        drop(outer);
        assert!(reported(&waits).is_err());
    }
}
