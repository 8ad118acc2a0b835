//! Releases that fail under load: no request is lost, the failure is reported soon, and the old version serves in the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use requirements::Programs;
use serde_json::Value;

use super::balancer::Balancer;
use super::numbers::Numbers;
use super::task::Task;
use super::{EMULATOR_SLOWEST, PROXY_RATE, SLOWEST, another_image, report, version_at};
use crate::checkout::{Checkout, Ended};
use crate::client::get;
use crate::load::Load;
use crate::ministack::Ministack;
use crate::rehearsal::{ENVIRONMENT, release, settled, smoke_base, text};

/// The emulator is its own load balancer, and stops answering the release where more is asked of it.
const RATE: u32 = 25;
const TEMPLATE: &str = "infra/api-backend-fargate.yaml";
const DIGEST: &str =
    "            - Name: IMAGE_DIGEST\n              Value: !Select [1, !Split ['@', !Ref ContainerURI]]\n";
const NO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub(super) fn the_old_one_serves(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let first = release(checkout, &[])?;
    settled(emulator, &first)?;
    let (digest, base) = (text(&first, "/digest")?, smoke_base(emulator, &first)?);

    // A version that says that it is another one. Its image is new: the emulator does not wait for new tasks, and the old
    // ones would answer for the same image as they should.
    another_image(checkout, 1)?;
    let load = Load::start(version_at(&base, RATE)?, 0);
    checkout.edit(TEMPLATE, DIGEST, &another_digest())?;
    let wrong = failing(checkout).and_then(|ended| settled(emulator, &first).map(|()| ended));
    let seen = load.finish()?;
    let (wrong, seconds) = wrong?;
    report("a release that answers with the wrong digest", &seen);
    ensure!(wrong.json["error"]["kind"] == "old-version", "{}\n{}", wrong.json, wrong.stderr);
    ensure!(wrong.json["smoke"]["served_digest"] == NO_DIGEST, "what was wrong is told: {}", wrong.json);
    ensure!(seconds < 90.0, "it took {seconds:.0} s: {}", wrong.stderr);
    seen.whole(EMULATOR_SLOWEST, &[&digest, NO_DIGEST])?;
    came_back(checkout, &wrong, &base, &digest)?;

    // One that ends at once. The emulator takes it for a target as soon as it is started, so there is no load meanwhile.
    checkout.edit(TEMPLATE, &another_digest(), DIGEST)?;
    checkout.edit("docker/Dockerfile", r#"CMD ["/api"]"#, r#"CMD ["/api", "no-such-argument"]"#)?;
    let (crash, _) = failing(checkout)?;
    let waited = phase_seconds(&crash.json, "smoke").context("no proof was tried")?;
    ensure!(waited < 30.0, "it was noticed {waited:.0} s after the stack was done: {}", crash.stderr);
    ensure!(crash.json["error"]["log"].to_string().contains("no-such-argument"), "with its words: {}", crash.json);
    came_back(checkout, &crash, &base, &digest)?;

    never_healthy(checkout.programs(), &Numbers::of(emulator, &first)?, &text(&first, "/image")?, &digest)
}

/// The line of the template for a digest that nobody deployed.
fn another_digest() -> String {
    format!("            - Name: IMAGE_DIGEST\n              Value: {NO_DIGEST}\n")
}

/// A release that has to fail, and how long it took.
fn failing(checkout: &Checkout) -> Result<(Ended, f64)> {
    checkout.commit("Break it")?;
    let begun = Instant::now();
    let ended = checkout.xtask(&["release", ENVIRONMENT, "--yes"])?;
    let said = format!("{}\n{}", ended.json, ended.stderr);
    ensure!(ended.code == Some(4), "it is turned back, and says so: ended with {:?}: {said}", ended.code);
    Ok((ended, begun.elapsed().as_secs_f64()))
}

fn came_back(checkout: &Checkout, failed: &Ended, base: &str, digest: &str) -> Result<()> {
    let notes = failed.json["error"]["notes"].to_string();
    ensure!(notes.contains("serves again, and is proved"), "{}", failed.json);
    ensure!(get(&format!("{base}/version"), &[])?.body.contains(digest), "the old one serves");
    let status = checkout.xtask(&["status", ENVIRONMENT])?.well()?;
    let releases = status["releases"].as_array().context("no releases")?;
    let outcomes: Vec<&str> = releases.iter().filter_map(|one| one["outcome"].as_str()).take(2).collect();
    ensure!(outcomes == ["succeeded", "unproved"], "both are recorded: {status}");
    ensure!(releases[0]["back_to"] == 1 && releases[0]["running"] == true, "as what they were: {status}");
    Ok(())
}

fn phase_seconds(json: &Value, name: &str) -> Option<f64> {
    json["phases"].as_array()?.iter().find(|phase| phase["name"] == name)?["seconds"].as_f64()
}

/// New tasks beside the old ones that never answer, or answer their health check with 503: none gets a request.
fn never_healthy(programs: &Programs, numbers: &Numbers, image: &str, digest: &str) -> Result<()> {
    let balancer = Balancer::start(programs, numbers)?;
    let old = [Task::start(programs, numbers, image, digest)?, Task::start(programs, numbers, image, digest)?];
    balancer.register(&old)?;
    let load = Load::start(version_at(&balancer.url(), PROXY_RATE)?, 0);
    let deaf = Task::start_with(programs, numbers, image, NO_DIGEST, &[("API_PORT", "9")])?;
    let draining = Task::start_with(programs, numbers, image, NO_DIGEST, &[("API_DRAIN_SECONDS", "600")])?;
    std::thread::sleep(Duration::from_millis(500));
    draining.signal("TERM")?;
    let bad = [deaf, draining];
    let tried = balancer.add(&bad).and_then(|places| {
        std::thread::sleep(numbers.interval * (numbers.healthy + 2));
        ensure!(!balancer.are_up(&places)?, "they were taken for healthy");
        balancer.deregister(&bad)
    });
    let stopped = Task::stop(bad.into());
    let seen = load.finish()?;
    tried.and(stopped).with_context(|| balancer.log())?;
    report("tasks that never get healthy, beside good ones behind haproxy", &seen);
    seen.whole(SLOWEST, &[digest])
}
