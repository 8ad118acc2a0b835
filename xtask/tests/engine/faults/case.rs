//! One case: a release with a fault, what it leaves behind, and the release after it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::calls::{Call, Fault, Start, To};
use super::leftovers::{self, Leftovers};
use super::link::{Link, Way};
use super::service::Behaviour;
use super::setup::{Place, Run, Setup, UNDISTURBED};
use super::table::{Row, plain};

/// The one call whose answer decides whether what was prepared may be thrown away.
const EXECUTION: &str = "cloudformation:ExecuteChangeSet";
const RELEASE: [&str; 2] = ["release", "dev"];

/// What is under the fault, and how it is let go again.
struct Trap<'a> {
    setup: &'a Setup,
    place: &'a Place,
    link: &'a Link,
    call: &'a Call,
    /// Number of the rule at microburst.
    rule: Option<u64>,
}

/// Runs one case through; `number` is unique.
pub(crate) fn run(setup: &Setup, shared: &str, number: usize, call: &Call, fault: Fault) -> Result<Row> {
    let link = Link::open(setup.registry.host())?;
    let own = format!("{shared}-{number}");
    let service = if call.start == Start::Nothing { own.as_str() } else { shared };
    let emulator = setup.ministack.authority();
    let registry = if call.to == To::Registry { link.host() } else { &emulator };
    let place = Place::new(setup, number, service, call.start == Start::Nothing, registry)?;
    let mut earlier = None;
    if matches!(call.start, Start::Unrecorded | Start::Other) {
        earlier = Some(digest(&place.well(&RELEASE, UNDISTURBED)?)?);
    }
    let own_number = 1000 + u64::try_from(number)?;
    match call.start {
        Start::Unrecorded => leftovers::forget(&setup.emulator, &place.stack)?,
        Start::Other => place.content(1, 1)?,
        // Sources that were not compiled yet and result in the existing image.
        Start::Sources => place.content(own_number, 0)?,
        // The registry's files are not written at once, and what is the same lies in the same place.
        Start::Nothing => place.content(own_number, own_number)?,
        Start::Image => {}
    }
    let before = leftovers::read(&setup.emulator, &place.stack, service)?;
    let trap = Trap::set(setup, &place, &link, call, fault)?;
    let run = trap.run(fault)?;
    let after = leftovers::read(&setup.emulator, &place.stack, service)?;
    trap.release()?;
    judge(call, fault, &run, &before, &after)?;

    let next = place.well(&RELEASE, UNDISTURBED).context("the next run")?;
    let end = leftovers::read(&setup.emulator, &place.stack, service)?;
    let wanted = digest(&next)?;
    ensure!(end.running.as_ref() == Some(&wanted), "{:?} runs, not {wanted}", end.running);
    ensure!(end.status.ends_with("_COMPLETE") && !end.status.contains("ROLLBACK"), "the stack is {}", end.status);
    let deployments = 1 + usize::from(earlier.is_some_and(|earlier| earlier != wanted));
    ensure!(end.deployments == deployments, "{} deployments, not {deployments}", end.deployments);
    ensure!(end.change_sets == 0, "{} change sets are left over", end.change_sets);
    ensure!(!end.parameters.contains("lock"), "a lock is left over");
    ensure!(end.recorded == deployments, "{} successes are recorded of {deployments}", end.recorded);
    Ok(Row {
        phase: call.phase,
        call: call.name(),
        start: call.start,
        fault: fault.name(call),
        exit: run.code.map_or_else(|| "killed".to_owned(), |code| code.to_string()),
        message: message(&run, fault, &place),
        left: difference(&before, &after),
        next: did(&next),
    })
}

impl<'a> Trap<'a> {
    fn set(setup: &'a Setup, place: &'a Place, link: &'a Link, call: &'a Call, fault: Fault) -> Result<Self> {
        let rule = fault.rule(call).map(|rule| setup.microburst.add(&place.key, rule)).transpose()?;
        match call.to {
            To::Aws(..) => {}
            To::Registry => link.set(fault.way(), fault.times(call)),
            To::Endpoint => setup.service.behave(&place.stack, fault.behaviour(), fault.times(call)),
        }
        Ok(Self { setup, place, link, call, rule })
    }

    /// Releases into the fault; a release that is to be killed is killed when the call has come.
    fn run(&self, fault: Fault) -> Result<Run> {
        let asked_before = self.setup.service.asked(&self.place.stack);
        let mut tool = self.place.start(&RELEASE)?;
        let triggered = || match (self.call.to, self.rule) {
            (To::Aws(..), Some(rule)) => Ok(self.setup.microburst.fired(rule)? > 0),
            (To::Registry, _) => Ok(self.link.was_hit()),
            _ => Ok::<_, anyhow::Error>(self.setup.service.asked(&self.place.stack) > asked_before),
        };
        let later = fault.rule_for_all_later();
        if fault == Fault::Killed || later.is_some() {
            let deadline = Instant::now() + self.call.deadline;
            while !triggered()? {
                ensure!(tool.try_wait()?.is_none(), "it ended without that call");
                ensure!(Instant::now() < deadline, "that call never came");
                sleep(Duration::from_millis(50));
            }
        }
        match later {
            Some(rule) => {
                self.setup.microburst.add(&self.place.key, rule)?;
            }
            None if fault == Fault::Killed => tool.kill()?,
            None => {}
        }
        let run = self.place.end(tool, self.call.deadline)?;
        ensure!(triggered()?, "the fault never happened: {}\n{}", run.json, run.stderr);
        Ok(run)
    }

    fn release(&self) -> Result<()> {
        self.link.set(Way::Open, 0);
        self.setup.service.behave(&self.place.stack, Behaviour::Well, 0);
        self.setup.microburst.clear(&self.place.key)
    }
}

/// Holds the exit code against what there is.
fn judge(call: &Call, fault: Fault, run: &Run, before: &Leftovers, after: &Leftovers) -> Result<()> {
    let untouched = (after.deployments, &after.running) == (before.deployments, &before.running);
    let said = || format!("{}\n{}", run.json, run.stderr);
    match run.code {
        Some(0) => ensure!(after.change_sets == 0, "a change set is left over by a success"),
        // No stack was changed. Also nothing is left, but for what an execution without an answer may yet execute, and what
        // cannot be taken back without credentials.
        Some(1 | 3) => {
            let open =
                (call.name() == EXECUTION || fault == Fault::ExpiredForGood) && after.change_sets > before.change_sets;
            let same = after.status == before.status || (open && after.status == "REVIEW_IN_PROGRESS");
            ensure!(untouched && same, "not as it was: {after:?}\n{}", said());
            ensure!(open || after.change_sets == before.change_sets, "a change set is left over: {}", said());
        }
        Some(5) => ensure!(run.json["error"]["hint"].is_string(), "nobody says what to do next: {}", said()),
        None => {}
        code => anyhow::bail!("{:?} cannot end with {code:?}: {}", call, said()),
    }
    ensure!(after.deployments <= before.deployments + 1, "deployed twice: {after:?}");
    Ok(())
}

fn digest(json: &Value) -> Result<String> {
    Ok(json["digest"].as_str().with_context(|| format!("no digest in {json}"))?.to_owned())
}

/// What the run said, without what differs from run to run.
fn message(run: &Run, fault: Fault, place: &Place) -> String {
    let error = &run.json["error"];
    let Some(message) = error["message"].as_str() else {
        return if run.code == Some(0) { "done".to_owned() } else { String::new() };
    };
    // A cut is noticed while something is written, or read, or waited for.
    let reason = error["reason"].as_str().filter(|_| fault != Fault::Cut).map(|reason| format!(": {reason}"));
    plain(&format!("{message}{}", reason.unwrap_or_default()), place)
}

/// What is there now and was not before, in words.
fn difference(before: &Leftovers, after: &Leftovers) -> String {
    let mut parts = Vec::new();
    if after.repository && !before.repository {
        parts.push(if after.images > 0 { "repository with the image" } else { "repository" }.to_owned());
    }
    if after.deployments > before.deployments {
        parts.push("the new release".to_owned());
    } else if after.status != before.status {
        let empty = after.status == "REVIEW_IN_PROGRESS";
        parts.push(if empty { "empty stack".to_owned() } else { format!("stack {}", after.status) });
    }
    if after.change_sets > before.change_sets {
        parts.push("change set".to_owned());
    }
    let recorded = after.recorded > before.recorded;
    parts.extend(recorded.then(|| "its record".to_owned()));
    let names = after.parameters.difference(&before.parameters).filter(|name| !recorded || *name == "lock");
    parts.extend(names.map(|name| if name == "releases" { "record of the failure" } else { name }.to_owned()));
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What a run without a fault did.
fn did(json: &Value) -> String {
    let pushed = json["pushed_bytes"].as_u64().unwrap_or_default() > 0;
    let change = match json["change"].as_str() {
        Some("create") => "creates",
        Some("update") => "updates",
        _ => "proves what runs",
    };
    if pushed { format!("pushes, {change}") } else { change.to_owned() }
}
