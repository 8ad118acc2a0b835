//! Commands in tasks of their own on the emulator: before the first release, before the next one, and by hand.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use requirements::Suite;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::client::Steady;
use crate::downtime::another_image;
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{ENVIRONMENT, is_complete, needed, prepared, release, smoke_base, text, until};

const SERVICE: &str = "[service]\n";
/// A command of the image that succeeds, and one that does not.
const GOOD: &str = "before_release = [\"/api\", \"--version\"]\n";
const BAD: &str = "before_release = [\"/api\", \"no-such-argument\"]\n";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = needed(Names::Machine, &[]);
    let name = "one_off::a_command_runs_before_each_release_and_by_hand";
    vec![suite.test(name, &needed, |programs| prepared(programs, Names::Machine, commands))]
}

fn commands(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let set = |from: &str, to: &str| {
        checkout.edit("deploy.toml", &format!("{SERVICE}{from}"), &format!("{SERVICE}{to}"))?;
        checkout.commit("Change the command before a release")
    };
    // Before the first task serves: nothing is rolled out where it fails.
    set("", BAD)?;
    let failed = checkout.xtask(&["release", ENVIRONMENT, "--yes"])?;
    let error = &failed.json["error"];
    ensure!(failed.code == Some(1) && error["kind"] == "before-release", "{}\n{}", failed.json, failed.stderr);
    ensure!(error["log"].to_string().contains("no-such-argument"), "with its log: {error}");
    let status = checkout.xtask(&["status", ENVIRONMENT])?.well()?;
    ensure!(status["outputs"].get("ServiceName").is_none(), "no task serves: {status}");
    let early = checkout.xtask(&["run", ENVIRONMENT, "--", "/api", "--version"])?;
    ensure!(early.code == Some(1) && early.json["error"]["kind"] == "no-release", "{}", early.json);

    // The next release goes on from there.
    set(BAD, GOOD)?;
    let first = release(checkout, &[])?;
    ensure!(phases(&first).contains(&"before"), "the command is a phase: {first}");
    serves(emulator, &first)?;
    let (digest, base) = (text(&first, "/digest")?, smoke_base(emulator, &first)?);

    // A failing one leaves the version that serves, which loses no request meanwhile.
    set(GOOD, BAD)?;
    another_image(checkout, 1)?;
    let user = Steady::start(&base, None);
    let failed = checkout.xtask(&["release", ENVIRONMENT, "--yes"]);
    let tally = user.stop()?;
    let failed = failed?;
    ensure!(failed.code == Some(1), "{}\n{}", failed.json, failed.stderr);
    ensure!(tally.failed.is_empty() && tally.asked > 0, "{} requests failed: {:?}", tally.failed.len(), tally.failed);
    ensure!(tally.digests.keys().all(|seen| *seen == digest), "only the old version answers: {:?}", tally.digests);
    let status = checkout.xtask(&["status", ENVIRONMENT])?.well()?;
    ensure!(status["image"].as_str().is_some_and(|image| image.ends_with(&digest)), "{status}");
    ensure!(status["releases"][0]["outcome"] == "failed", "it is recorded: {status}");

    // By hand, with the released image.
    let run = |command: &[&str]| checkout.xtask(&[&["run", ENVIRONMENT, "--"], command].concat());
    let good = run(&["/api", "--version"])?.well()?;
    ensure!(good["exit_code"] == 0 && good["logs"][0]["message"].to_string().contains("api"), "{good}");
    let bad = run(&["/api", "no-such-argument"])?;
    ensure!(bad.code == Some(2) && bad.json["error"]["kind"] == "command", "{}", bad.json);
    let limited = checkout.xtask(&["run", ENVIRONMENT, "--timeout", "3s", "--", "/api"])?;
    ensure!(limited.code == Some(1) && limited.json["error"]["kind"] == "deadline", "{}", limited.json);
    ensure!(limited.json["error"]["reason"].to_string().contains("was stopped"), "{}", limited.json);
    Ok(())
}

/// Waits until both tasks of the service run. The emulator keeps the containers of commands, so they are not counted.
pub(crate) fn serves(emulator: &Ministack, release: &Value) -> Result<()> {
    until(emulator, release, "two tasks were to serve", |deployments| Ok(deployments.iter().all(is_complete)))
}

fn phases(release: &Value) -> Vec<&str> {
    release["phases"].as_array().into_iter().flatten().filter_map(|phase| phase["name"].as_str()).collect()
}
