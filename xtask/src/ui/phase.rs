//! One phase of a command: shown while it lasts, recorded when it ends.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Paint, Ui};

/// How long a phase took, for the result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseRecord {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) skipped: bool,
}

/// A running phase. Dropped without an ending, by a failure or an interruption, it counts as not finished.
pub(crate) struct Phase<'a> {
    ui: &'a Ui,
    name: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
}

impl<'a> Phase<'a> {
    pub(super) fn start(ui: &'a Ui, name: &'static str) -> Self {
        let bar = ui.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {prefix:<9} {wide_msg}").expect("the template is valid"),
            ));
            bar.set_prefix(name);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            ui.line(&format!("  {name:<9} ..."));
        }
        Self { ui, name, started: Instant::now(), bar, ended: false }
    }

    /// What the phase does right now; seen on a terminal, or with `--verbose`.
    pub(crate) fn doing(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.ui.detail(&format!("            {what}")),
        }
    }

    /// A change of state inside the phase that stays on the screen.
    pub(crate) fn line(&self, text: &str) {
        self.ui.line(&format!("            {text}"));
    }

    pub(crate) fn done(mut self, summary: &str) {
        self.end(Paint::Green, "ok", summary, false);
    }

    /// Ends a phase that had nothing to do.
    pub(crate) fn skipped(mut self, why: &str) {
        self.end(Paint::Green, "--", why, true);
    }

    fn end(&mut self, paint: Paint, mark: &str, summary: &str, skipped: bool) {
        self.ended = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = seconds(self.started);
        let mark = self.ui.paint(paint, mark);
        self.ui.line(&format!("{mark} {:<9} {summary} ({seconds:.1} s)", self.name));
        self.ui.phases.lock().expect("no holder panics").push(PhaseRecord { name: self.name, seconds, skipped });
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Paint::Red, "!!", "not finished", false);
        }
    }
}

/// Seconds since `start`, to the millisecond.
pub(super) fn seconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
