//! Replacements under load: what users lose while a new version takes over, which has to be nothing.
//!
//! First on the emulator, whose load balancer knows no health check and stops tasks early. Then with haproxy in the
//! load balancer's place, configured with the target group's own numbers, in front of real containers of the service.

mod balancer;
mod failing;
mod numbers;
mod task;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{DOCKER, HAPROXY, Programs, Suite};

use crate::checkout::Checkout;
use crate::load::{Load, Outcome, Target};
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{needed, prepared, release, settled, smoke_base, text};
use balancer::Balancer;
use numbers::Numbers;
use task::Task;

/// How many requests are made of the emulator at least; 100000 take it eleven minutes on a machine that does nothing else.
const COUNT: &str = "DOWNTIME_REQUESTS";
const SHORT: usize = 12_000;
/// Requests a second that the emulator carries beside what else runs on two cores.
const EMULATOR_RATE: u32 = 150;
const PROXY_RATE: u32 = 800;
const PROXY_COUNT: usize = 100_000;
/// Nobody waits longer.
const SLOWEST: Duration = Duration::from_secs(1);
/// Nor at the emulator, which is Python beside everything else that a run of all suites computes. Whoever asks for a count
/// has a quiet machine, and gets the bound above.
const EMULATOR_SLOWEST: Duration = Duration::from_secs(5);
const TASKS: usize = 2;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = needed(Names::Machine, &[HAPROXY, DOCKER]);
    let test = |name: &str, run: fn(&Checkout, &Ministack) -> Result<()>| {
        suite.test(name, &needed, move |programs| prepared(programs, Names::Machine, run))
    };
    vec![
        test("downtime::three_replacements_and_three_more_lose_no_request", no_request_is_lost),
        test("downtime::failed_releases_lose_no_request_and_keep_the_old_version", failing::the_old_one_serves),
    ]
}

fn no_request_is_lost(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let asked = std::env::var(COUNT).ok();
    let count = match &asked {
        Some(count) => count.parse().with_context(|| format!("{COUNT} is no number"))?,
        None => SHORT,
    };
    let slowest = if asked.is_some() { SLOWEST } else { EMULATOR_SLOWEST };
    let first = release(checkout, &[])?;
    settled(emulator, &first)?;
    let mut digests = vec![text(&first, "/digest")?];
    let mut images = vec![text(&first, "/image")?];
    // Not through its gateway: with more than six requests at once, gateway and load balancer wait for each other.
    let load = Load::start(version_at(&smoke_base(emulator, &first)?, EMULATOR_RATE)?, count);
    let replaced = (1..=3).try_for_each(|number| {
        another_image(checkout, number)?;
        let next = release(checkout, &[])?;
        settled(emulator, &next)?;
        digests.push(text(&next, "/digest")?);
        images.push(text(&next, "/image")?);
        Ok::<(), anyhow::Error>(())
    });
    let seen = load.finish()?;
    replaced?;
    report("emulator's load balancer", &seen);
    let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
    let numbers = Numbers::of(emulator, &first)?;
    // Whatever came of the first part, the figures of the second are wanted too.
    let second = behind_haproxy(checkout.programs(), &numbers, &images, &digests);
    seen.whole(slowest, &digests).and(second)
}

/// The service's version behind a base URL.
fn version_at(base: &str, rate: u32) -> Result<Target> {
    let url = url::Url::parse(&format!("{base}/version"))?;
    let authority =
        format!("{}:{}", url.host_str().context("no host")?, url.port_or_known_default().context("no port")?);
    Ok(Target { authority, path: url.path().to_owned(), rate })
}

/// The same program in an image of its own: nothing is compiled, and it has another digest all the same.
pub(super) fn another_image(checkout: &Checkout, number: u32) -> Result<()> {
    let title = r#"LABEL org.opencontainers.image.title="api""#;
    let marked = format!("{title} org.opencontainers.image.ref.name=\"{number}\"");
    let file = "docker/Dockerfile";
    let present = checkout.read(file)?;
    let line = present.lines().find(|line| line.starts_with(title)).context("the image has no title")?;
    checkout.edit(file, line, &format!("{marked} \\"))?;
    checkout.commit(&format!("Image {number}"))
}

fn behind_haproxy(programs: &Programs, numbers: &Numbers, images: &[String], digests: &[&str]) -> Result<()> {
    let start = |generation: usize| -> Result<Vec<Task>> {
        (0..TASKS).map(|_| Task::start(programs, numbers, &images[generation], digests[generation])).collect()
    };
    let balancer = Balancer::start(programs, numbers)?;
    let mut old = start(0)?;
    balancer.register(&old)?;
    let load = Load::start(version_at(&balancer.url(), PROXY_RATE)?, PROXY_COUNT);
    let replaced = (1..images.len()).try_for_each(|generation| {
        let new = start(generation)?;
        balancer.register(&new)?;
        let gone = std::mem::replace(&mut old, new);
        balancer.deregister(&gone)?;
        // ECS stops a task once it is deregistered. Twice the signal comes at the same moment instead, which is harder.
        if generation == 1 {
            std::thread::sleep(numbers.deregistration);
        }
        let stopping = Instant::now();
        Task::stop(gone)?;
        let took = stopping.elapsed();
        ensure!(took >= numbers.drain, "the tasks were gone after {took:?}: they did not drain");
        ensure!(took < numbers.stop_timeout, "the tasks had to be killed after {took:?}");
        Ok(())
    });
    let seen = load.finish()?;
    replaced.with_context(|| balancer.log())?;
    report("haproxy with the target group's numbers", &seen);
    seen.whole(SLOWEST, digests).with_context(|| balancer.log())
}

#[expect(clippy::print_stderr, reason = "figures that whoever runs the suite wants to see")]
fn report(way: &str, seen: &Outcome) {
    eprintln!("{way}: {seen}");
}
