//! What `diff` works out against what an emulator's change sets say, and what `drift` finds there.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Support;
use crate::checkout::Checkout;
use crate::client;
use crate::ministack::{self, Ministack, Names};
use crate::rehearsal::{ENVIRONMENT, prepared, release, settled, text};

const TEMPLATE: &str = "infra/api-backend-fargate.yaml";
const CIDR: &str = r#"DirectAccessCidr = "127.0.0.1/32""#;

/// Edits of one file, each by itself: what is replaced, and by what.
const EDITS: [(&str, &str, &str); 9] = [
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.0/8\""),
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.1/32\"\nLogRetentionDays = 30"),
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.1/32\"\nMemory = 1024"),
    ("deploy.toml", CIDR, "DirectAccessCidr = \"127.0.0.1/32\"\nLogLevel = \"debug\""),
    (TEMPLATE, "API_LOG_FORMAT, Value: json", "API_LOG_FORMAT, Value: text"),
    (TEMPLATE, "\nOutputs:\n", "\n  Extra: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 5}}\n\nOutputs:\n"),
    (
        TEMPLATE,
        "\nOutputs:\n",
        "\n  Extra: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt LogGroup.Arn}}\n\nOutputs:\n",
    ),
    (TEMPLATE, "RetentionInDays: !Ref LogRetentionDays,", "RetentionInDays: 7,"),
    // Last, for it is released: another image.
    ("crates/api/src/handlers.rs", r#"Health { status: "ok" }"#, r#"Health { status: "fine" }"#),
];

pub(crate) fn trials(support: &Support) -> Vec<Trial> {
    let missing = || ministack::missing(Names::Machine);
    let run = || prepared(Names::Machine, trial);
    vec![support.trial("difference::diff_says_what_a_change_set_says_and_drift_what_was_done_by_hand", missing, run)]
}

fn trial(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let first = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
    ensure!(first["change"] == "create" && changes(&first)?.len() > 20, "everything is new: {first}");
    let released = release(checkout, &[])?;
    let same = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
    ensure!(same["change"] == "none" && same["digest"] == released["digest"], "nothing would change: {same}");
    let before = status(checkout)?;
    for (file, from, to) in EDITS {
        checkout.edit(file, from, to)?;
        checkout.commit("Try an edit")?;
        let told = checkout.xtask(&["diff", ENVIRONMENT])?.well()?;
        let left = status(checkout)?;
        ensure!(
            before["stack_updated"] == left["stack_updated"] && left.get("locked_by").is_none(),
            "it only read: {left}"
        );
        let planned = checkout.xtask(&["plan", ENVIRONMENT, "--out", "plan.json"])?.well()?;
        let plan: Value = serde_json::from_str(&checkout.read("plan.json")?)?;
        let (told, planned) = (changes(&told)?, (changes(&plan)?, planned));
        ensure!(told == planned.0, "{to:?} in {file}:\n diff: {told:?}\n plan: {planned:?}");
        ensure!(!told.is_empty(), "{to:?} in {file} changes nothing");
        checkout.edit(file, to, from)?;
    }
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

fn status(checkout: &Checkout) -> Result<Value> {
    checkout.xtask(&["status", ENVIRONMENT])?.well()
}

/// Actions and names. The emulator says of whatever is modified that it may be replaced.
fn changes(object: &Value) -> Result<BTreeSet<(String, String)>> {
    let changes = object["changes"].as_array().with_context(|| format!("no changes in {object}"))?;
    changes.iter().map(|change| Ok((text(change, "/action")?, text(change, "/logical_id")?))).collect()
}
