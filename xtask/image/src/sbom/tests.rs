use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::sbom::tree::Tree;
use config::deployment::Deployment;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const COMMIT: &str = "fe98f7ece43a44139a5aa3dd8422c9eb055a6a18";
const LINES: &str = "0\tapi v0.1.0 (/clone/crates/api)\tMIT OR Apache-2.0\t
1\tbytes v1.12.1\tMIT/Apache-2.0\t
1\tbytes v1.12.1 (https://example.org/bytes.git?branch=next#fe98f7ec)\tMIT\t
1\tconfig v0.1.0 (/clone/crates/config)\t\t
2\tbytes v1.12.1\tMIT/Apache-2.0\t (*)
1\tinner v2.0.0 (registry `ours`)\t\t
1\tzstd-sys v2.0.16+zstd.1.5.7\tMIT\t
";

/// The lock file of [`LINES`].
fn locked() -> String {
    let entry = |name: &str, version: &str, more: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{more}\n")
    };
    let registry = format!("source = \"{DEFAULT_REGISTRY}\"\nchecksum = \"abcd\"");
    let git = format!("source = \"git+https://example.org/bytes.git?branch=next#{COMMIT}\"");
    [
        "version = 4\n\n".to_owned(),
        entry("api", "0.1.0", "dependencies = [\"bytes\"]"),
        entry("bytes", "1.12.1", &git),
        entry("bytes", "1.12.1", &registry),
        entry("config", "0.1.0", ""),
        entry("inner", "2.0.0", "source = \"sparse+https://registry.example.org/index/\"\nchecksum = \"abcd\""),
        entry("zstd-sys", "2.0.16+zstd.1.5.7", &registry),
    ]
    .concat()
}

fn image() -> ImageReference {
    format!("127.0.0.1:5000/team/rest-api@{DIGEST}").parse().unwrap()
}

fn small() -> Value {
    document::compose("rest-api", &image(), &tree::parse(LINES, &locked()).unwrap())
}

/// The repository that this test is part of.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// What `write` makes of the workspace in `root`, with these features of the service.
async fn written(root: &Path, features: &[&str]) -> anyhow::Result<Vec<u8>> {
    let text = std::fs::read_to_string(self::root().join("deploy.toml")).unwrap();
    let mut service = Deployment::parse("deploy.toml", &text).unwrap().service;
    service.features = features.iter().map(|name| (*name).to_owned()).collect();
    write(Workspace { root, service: &service, vars: &BTreeMap::new() }, Platform::Amd64, &image()).await
}

#[test]
fn a_tree_is_read_with_the_dependencies_of_each_package() {
    let Tree { root, dependencies } = tree::parse(LINES, &locked()).unwrap();
    let of = |name: &str| {
        let (_, needed) = dependencies.iter().find(|(package, _)| package.name == name).unwrap();
        needed.iter().map(|package| package.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((root.name.as_str(), root.source, dependencies.len()), ("api", None, 6));
    assert_eq!((of("api"), of("config")), (vec!["bytes", "bytes", "config", "inner", "zstd-sys"], vec!["bytes"]));
    for wrong in ["", "error: no such package", "1\tbytes v1.12.1\t\t", "0\tapi\t\t", "0\tserde v1.0.0\t\t"] {
        assert!(tree::parse(wrong, &locked()).is_err(), "{wrong}");
    }
}

#[test]
fn a_document_names_the_image_and_identifies_each_package() {
    let document = small();
    let components = document["components"].as_array().unwrap();
    let component = |reference: &str| components.iter().find(|one| one["bom-ref"] == reference).unwrap();
    let described = &document["metadata"]["component"];
    assert_eq!((described["name"].as_str(), described["version"].as_str()), (Some("rest-api"), Some(DIGEST)));
    let bytes = component("pkg:cargo/bytes@1.12.1");
    assert_eq!(bytes["purl"], "pkg:cargo/bytes@1.12.1");
    assert_eq!(bytes["hashes"][0]["content"], "abcd");
    assert_eq!(bytes["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(component("pkg:cargo/zstd-sys@2.0.16%2Bzstd.1.5.7")["name"], "zstd-sys");
    // The crate of this name in the registry is another one.
    let config = component("own:config@0.1.0");
    assert!(config.get("purl").is_none() && config.get("licenses").is_none());
    assert_eq!(component("own:api@0.1.0")["type"], "application");
    let summary = summary(document.to_string().as_bytes()).unwrap();
    assert_eq!((summary.name.as_str(), summary.version.as_str(), summary.packages), ("rest-api", DIGEST, 6));
    for other in ["{}", "[]", "not JSON", r#"{"bomFormat":"SPDX","specVersion":"1"}"#] {
        assert!(super::summary(other.as_bytes()).is_none(), "{other}");
    }
}

#[test]
fn a_purl_names_the_repository_or_registry_that_a_package_is_from() {
    let document = small();
    let components = document["components"].as_array().unwrap();
    let from = |purl: &str| components.iter().find(|one| one["purl"] == purl).unwrap_or_else(|| panic!("{document:#}"));
    let git = from(&format!("pkg:cargo/bytes@1.12.1?vcs_url=git%2Bhttps://example.org/bytes.git%40{COMMIT}"));
    assert!(git.get("hashes").is_none() && git["licenses"][0]["expression"] == "MIT");
    from("pkg:cargo/inner@2.0.0?repository_url=https://registry.example.org/index/");
}

#[test]
fn the_same_content_gives_the_same_document_and_another_image_another_number() {
    let (one, again) = (small(), small());
    assert_eq!(one.to_string(), again.to_string());
    let other = format!("127.0.0.1:5000/team/rest-api@{}", DIGEST.replace("aa", "bb")).parse().unwrap();
    let other = document::compose("rest-api", &other, &tree::parse(LINES, &locked()).unwrap());
    assert_ne!(one["serialNumber"], other["serialNumber"]);
    assert!(!one.to_string().contains("/work"), "a folder of this machine is in it");
}

/// The service's crates alone, without what only their tests need: `cargo metadata` resolves the features of all
/// members of a workspace, and of their tests, at once.
fn service_alone(folder: &Path) {
    let copy = |path: &str, text: &dyn Fn(String) -> String| {
        let to = folder.join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, text(std::fs::read_to_string(root().join(path)).unwrap())).unwrap();
    };
    let members = r#"members = ["crates/*", "xtask", "xtask/launch"]"#;
    copy("Cargo.toml", &|text| {
        assert!(text.contains(members), "the workspace has other members");
        text.replace(members, r#"members = ["crates/*"]"#)
    });
    copy("Cargo.lock", &|text| text);
    for name in ["api", "chassis", "config", "database"] {
        copy(&format!("crates/{name}/Cargo.toml"), &|text| {
            let sections = text.split("\n[").filter(|part| {
                !["dev-dependencies]", "[test]]", "[bench]]", "[example]]"].iter().any(|name| part.starts_with(name))
            });
            sections.collect::<Vec<_>>().join("\n[")
        });
        for file in ["lib.rs", "main.rs"] {
            let path = format!("crates/{name}/src/{file}");
            if root().join(&path).exists() {
                copy(&path, &|_| String::new());
            }
        }
    }
}

fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

/// Whether a package depends on one of this name with the features that it has: `cargo metadata` also lists what a feature
/// names only for the case that another one asks for it (`NAME?/feature`).
fn asks_for(package: &Value, node: &Value, name: &str) -> bool {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let declared = list(&package["dependencies"]).into_iter().filter(|one| one["name"] == name);
    declared.filter(|one| one["kind"].is_null()).any(|one| {
        let called = one["rename"].as_str().unwrap_or(name);
        let asks = |feature: &Value| {
            let parts = list(&package["features"][feature.as_str().unwrap()]);
            let of = |part: &Value| {
                let part = part.as_str().unwrap();
                part == called || part == format!("dep:{called}") || part.starts_with(&format!("{called}/"))
            };
            feature == called || parts.iter().any(of)
        };
        one["optional"] == false || list(&node["features"]).iter().any(asks)
    })
}

/// What `cargo metadata` says that `api` is linked with: its dependencies but for macros and build dependencies.
fn linked(folder: &Path) -> BTreeSet<(String, String)> {
    let mut command = Command::new(env!("CARGO"));
    let manifest = folder.join("crates/api/Cargo.toml");
    command.args(["metadata", "--offline", "--format-version", "1", "--filter-platform", Platform::Amd64.triple()]);
    command.args(["--features", "postgres", "--manifest-path"]).arg(manifest);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let array = |value: &Value| value.as_array().unwrap().clone();
    let packages: BTreeMap<String, Value> =
        array(&metadata["packages"]).into_iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one)).collect();
    let nodes: BTreeMap<String, Value> = array(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].as_str().unwrap().to_owned(), node))
        .collect();
    let mut waiting: Vec<String> = packages
        .values()
        .filter(|one| one["name"] == "api")
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let package = &packages[&id];
        let is_macro = array(&package["targets"]).iter().any(|one| one["kind"][0] == "proc-macro");
        if is_macro || !found.insert((text_of(package, "name"), text_of(package, "version"))) {
            continue;
        }
        let normal = |one: &Value| {
            let name = text_of(&packages[one["pkg"].as_str().unwrap()], "name");
            array(&one["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) && asks_for(package, &nodes[&id], &name)
        };
        let below = array(&nodes[&id]["deps"]).into_iter().filter(normal);
        waiting.extend(below.map(|one| one["pkg"].as_str().unwrap().to_owned()));
    }
    found
}

#[tokio::test]
async fn the_packages_are_those_that_cargo_metadata_lists() {
    let bytes = written(root(), &["postgres"]).await.unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let components = document["components"].as_array().unwrap();
    let listed: BTreeSet<_> = components.iter().map(|one| (text_of(one, "name"), text_of(one, "version"))).collect();
    let folder = tempfile::tempdir().unwrap();
    service_alone(folder.path());
    let linked = linked(folder.path());
    let foreign: Vec<_> = listed.difference(&linked).collect();
    let more: Vec<_> = linked.difference(&listed).collect();
    assert!(listed.len() > 100 && foreign.is_empty(), "{foreign:?}");
    assert!(more.is_empty(), "{more:?}");
    for name in ["actix-web", "sqlx", "config", "serde", "tokio"] {
        assert!(listed.iter().any(|(one, _)| one == name), "{name} is missing");
    }
    for name in ["serde_derive", "cc", "clap", "bollard", "proptest"] {
        assert!(!listed.iter().any(|(one, _)| one == name), "{name} is not in the program");
    }
    let locked = |one: &&Value| one.get("purl").is_some() && one.get("hashes").is_none();
    assert_eq!(components.iter().filter(locked).count(), 0, "every package of the registry has its checksum");

    let bytes = written(root(), &[]).await.unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("sqlx"), "features are not passed on");
}

#[tokio::test]
async fn without_a_lock_file_there_is_no_sbom() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Failure::of(&written(folder.path(), &[]).await.unwrap_err());
    assert_eq!((failure.kind, failure.resource.as_deref()), (FailureKind::Sbom, Some(LOCK)));
}
