//! Ctrl-C at every request of every command that changes something.
//!
//! Each command runs once to the end, which shows how many requests it makes. Then it starts anew for each of them, and the
//! signal arrives while that request is being answered. What is left must be known, and the same command once more must
//! have the result of an uninterrupted run.
#![cfg(target_os = "linux")]

mod cases;
mod locks;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::fakes::timing::Watched;
use crate::fakes::{Fakes, World};
use crate::sandbox::{Ended, Sandbox};

/// How many of a command's runs go on at the same time; most of a run is waiting.
const AT_ONCE: usize = 16;

/// A command, and where it runs.
pub(crate) struct Case {
    pub(crate) arguments: &'static [&'static str],
    pub(crate) world: World,
    /// What it gets on its standard input.
    pub(crate) input: &'static [u8],
    /// What is written into the sandbox beforehand: paths and texts.
    pub(crate) files: Vec<(&'static str, String)>,
    /// Whether another holder's lock is there before the command.
    pub(crate) is_locked: bool,
    /// Whether a pending change set belongs to a plan.
    pub(crate) is_planned: bool,
    /// How it ends without an interruption.
    pub(crate) code: i32,
}

impl Case {
    pub(crate) fn of(arguments: &'static [&'static str], world: World) -> Self {
        Self { arguments, world, input: b"", files: Vec::new(), is_locked: false, is_planned: false, code: 0 }
    }

    fn start(&self, watched: Option<Watched>) -> (Fakes, Sandbox) {
        let mut others = self.world.others.clone();
        others.values_mut().for_each(|other| other.slow = true);
        let fakes = Fakes::start(World {
            watched,
            others,
            slow: true,
            requests: Vec::new(),
            ended_at: 0,
            asked: Vec::new(),
            ..self.world.clone()
        });
        let sandbox = fakes.sandbox();
        self.files.iter().for_each(|(path, text)| sandbox.write(path, text));
        (fakes, sandbox)
    }

    /// Interrupts the command at each of its requests.
    pub(crate) fn at_every_request(&self) {
        let (fakes, sandbox) = self.start(None);
        let whole = sandbox.run_with(self.arguments, self.input);
        assert_eq!(whole.code, self.code, "{}", whole.stderr);
        let (requests, wanted) = {
            let world = fakes.world();
            (world.requests.len(), Facts::of(&world))
        };
        assert!(requests >= 2 && !wanted.is_locked && wanted.stack != "under way", "{requests}: {wanted:?}");
        let (next, problems) = (AtomicUsize::new(1), Mutex::new(String::new()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number > requests {
                            return;
                        }
                        if let Err(problem) = self.at(number, &wanted) {
                            let mut problems = problems.lock().unwrap();
                            writeln!(problems, "--- request {number} of {requests}: {problem}").unwrap();
                        }
                    }
                });
            }
        });
        let problems = problems.into_inner().unwrap();
        assert!(problems.is_empty(), "{:?}\n{problems}", self.arguments);
    }

    /// Interrupts the command at one request, and runs it again.
    fn at(&self, number: usize, wanted: &Facts) -> Result<(), String> {
        let (arrived, arrival) = mpsc::channel();
        let (fakes, sandbox) = self.start(Some(Watched { number, arrived }));
        let mut tool = sandbox.start_with(self.arguments, self.input);
        let request = loop {
            match arrival.recv_timeout(Duration::from_millis(20)) {
                Err(RecvTimeoutError::Timeout) if tool.try_wait().unwrap().is_none() => {}
                // This time it may need fewer: some polls depend on time.
                arrived => break arrived.unwrap_or_default(),
            }
        };
        // It may have ended just now.
        kill_process(Pid::from_child(&tool), Signal::INT).ok();
        let ended = sandbox.end(tool);
        let fail = |what: String| Err(format!("{request}: {what}\n{}", ended.stderr));
        if let Err(what) = self.is_left_well(&ended, number, &fakes.world()) {
            return fail(what);
        }
        let again = sandbox.run_with(self.arguments, self.input);
        if again.code != self.code {
            return fail(format!("the same command again ends with {}: {}", again.code, again.stderr));
        }
        let facts = Facts::of(&fakes.world());
        if facts != *wanted {
            return fail(format!("it is not as without an interruption: {facts:?}\nbut should be {wanted:?}"));
        }
        Ok(())
    }

    fn is_left_well(&self, ended: &Ended, number: usize, world: &World) -> Result<(), String> {
        if ended.code != self.code && ended.code != 130 {
            return Err(format!("it ends with {}", ended.code));
        }
        if world.journal.keys().any(|name| name.ends_with("/lock")) && !(self.is_locked && ended.code == 130) {
            return Err("a lock is left".to_owned());
        }
        let proposed = world.proposed.is_some() || world.others.values().any(|other| other.proposed.is_some());
        if proposed && !self.is_planned {
            return Err("a change set is left".to_owned());
        }
        let at_work = world.under_way.is_some() || world.others.values().any(|other| other.under_way.is_some());
        let says_so = ended.stderr.contains("goes on");
        if ended.code != 130 {
            return if at_work {
                Err("it is done, and an operation of the stack is in progress".to_owned())
            } else {
                Ok(())
            };
        }
        // An end that was seen just now, or not yet: the status is read first, and then the events.
        let unseen = world.ended_at + 1 >= number;
        if at_work != says_so && !unseen {
            return Err(format!("the stack is {:?}, and that is not what is said", world.stack));
        }
        let says_nothing = ended.stderr.contains("nothing is under way any more");
        if says_nothing == says_so { Err("it says nothing, or both".to_owned()) } else { Ok(()) }
    }
}

/// What a command leaves, without what differs from run to run.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    stack: &'static str,
    template: String,
    image: Option<String>,
    port: Option<String>,
    /// The kinds of the repository's tags, besides the commit's: an image has at most that of the first release that came
    /// to its end. `None` where there is no repository.
    tags: Option<BTreeSet<String>>,
    lifecycle: bool,
    /// How many things are attached to the image, by a tag.
    attached: usize,
    /// The parameters of Systems Manager, without hashes.
    parameters: BTreeSet<String>,
    last_release: Option<String>,
    old_images: Vec<String>,
    /// The other stacks that there are.
    others: Vec<&'static str>,
    change_set: bool,
    is_locked: bool,
}

impl Facts {
    fn of(world: &World) -> Self {
        let stack = match world.stack.as_str() {
            "" => "none",
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => "good",
            _ if world.under_way.is_some() => "under way",
            _ => "failed",
        };
        let parameter = |name: &str| world.parameters.get(name).filter(|_| stack != "none").cloned();
        let kind = |tag: &String| Some(tag.split('-').next()?.to_owned()).filter(|kind| kind != "commit");
        let place = |name: &String| name.split('/').filter(|part| part.len() < 16).collect::<Vec<_>>().join("/");
        let others = world.others.iter().filter(|(_, other)| other.stack.ends_with("_COMPLETE"));
        let releases = world.journal.iter().find(|(name, _)| name.ends_with("/releases"));
        let last = releases.and_then(|(_, versions)| versions.last());
        let last: Option<serde_json::Value> = last.map(|version| serde_json::from_str(&version.value).unwrap());
        Self {
            stack,
            template: if stack == "none" { String::new() } else { world.template.clone() },
            image: parameter("ContainerURI"),
            port: parameter("ContainerPort"),
            tags: world.repository.as_ref().map(|tags| tags.keys().filter_map(kind).collect()),
            lifecycle: world.lifecycle,
            attached: world.attached.keys().filter(|name| !name.starts_with("sha256:")).count(),
            parameters: world.journal.keys().map(place).collect(),
            last_release: last.map(|record| format!("{} {}", record["outcome"], record["image"])),
            old_images: world.old_images.clone(),
            others: others.map(|(name, _)| *name).collect(),
            change_set: world.proposed.is_some(),
            is_locked: world.journal.keys().any(|name| name.ends_with("/lock")),
        }
    }
}
