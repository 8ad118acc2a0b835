//! `infra/confirm/run`, which asks an account what no test can know, as far as an emulator goes.

use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{AWS, BASH, CURL, JQ, Suite};

use crate::checkout::Checkout;
use crate::client;
use crate::ministack::{Ministack, Names};
use crate::permissions::ACCOUNT;
use crate::rehearsal::{needed, prepared};

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = needed(Names::Machine, &[AWS, BASH, CURL, JQ]);
    let name = "confirm::it_asks_what_an_emulator_knows_and_removes_everything";
    vec![suite.test(name, &needed, |programs| prepared(programs, Names::Machine, asks))]
}

fn asks(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let folder = tempfile::tempdir()?;
    let script = checkout.root().join("infra/confirm/run");
    let run = |account: &str| {
        let mut command = checkout.programs().command(BASH);
        command.arg(&script).args(["--account", account, "--endpoint", &endpoint, "--yes"]).current_dir(folder.path());
        command.env("XTASK", env!("CARGO_BIN_EXE_xtask")).envs(checkout.cargo());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.output().context("cannot start the script")
    };
    let other = run("999999999999")?;
    ensure!(other.status.code() == Some(3), "another account is refused: {other:?}");
    let ended = run(ACCOUNT)?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{}\n{said}", ended.status);
    let table = fs::read_to_string(folder.path().join("confirm.md"))?;
    let verdict = |question: &str| {
        let line = table.lines().find(|line| line.contains(question));
        line.and_then(|line| line.trim_end_matches(" |").rsplit(" | ").next().map(str::to_owned))
    };
    for question in ["does the gateway reach the service", "what users get while a release replaces the service"] {
        ensure!(verdict(question).as_deref() == Some("as expected"), "{question}:\n{table}\n{said}");
    }
    let skipped = verdict("instance: everything");
    ensure!(skipped.is_some_and(|verdict| verdict.starts_with("not asked")), "{table}");
    ensure!(emulator.containers()? == 0, "no task outlives it");
    for action in ["ListRoles", "ListPolicies"] {
        let fields = [("Action", action), ("Version", "2010-05-08"), ("Scope", "Local")];
        let left = client::form(&endpoint, "iam", &fields)?.body;
        ensure!(left.contains(action) && !left.contains("confirm-"), "{action}: {left}");
    }
    Ok(())
}
