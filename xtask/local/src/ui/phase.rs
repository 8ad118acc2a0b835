//! One phase of a command: shown while it lasts, recorded when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use model::progress::{Progress, ResourceState};
use model::report::PhaseRecord;

use super::sanitize::escape_controls;
use super::{Paint, Ui, Waiting};

/// A running phase. If it is dropped before its end, by a failure or an interruption, it is reported as not finished.
pub struct Phase<'a> {
    ui: &'a Ui,
    name: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
    waiting: Waiting<'a>,
    resources: Mutex<Resources>,
    ended: bool,
}

/// The resources that a phase works on.
#[derive(Default)]
struct Resources {
    /// The names of those that change; `None` if that is not known.
    changing: Option<BTreeSet<String>>,
    /// The lines of those that are being worked on, on a terminal.
    open: BTreeMap<String, ProgressBar>,
    done: BTreeSet<String>,
    doing: String,
}

impl Resources {
    fn changes(&self, name: &str) -> bool {
        self.changing.as_ref().is_none_or(|changing| changing.contains(name))
    }

    fn close(&mut self, name: &str) {
        if let Some(bar) = self.open.remove(name) {
            bar.finish_and_clear();
        }
    }

    /// What the phase does, behind how many resources are done.
    fn message(&self) -> String {
        let (done, doing) = (self.done.len(), &self.doing);
        match self.changing.as_ref().map(BTreeSet::len) {
            Some(all) if done > 0 => format!("{done} of {all} resources, {doing}"),
            None if done > 0 => format!("{done} resources, {doing}"),
            _ => doing.clone(),
        }
    }
}

impl<'a> Phase<'a> {
    pub(super) fn start(ui: &'a Ui, name: &'static str) -> Self {
        let bar = ui.live.as_ref().map(|live| {
            let bar = live.add(
                ProgressBar::new_spinner().with_style(
                    ProgressStyle::with_template("{spinner} {prefix:<9} {elapsed:>4} {wide_msg}")
                        .expect("the template is valid"),
                ),
            );
            bar.set_prefix(name);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            ui.detail(&format!("  {name:<9} ..."));
        }
        let waiting = ui.waits.open(name, phase_waits_for(name).map(str::to_owned), bar.is_some());
        Self { ui, name, started: Instant::now(), bar, waiting, resources: Mutex::default(), ended: false }
    }

    /// Sets what the phase does or waits for; shown on a terminal, with `--verbose`, or after a silence.
    pub fn doing(&self, what: &str) {
        self.waiting.set(what);
        match &self.bar {
            Some(bar) => {
                let mut resources = self.resources();
                what.clone_into(&mut resources.doing);
                bar.set_message(escape_controls(&resources.message(), false).into_owned());
            }
            None => self.ui.detail(&format!("            {what}")),
        }
    }

    /// Sets which resources change; others are shown with `--verbose` only, unless they fail.
    pub fn changes(&self, names: impl IntoIterator<Item = String>) {
        self.resources().changing = Some(names.into_iter().collect());
    }

    /// Shows what happened to a resource: a line when it is done, or on a terminal a line while it is worked on. What
    /// failed stays.
    fn resource(&self, name: Option<&str>, line: &str, state: ResourceState) {
        let mut resources = self.resources();
        name.iter().for_each(|name| resources.close(name));
        if name.is_none() && state == ResourceState::Failed {
            // What was done is taken back.
            resources.done.clear();
        }
        let is_shown = name.is_some_and(|name| resources.changes(name));
        if self.ui.verbose || state == ResourceState::Failed {
            return self.line(line);
        }
        let Some(name) = name.filter(|_| is_shown) else { return };
        match (state, &self.ui.live, &self.bar) {
            (ResourceState::Begun, Some(live), Some(_)) => {
                let style = ProgressStyle::with_template("            {wide_msg}").expect("the template is valid");
                let bar = live.add(ProgressBar::new_spinner().with_style(style));
                bar.set_message(escape_controls(line, false).into_owned());
                resources.open.insert(name.to_owned(), bar);
            }
            (ResourceState::Begun, ..) => self.waiting.set(line),
            (_, _, Some(bar)) => {
                resources.done.insert(name.to_owned());
                bar.set_message(escape_controls(&resources.message(), false).into_owned());
            }
            _ => self.line(line),
        }
    }

    fn resources(&self) -> MutexGuard<'_, Resources> {
        self.resources.lock().expect("no holder panics")
    }

    /// Prints a change of state inside the phase.
    pub fn line(&self, text: &str) {
        self.ui.line(&format!("            {text}"));
    }

    /// Shows progress that a lower crate reports.
    pub fn report(&self, progress: Progress<'_>) {
        match progress {
            Progress::Doing(what) => self.doing(what),
            Progress::Line(text) => self.line(text),
            Progress::Resource { name, line, state } => self.resource(name, line, state),
        }
    }

    pub fn done(mut self, summary: &str) {
        self.end(Paint::Green, "ok", summary, false);
    }

    /// Ends a phase that had nothing to do.
    pub fn skipped(mut self, why: &str) {
        self.end(Paint::Green, "--", why, true);
    }

    fn end(&mut self, paint: Paint, mark: &str, summary: &str, skipped: bool) {
        self.ended = true;
        std::mem::take(&mut self.resources().open).values().for_each(ProgressBar::finish_and_clear);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = seconds(self.started);
        let mark = self.ui.paint(paint, mark);
        self.ui.line(&format!("{mark} {:<9} {} ({seconds:.1} s)", self.name, self.ui.shown(summary)));
        self.ui.note(|report| report.phases.push(PhaseRecord { name: self.name, seconds, skipped }));
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Paint::Red, "!!", "not finished", false);
        }
    }
}

/// What a phase waits for until it reports something more specific with [`Phase::doing`].
fn phase_waits_for(phase: &str) -> Option<&'static str> {
    Some(match phase {
        "attest" | "name" | "push" => "the registry",
        "back" | "need" | "rollback" | "stack" => "CloudFormation",
        "compile" => "the compiler",
        "container" | "engine" | "image" => "the Docker engine",
        "drift" => "CloudFormation's drift detection",
        "lock" => "the environment lock",
        "look" => "the lists of images and releases at AWS",
        "plan" => "CloudFormation's change set",
        "preflight" => "AWS and this machine",
        "registry" => "ECR",
        "remove" => "the removal",
        "scan" => "ECR's scan of the image",
        "smoke" => "the endpoint",
        "before" | "task" => "ECS",
        "verify" => "the SBOM and provenance in the registry",
        "waiting" => "the operation in progress at AWS",
        _ => return None,
    })
}

/// Seconds since `start`, to the millisecond.
pub(super) fn seconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::phase_waits_for;

    /// The names of all phases in the sources below a folder.
    fn names(folder: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, into);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                into.extend(
                    text.split(".phase(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
                );
            }
        }
    }

    #[test]
    fn every_phase_has_a_wait_text() {
        let mut all = Vec::new();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        [own.join("src"), own.join("../src")].iter().for_each(|folder| names(folder, &mut all));
        let silent: Vec<&String> = all.iter().filter(|name| phase_waits_for(name).is_none()).collect();
        assert!(all.len() > 20 && silent.is_empty(), "{silent:?}");
    }
}
