//! The state of the emulator, read without the faults: the stack and its history, change sets, records, images.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::client;

/// Longest that the emulator may work on one of the suite's small stacks.
const REST: Duration = Duration::from_secs(20);

/// A stack at rest, and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// Empty where there is no stack.
    pub(crate) status: String,
    /// Operations that ended well.
    pub(crate) deployments: usize,
    /// Change sets that could still be executed.
    pub(crate) change_sets: usize,
    /// The digest that the stack's resource has got.
    pub(crate) running: Option<String>,
    /// What lies below the tool's own path of parameters: `lock`, `inputs`, `releases`.
    pub(crate) parameters: BTreeSet<String>,
    /// Releases that are recorded as succeeded.
    pub(crate) recorded: usize,
    pub(crate) repository: bool,
    pub(crate) images: usize,
}

/// Looks once the stack has come to rest.
pub(crate) fn read(emulator: &str, stack: &str, service: &str) -> Result<Leftovers> {
    let deadline = Instant::now() + REST;
    let status = loop {
        let status = status(emulator, stack)?;
        // An empty stack waits for a change set to be executed, and would do so for ever.
        if status == "REVIEW_IN_PROGRESS" || !status.ends_with("_IN_PROGRESS") {
            break status;
        }
        ensure!(Instant::now() < deadline, "{stack} does not come to rest: {status}");
        sleep(Duration::from_millis(100));
    };
    let status = if status == "DELETE_COMPLETE" { String::new() } else { status };
    let mut left = Leftovers { running: running(emulator, stack)?, status, ..Leftovers::default() };
    if !left.status.is_empty() {
        let events = cloudformation(emulator, "DescribeStackEvents", stack)?;
        left.deployments = ended_well(&events, stack);
        left.change_sets = open_change_sets(emulator, stack)?;
    }
    left.parameters = parameters(emulator, stack)?;
    left.recorded = if left.parameters.contains("releases") { recorded(emulator, stack)? } else { 0 };
    let ecr = |action: &str, body: Value| {
        client::call(emulator, "ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), &body)
    };
    left.repository = ecr("DescribeRepositories", json!({ "repositoryNames": [service] })).is_ok();
    if left.repository {
        let images = ecr("ListImages", json!({ "repositoryName": service }))?;
        left.images = images["imageIds"].as_array().map_or(0, Vec::len);
    }
    Ok(left)
}

/// The digest of the image that the stack's resource was last given.
pub(crate) fn running(emulator: &str, stack: &str) -> Result<Option<String>> {
    let body = json!({ "Names": [format!("/faults/{stack}")] });
    let answer = client::call(emulator, "ssm", "AmazonSSM.GetParameters", &body)?;
    let image = answer.pointer("/Parameters/0/Value").and_then(Value::as_str);
    Ok(image.and_then(|image| image.split_once('@')).map(|(_, digest)| digest.to_owned()))
}

fn parameters(emulator: &str, stack: &str) -> Result<BTreeSet<String>> {
    let path = format!("/xtask/{stack}/");
    let body = json!({ "Path": path, "Recursive": true });
    let answer = client::call(emulator, "ssm", "AmazonSSM.GetParametersByPath", &body)?;
    let names = answer["Parameters"].as_array().into_iter().flatten().filter_map(|found| found["Name"].as_str());
    let first = |name: &str| name.trim_start_matches(&path).split('/').next().unwrap_or_default().to_owned();
    Ok(names.map(first).collect())
}

/// Deletes the record of the stack's releases.
pub(crate) fn forget(emulator: &str, stack: &str) -> Result<()> {
    let body = json!({ "Name": format!("/xtask/{stack}/releases") });
    client::call(emulator, "ssm", "AmazonSSM.DeleteParameter", &body).map(drop)
}

fn recorded(emulator: &str, stack: &str) -> Result<usize> {
    let body = json!({ "Name": format!("/xtask/{stack}/releases") });
    let answer = client::call(emulator, "ssm", "AmazonSSM.GetParameterHistory", &body)?;
    let records = answer["Parameters"].as_array().into_iter().flatten().filter_map(|version| version["Value"].as_str());
    // The same record twice is one release, and the tool shows one.
    let good: BTreeSet<&str> = records.filter(|record| record.contains(r#""outcome":"succeeded""#)).collect();
    Ok(good.len())
}

/// Empty where there is no stack.
fn status(emulator: &str, stack: &str) -> Result<String> {
    let answer = cloudformation(emulator, "DescribeStacks", stack)?;
    Ok(texts(&answer, "StackStatus").first().copied().unwrap_or_default().to_owned())
}

/// An answer in XML, also where it is a refusal.
fn cloudformation(emulator: &str, action: &str, stack: &str) -> Result<String> {
    let form = [("Action", action), ("Version", "2010-05-15"), ("StackName", stack)];
    Ok(client::form(emulator, "cloudformation", &form)?.body)
}

/// Change sets of this very stack: the emulator also keeps those of an empty stack that it has replaced.
fn open_change_sets(emulator: &str, stack: &str) -> Result<usize> {
    let described = cloudformation(emulator, "DescribeStacks", stack)?;
    let id = texts(&described, "StackId").first().copied().unwrap_or_default().to_owned();
    let sets = cloudformation(emulator, "ListChangeSets", stack)?;
    let open = |set: &&str| {
        let is = |tag: &str, wanted: &str| texts(set, tag).first().is_some_and(|text| *text == wanted);
        is("StackId", &id) && is("ExecutionStatus", "AVAILABLE")
    };
    Ok(texts(&sets, "member").into_iter().filter(open).count())
}

/// How often the stack itself came to a good end.
fn ended_well(events: &str, stack: &str) -> usize {
    let good = |event: &&str| {
        let is = |tag: &str, wanted: &[&str]| texts(event, tag).first().is_some_and(|text| wanted.contains(text));
        is("LogicalResourceId", &[stack]) && is("ResourceStatus", &["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    };
    texts(events, "member").into_iter().filter(good).count()
}

/// The texts of every element of this name; none of those asked for lies inside another of its name.
fn texts<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text).collect()
}
