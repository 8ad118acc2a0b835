//! The image on its way into a registry that asks for a password: the reference implementation.
//!
//! The emulator plays ECR, whose token says the password; `--registry` names the real registry.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{DOCKER, DOCKER_REGISTRY, GIT, HTPASSWD, Programs, Suite};
use tempfile::TempDir;

use crate::checkout::Checkout;
use crate::ministack::{self, Ministack, Names};
use crate::registry::{Registry, USER, run};

/// The password in the emulator's authorization token.
const PASSWORD: &str = "ministack-auth-token";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = [ministack::needed(Names::Machine), &[GIT, DOCKER, DOCKER_REGISTRY, HTPASSWD]].concat();
    vec![
        suite.test("push::the_right_password_lands_the_digest_that_is_printed", &needed, right),
        suite.test("push::a_wrong_password_is_one_clear_error", &needed, wrong),
    ]
}

fn right(programs: &Programs) -> Result<()> {
    let (checkout, folder) = (Checkout::fresh(programs)?, TempDir::new()?);
    let emulator = Ministack::start(programs, Names::Machine)?;
    checkout.rehearse_at(&emulator.authority())?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let released = checkout.xtask(&["release", "rehearsal", "--yes", "--registry", registry.host()])?;
    ensure!(!released.stderr.contains(PASSWORD), "the password is shown: {}", released.stderr);
    let released = released.well()?;
    let image = released["image"].as_str().context("no image")?;
    let digest = released["digest"].as_str().context("no digest")?;
    ensure!(image == format!("{}/rest-api@{digest}", registry.host()), "{image} is elsewhere");
    ensure!(released["pushed_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "nothing was pushed: {released}");

    // A registry that keeps no list of what refers to an image: the list is under a tag.
    let own = format!("registry = \"{}\"", emulator.authority());
    checkout.edit("deploy.toml", &own, &format!("registry = \"{}\"", registry.host()))?;
    let verified = checkout.xtask(&["verify", image])?;
    ensure!(!verified.stderr.contains(PASSWORD), "the password is shown: {}", verified.stderr);
    let verified = verified.well()?;
    ensure!(verified["attestations"].as_array().map(Vec::len) == Some(2), "both are found: {verified}");
    let again = checkout.xtask(&["release", "rehearsal", "--yes"])?.well()?;
    let attest = again["phases"].as_array().into_iter().flatten().find(|phase| phase["name"] == "attest");
    ensure!(attest.is_some_and(|phase| phase["skipped"] == true), "what is there stays: {again}");

    // What another engine would get: the engine's own copy is out of the way.
    checkout.xtask(&["destroy", "rehearsal", "--yes"])?.well()?;
    let docker = || {
        let mut docker = programs.command(DOCKER);
        docker.env("DOCKER_CONFIG", folder.path().join("docker"));
        docker
    };
    run(docker().args(["login", "--username", USER, "--password", PASSWORD, registry.host()]))?;
    forget(programs, &registry)?;
    run(docker().args(["pull", "--quiet", image]))?;
    let pulled = run(docker().args(["inspect", "--format", "{{index .RepoDigests 0}}", image]))?;
    run(docker().args(["rmi", "--force", image]))?;
    ensure!(pulled.trim() == image, "the pull brought {pulled}");
    Ok(())
}

/// Removes what is in the registry from this engine, under whatever name, so that a pull downloads it from there.
fn forget(programs: &Programs, registry: &Registry) -> Result<()> {
    let name = format!("{}/rest-api", registry.host());
    let ids = run(programs.command(DOCKER).args(["images", "--quiet", "--no-trunc", &name]))?;
    for id in ids.lines().collect::<BTreeSet<_>>() {
        run(programs.command(DOCKER).args(["rmi", "--force", id]))?;
    }
    Ok(())
}

fn wrong(programs: &Programs) -> Result<()> {
    let (checkout, folder) = (Checkout::fresh(programs)?, TempDir::new()?);
    let emulator = Ministack::start(programs, Names::Machine)?;
    checkout.rehearse_at(&emulator.authority())?;
    let registry = Registry::start(programs, folder.path(), "another password")?;
    let refused = checkout.xtask(&["release", "rehearsal", "--yes", "--registry", registry.host()])?;
    ensure!(refused.code == Some(1), "ended with {:?}: {}", refused.code, refused.json);
    let error = &refused.json["error"];
    ensure!(refused.json["ok"] == false && error["kind"] == "push", "{}", refused.json);
    ensure!(error["resource"].as_str().is_some_and(|resource| resource.starts_with(registry.host())), "{error}");
    ensure!(error["hint"].as_str().is_some_and(|hint| hint.contains("refused the credentials")), "{error}");
    let shown = format!("{}{}", refused.json, refused.stderr);
    ensure!(!shown.contains(PASSWORD), "the password is shown: {shown}");
    ensure!(refused.stderr.matches("error:").count() == 1, "more than one error: {}", refused.stderr);
    let stack = checkout.xtask(&["status", "rehearsal"])?.well()?;
    ensure!(stack.get("stack_status").is_none(), "a stack was made: {stack}");
    forget(programs, &registry)
}
