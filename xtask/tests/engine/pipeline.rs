//! The pipeline, from a fork to a rollback: every `run:` of every workflow in a clean clone, with what GitHub sets, on an
//! emulator that enforces IAM, by the roles that `bootstrap` makes.

mod expression;
mod fork;
mod github;
mod trigger;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{BASH, SHELLCHECK, Suite};
use serde_json::json;

use crate::ministack::Names;
use crate::rehearsal;
use fork::Fork;
use trigger::{MAIN, Trigger};
use workflow::Ended;

const RELEASE: &str = "release.yml";
/// The comment on a pull request.
const COMMENTS: &[&str] = &["tool", "plan", "comment"];

type Jobs = BTreeMap<String, Ended>;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    // What `.ci/run` does not find it would install.
    let needed = rehearsal::needed(Names::Machine, &[BASH, SHELLCHECK]);
    vec![suite.test("pipeline::from_a_fork_to_a_release_and_back", &needed, |programs| {
        programs.assert_named(SHELLCHECK);
        let fork = Fork::new(programs)?;
        whole(&fork).with_context(|| format!("the emulator's last words:\n{}", fork.emulator.log()))
    })]
}

fn whole(fork: &Fork) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut note = |jobs: &Jobs| seen.extend(jobs.values().flat_map(|job| job.commands.clone()));

    let first = first_release(fork)?;
    note(&first);
    note(&pull_request(fork)?);
    note(&second_release(fork)?);
    note(&rollback(fork)?);
    note(&tag(fork)?);
    note(&drift(fork)?);
    note(&fork.run("newest.yml", &Trigger::clock())?);
    note(&preview(fork)?);
    note(&failure(fork)?);

    let all = fork.commands()?;
    let missing: Vec<&String> = all.difference(&seen).collect();
    ensure!(missing.is_empty(), "never run: {missing:?}");
    ensure!(all.len() >= 12, "only {} commands were found", all.len());
    Ok(())
}

/// main → dev: planned by one role, applied by another, verified; both say so.
fn first_release(fork: &Fork) -> Result<Jobs> {
    fork.github.ci_ends("failure");
    let jobs = fork.run(RELEASE, &Trigger::push(MAIN))?;
    ensure!(jobs["passed"].failed && !jobs["plan"].ran, "what CI has not passed is released: {jobs:?}");
    fork.github.ci_ends("success");
    let jobs = fork.run(RELEASE, &Trigger::push(MAIN))?;
    let (plan, apply) = (good(&jobs, "plan")?, good(&jobs, "apply")?);
    ensure!(!jobs["announce"].ran, "a push is no release of the repository");
    summarised(plan, &["dev", "LoadBalancer", "fixed monthly cost", "sha256:"])?;
    summarised(apply, &["dev", "digest", "served digest", "| smoke |"])?;
    ensure!(apply.url.starts_with("http://") && apply.url.contains("/_alb/"), "its environment has a URL: {apply:?}");
    Ok(jobs)
}

/// A pull request gets one comment with what it would change, by a role that can only read, however often it is pushed to.
fn pull_request(fork: &Fork) -> Result<Jobs> {
    fork.checkout.edit("deploy.toml", "MaxTasks = 2\n", "MaxTasks = 2\nLogRetentionDays = 14\n")?;
    fork.checkout.commit("Keep the logs for a shorter time")?;
    let event = json!({"action": "synchronize", "pull_request": {
        "number": 12, "head": {"repo": {"full_name": github::REPOSITORY}}, "labels": [],
    }});
    let jobs = fork.run("ci.yml", &Trigger::pull_request(event.clone()))?;
    for job in ["lint", "unit", "checks", "dependencies", "plan", "comment"] {
        good(&jobs, job)?;
    }
    let comments = fork.github.comments();
    let [comment] = &comments[..] else { anyhow::bail!("one comment is wanted: {comments:?}") };
    for part in ["dev", "production", "LogGroup", "Modify", "Properties.RetentionInDays", "from commit"] {
        ensure!(comment.contains(part), "{part} is not in {comment}");
    }
    fork.run("ci.yml", &Trigger::pull_request(event).only(COMMENTS))?;
    ensure!(fork.github.comments().len() == 1, "the comment is repeated: {:?}", fork.github.comments());
    let foreign = json!({"pull_request": {"number": 12, "head": {"repo": {"full_name": "mallory/shop"}}}});
    let jobs_of_a_fork = fork.run("ci.yml", &Trigger::pull_request(foreign).only(COMMENTS))?;
    ensure!(!jobs_of_a_fork["plan"].ran && !jobs_of_a_fork["comment"].ran, "a fork's job gets no role");
    Ok(jobs)
}

/// What was merged arrives, with a changed service.
fn second_release(fork: &Fork) -> Result<Jobs> {
    fork.checkout.edit("crates/chassis/src/health.rs", r#"Health { status: "ok" }"#, r#"Health { status: "fine" }"#)?;
    fork.checkout.commit("Change the service")?;
    let jobs = fork.run(RELEASE, &Trigger::push(MAIN))?;
    summarised(good(&jobs, "apply")?, &["update", "LogGroup"])?;
    Ok(jobs)
}

/// Back to the release before, by hand.
fn rollback(fork: &Fork) -> Result<Jobs> {
    let inputs = json!({"environment": "dev", "release": ""});
    let jobs = fork.run("rollback.yml", &Trigger::by_hand(inputs))?;
    summarised(good(&jobs, "rollback")?, &["update", "served digest"])?;
    let inputs = json!({"environment": "dev", "release": "2"});
    let forward = fork.run("rollback.yml", &Trigger::by_hand(inputs))?;
    good(&forward, "rollback")?;
    Ok(jobs)
}

/// A tag → production, and a release of the repository with the changelog's notes. One that says otherwise is refused.
fn tag(fork: &Fork) -> Result<Jobs> {
    let version = fork.checkout.xtask(&["version", "--write"])?.well()?["version"].clone();
    let version = version.as_str().context("a version")?.to_owned();
    fork.checkout.commit("A version")?;
    let wrong = fork.run(RELEASE, &Trigger::push("refs/tags/v9.9.9"))?;
    ensure!(wrong["plan"].failed && !wrong["apply"].ran, "a tag that is no version is released: {wrong:?}");
    let jobs = fork.run(RELEASE, &Trigger::push(&format!("refs/tags/v{version}")))?;
    summarised(good(&jobs, "apply")?, &["production", "create"])?;
    good(&jobs, "announce")?;
    let releases = fork.github.releases();
    ensure!(
        releases.iter().any(|(tag, notes)| *tag == format!("v{version}") && notes.contains("### Added")),
        "no release with notes: {releases:?}"
    );
    Ok(jobs)
}

/// At night: both environments are checked.
fn drift(fork: &Fork) -> Result<Jobs> {
    let jobs = fork.run("drift.yml", &Trigger::clock())?;
    for name in ["dev", "production"] {
        ensure!(jobs[name].ran, "{name} was not looked at");
        summarised(&jobs[name], &[&format!("cargo xtask drift {name}"), "| drift |"])?;
    }
    Ok(jobs)
}

/// A label makes a stack of a pull request's own. Closing removes it, and what is left then goes at night.
fn preview(fork: &Fork) -> Result<Jobs> {
    let event = |action: &str| {
        let state = if action == "closed" { "closed" } else { "open" };
        json!({"action": action, "pull_request": {
            "state": state,
            "number": 12, "head": {"repo": {"full_name": github::REPOSITORY}}, "base": {"sha": "main"},
            "labels": [{"name": "preview"}],
        }})
    };
    let preview = |action| fork.run("preview.yml", &Trigger::pull_request(event(action)));
    let mut jobs = preview("labeled")?;
    summarised(good(&jobs, "release")?, &["preview/pr-12", "rest-api-preview-pr-12", "served digest"])?;
    ensure!(!jobs["remove"].ran, "it is not removed at once");
    let stack = "rest-api-preview-pr-12";
    let sweep = || fork.run("sweep.yml", &Trigger::clock());
    let swept = sweep()?;
    ensure!(good(&swept, "sweep")?.log.contains("nothing to remove"), "an open pull request loses it: {swept:?}");
    fork.github.pull_request_is("closed");
    let mut late = event("labeled");
    late["pull_request"]["state"] = json!("closed");
    let late = fork.run("preview.yml", &Trigger::pull_request(late))?;
    ensure!(late.values().all(|job| !job.ran), "a label on a closed pull request starts something: {late:?}");
    let mut swept = sweep()?;
    ensure!(good(&swept, "sweep")?.log.contains(&format!("removed stack {stack}")), "it is left: {swept:?}");
    let mut closed = preview("closed")?;
    ensure!(good(&closed, "remove")?.log.contains("nothing to remove"), "there is more: {closed:?}");
    ensure!(!closed["release"].ran, "a closed pull request is released");
    for (name, job) in [("removal", closed.remove("remove")), ("sweep", swept.remove("sweep"))] {
        jobs.insert(name.to_owned(), job.context("a job")?);
    }
    Ok(jobs)
}

/// A release that fails says why in its summary, and where in the template.
fn failure(fork: &Fork) -> Result<Jobs> {
    let template = "infra/api-backend-fargate.yaml";
    fork.checkout.edit(template, &rehearsal::log_format("json"), &rehearsal::log_format("nonsense"))?;
    fork.checkout.commit("Set what the service does not take")?;
    let jobs = fork.run(RELEASE, &Trigger::push(MAIN))?;
    let apply = &jobs["apply"];
    ensure!(apply.ran && apply.failed, "it should fail: {apply:?}");
    summarised(apply, &["failed", "exit code", template])?;
    ensure!(apply.log.contains(&format!("::error file={template},line=")), "no line is annotated: {}", apply.log);
    Ok(jobs)
}

/// A job that ran well.
fn good<'a>(jobs: &'a Jobs, name: &str) -> Result<&'a Ended> {
    let job = jobs.get(name).with_context(|| format!("there is no job {name}"))?;
    ensure!(job.ran && !job.failed, "{name} {}: {}", if job.ran { "failed" } else { "did not run" }, job.log);
    Ok(job)
}

/// Whether a job's summary says all this, and neither it nor the log a secret.
fn summarised(job: &Ended, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(job.summary.contains(part), "{part:?} is not in the summary:\n{}\n{}", job.summary, job.log);
    }
    for secret in [github::TOKEN, github::BEARER, "c2ln"] {
        ensure!(!job.summary.contains(secret) && !job.log.contains(secret), "{secret:?} is told");
    }
    Ok(())
}
