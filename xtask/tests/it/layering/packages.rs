//! Who may depend on whom, as cargo understands the manifests.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::sources::root;

/// Only tests depend on these, and they may depend on each other.
const FOR_TESTS: [&str; 2] = ["postgres-server", "requirements"];

/// Cargo refuses circles; these edges it would take.
#[test]
fn service_and_tool_share_the_settings_only() {
    for package in packages(&metadata(&["--no-deps"])) {
        let is_tool = |path: &str| path.starts_with(root().join("xtask").to_str().unwrap());
        let own = is_tool(package["manifest_path"].as_str().unwrap());
        for dependency in package["dependencies"].as_array().unwrap() {
            let (name, is_test) = (dependency["name"].as_str().unwrap(), dependency["kind"] == "dev");
            let Some(path) = dependency["path"].as_str() else { continue };
            let edge = format!("{} depends on {name}", package["name"]);
            let is_for_tests = FOR_TESTS.contains(&name);
            let of_tests = is_test || FOR_TESTS.contains(&package["name"].as_str().unwrap());
            assert!(is_tool(path) == own || name == "config" || (is_for_tests && is_test), "{edge}");
            assert!(!is_for_tests || of_tests, "{edge}, which is for tests");
        }
    }
}

#[test]
fn what_builds_images_depends_on_no_crate_of_aws() {
    let metadata = metadata(&[]);
    let name = |id: &Value| packages(&metadata).find(|package| package["id"] == *id).unwrap()["name"].as_str().unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut open: Vec<&Value> = nodes.iter().map(|node| &node["id"]).filter(|id| name(id) == "image").collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop().filter(|id| id.is_string()) {
        if !seen.insert(id.as_str().unwrap()) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let is_normal = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            if is_normal {
                let of_aws =
                    name(&dependency["pkg"]).starts_with("aws") && !name(&dependency["pkg"]).starts_with("aws-lc");
                assert!(!of_aws, "image, through {}: {}", name(id), name(&dependency["pkg"]));
                open.push(&dependency["pkg"]);
            }
        }
    }
}

#[test]
fn every_package_takes_lints_and_license_from_the_workspace() {
    for package in packages(&metadata(&["--no-deps"])) {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = fs::read_to_string(path).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{path} does not inherit the workspace's lints");
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{path}");
    }
}

/// Cargo compiles nothing of a workspace that lacks a member's manifest.
#[test]
fn every_manifest_goes_to_the_builder_of_the_image() {
    let dockerfile = fs::read_to_string(root().join("docker/Dockerfile")).unwrap();
    for package in packages(&metadata(&["--no-deps"])) {
        let path = package["manifest_path"].as_str().unwrap().trim_end_matches("/Cargo.toml");
        let folder = path.strip_prefix(root().to_str().unwrap()).unwrap().trim_start_matches('/');
        assert!(dockerfile.contains(&format!("\nCOPY {folder}/Cargo.toml {folder}/\n")), "{folder} is not copied");
    }
}

#[test]
fn the_tool_is_not_built_unless_asked_for() {
    let metadata = metadata(&["--no-deps"]);
    let default = metadata["workspace_default_members"].as_array().unwrap();
    let tool = packages(&metadata).find(|package| package["name"] == "xtask").unwrap();
    assert!(!default.is_empty());
    assert!(!default.contains(&tool["id"]), "xtask is heavy: plain cargo build and cargo run must leave it alone");
}

/// A first `release --local` waits for every package of it.
#[test]
fn what_needs_no_aws_links_neither_aws_nor_tls() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "local", "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let heavy: Vec<_> = names.iter().filter(|name| name.starts_with("aws") || **name == "ring").collect();
    assert!(names.contains("bollard") && heavy.is_empty(), "{heavy:?}");
    assert!(names.len() < 230, "{} packages", names.len());
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

/// What cargo says of this workspace.
pub(crate) fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
