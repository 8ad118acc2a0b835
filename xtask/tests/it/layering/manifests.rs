//! Who may depend on whom, as cargo understands the manifests.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// The only dependencies between packages of this workspace, of any kind.
const EDGES: [(&str, &str); 4] =
    [("api", "config"), ("xtask", "config"), ("api", "requirements"), ("xtask", "requirements")];

#[test]
fn packages_know_only_whom_they_may() {
    let metadata = metadata();
    assert_eq!(strangers(&edges(&metadata)), <[String; 0]>::default());
    let names: BTreeSet<&str> = packages(&metadata).map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["api", "config", "launch", "requirements", "xtask"]),
        "a new package needs its place in the layers"
    );
}

#[test]
fn a_dependency_that_no_layer_allows_is_found() {
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    for (from, to) in [("api", "xtask"), ("xtask", "api"), ("config", "api"), ("config", "xtask")] {
        let found = strangers(&[edge("api", "config"), edge(from, to)].into());
        assert!(found.len() == 1 && found[0].starts_with(&format!("{from} -> {to}")), "{found:?}");
    }
}

#[test]
fn only_tests_know_what_tests_require() {
    for package in packages(&metadata()) {
        for dependency in package["dependencies"].as_array().unwrap() {
            assert!(dependency["name"] != "requirements" || dependency["kind"] == "dev", "{}", package["name"]);
        }
    }
}

#[test]
fn every_package_takes_lints_and_license_from_the_workspace() {
    for package in packages(&metadata()) {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = fs::read_to_string(path).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{path} does not inherit the workspace's lints");
        assert!(manifest.contains("\nlicense.workspace = true\n"), "{path} does not inherit the workspace's license");
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{path}");
    }
}

/// Cargo compiles nothing of a workspace that lacks a member's manifest.
#[test]
fn every_manifest_goes_to_the_builder_of_the_image() {
    let read = |path: &str| fs::read_to_string(super::root().join(path)).unwrap();
    let (dockerfile, ignored, source_tag) =
        (read("docker/Dockerfile"), read(".dockerignore"), read("xtask/src/artifact.rs"));
    for package in packages(&metadata()) {
        let path = package["manifest_path"].as_str().unwrap().trim_end_matches("/Cargo.toml");
        let folder = path.strip_prefix(super::root().to_str().unwrap()).unwrap().trim_start_matches('/');
        assert!(dockerfile.contains(&format!("\nCOPY {folder}/Cargo.toml {folder}/\n")), "{folder} is not copied");
        let stand_in = [format!(" {folder} "), format!(" {folder};")];
        assert!(stand_in.iter().any(|part| dockerfile.contains(part)), "{folder} has no stand-in for its sources");
        if !folder.starts_with("crates/") {
            assert!(ignored.contains(&format!("\n!{folder}/Cargo.toml\n")), ".dockerignore keeps {folder} back");
            assert!(source_tag.contains(&format!("\"{folder}/Cargo.toml\"")), "no source tag counts {folder}");
        }
    }
}

#[test]
fn the_tool_is_not_built_unasked() {
    let metadata = metadata();
    let named = |package: &&Value| package["name"] == "xtask";
    let tool = packages(&metadata).find(named).unwrap();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    assert!(!default.is_empty());
    assert!(!default.contains(&tool["id"]), "xtask is heavy: plain cargo build and cargo run must leave it alone");
}

fn strangers(edges: &BTreeSet<(String, String)>) -> Vec<String> {
    let allowed = |(from, to): &&(String, String)| EDGES.contains(&(from.as_str(), to.as_str()));
    let complaint = |(from, to): &(String, String)| format!("{from} -> {to}: the layers are api -> config <- xtask");
    edges.iter().filter(|edge| !allowed(edge)).map(complaint).collect()
}

/// Dependencies between packages of the workspace.
fn edges(metadata: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let of = |package: &Value| {
        let inside: Vec<Value> = package["dependencies"].as_array().unwrap().clone();
        inside.into_iter().filter(|dependency| dependency["path"].is_string())
    };
    let all = packages(metadata).flat_map(|package| of(package).map(move |to| (text(package), text(&to))));
    // A package that its own tests take with more features is still one package.
    all.filter(|(from, to)| from != to).collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(super::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
