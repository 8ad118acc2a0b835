//! What `diff` works out against what an emulator's change sets say, and what `drift` finds there.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::Suite;
use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::client;
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{ENVIRONMENT, needed, prepared, release, settled, text};

const TEMPLATE: &str = "infra/api-backend-fargate.yaml";
const CIDR: &str = r#"DirectAccessCidr = "127.0.0.1/32""#;

/// Edits of one file, each by itself: what is replaced, and by what.
const EDITS: [(&str, &str, &str); 6] = [
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.0/16\""),
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.1/32\"\nMemory = 1024"),
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.1/32\"\nLogLevel = \"debug\""),
    (
        TEMPLATE,
        "            - Name: API_LOG_FORMAT\n              Value: json\n",
        "            - Name: API_LOG_FORMAT\n              Value: text\n",
    ),
    (TEMPLATE, "ApiGatewayClientErrors", "ApiGatewayClientFaults"),
    // Last, for its image is published: another image.
    ("crates/chassis/src/health.rs", r#"Health { status: "ok" }"#, r#"Health { status: "fine" }"#),
];
/// Edits in place of what others name. The emulator has no schemas to read, so the tool takes such a change for one that may
/// replace, and reports those others too; a change set knows better.
const IN_PLACE: [(&str, &str, &str); 2] = [
    (
        TEMPLATE,
        "idle_timeout.timeout_seconds\n          Value: '60'\n",
        "idle_timeout.timeout_seconds\n          Value: '61'\n",
    ),
    (TEMPLATE, "To the tasks, from API Gateway", "To the tasks, from a gateway"),
];

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let name = "difference::diff_says_what_a_change_set_says_and_drift_what_was_done_by_hand";
    vec![suite.test(name, &needed(Names::Machine, &[]), |programs| prepared(programs, Names::Machine, test))]
}

fn test(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let first = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
    ensure!(first["change"] == "create" && changes(&first)?.len() > 20, "everything is new: {first}");
    let released = release(checkout, &[])?;
    let same = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
    ensure!(same["change"] == "none" && same["digest"] == released["digest"], "nothing would change: {same}");
    let there = created(checkout)?;
    let added: BTreeSet<String> = changes(&first)?.into_iter().map(|(_, id)| id).collect();
    ensure!(added == there, "what was to be added and is not there, or the reverse: {added:?} {there:?}");
    let before = status(checkout)?;
    let mut wrong = Vec::new();
    for (file, from, to) in IN_PLACE.into_iter().chain(EDITS) {
        checkout.edit(file, from, to)?;
        checkout.commit("Try an edit")?;
        let told = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
        let left = status(checkout)?;
        ensure!(
            before["stack_updated"] == left["stack_updated"] && left.get("locked_by").is_none(),
            "it only read: {left}"
        );
        checkout.xtask(&["plan", ENVIRONMENT, "--out", "plan.json"])?.well()?;
        let plan: Value = serde_json::from_str(&checkout.read("plan.json")?)?;
        let (told, mut planned) = (changes(&told)?, changes(&plan)?);
        // The emulator also modifies what no condition has let it create.
        planned.retain(|(action, id)| action != "Modify" || there.contains(id));
        let may_be_more = IN_PLACE.contains(&(file, from, to));
        let right = if may_be_more { told.is_superset(&planned) } else { told == planned };
        if !right || planned.is_empty() {
            wrong.push(format!("{to:?} in {file}:\n diff: {told:?}\n plan: {planned:?}"));
        }
        checkout.edit(file, to, from)?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    drifts(checkout, emulator, &released)
}

fn drifts(checkout: &Checkout, emulator: &Ministack, released: &Value) -> Result<()> {
    settled(emulator, released)?;
    let calm = checkout.xtask(&["drift", ENVIRONMENT])?;
    ensure!(calm.code == Some(0), "nothing was done by hand: {} {}", calm.json, calm.stderr);
    let endpoint = format!("http://{}", emulator.authority());
    let group = text(released, "/outputs/LogGroupName")?;
    let retention = json!({"logGroupName": group, "retentionInDays": 1});
    client::call(&endpoint, "logs", "Logs_20140328.PutRetentionPolicy", &retention)?;
    let drifted = checkout.xtask(&["drift", ENVIRONMENT])?;
    let found = &drifted.json["drift"][0];
    ensure!(drifted.code == Some(1) && drifted.json["error"]["kind"] == "drift", "it is found: {}", drifted.json);
    ensure!(found["resource"] == "LogGroup", "and named: {found}");
    let property = &found["properties"][0];
    ensure!(property["path"] == "/RetentionInDays" && property["actual"] == "1", "with its value: {property}");
    Ok(())
}

/// The resources that the emulator has made.
fn created(checkout: &Checkout) -> Result<BTreeSet<String>> {
    let told = checkout.xtask(&["events", ENVIRONMENT, "--limit", "1000"])?.well()?;
    let events = told["events"].as_array().context("no events")?;
    let made = events.iter().filter(|event| event["status"] == "CREATE_COMPLETE");
    let made = made.filter(|event| event["resource_type"] != "AWS::CloudFormation::Stack");
    made.map(|event| text(event, "/logical_id")).collect()
}

fn status(checkout: &Checkout) -> Result<Value> {
    checkout.xtask(&["status", ENVIRONMENT])?.well()
}

/// Actions and names. The emulator says of whatever is modified that it may be replaced.
fn changes(object: &Value) -> Result<BTreeSet<(String, String)>> {
    let changes = object["changes"].as_array().with_context(|| format!("no changes in {object}"))?;
    changes.iter().map(|change| Ok((text(change, "/action")?, text(change, "/logical_id")?))).collect()
}
