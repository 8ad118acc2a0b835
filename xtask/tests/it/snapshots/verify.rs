//! `verify`, and releases to an environment that takes nothing but attested images.
#![cfg(target_os = "linux")]

use insta::assert_snapshot;

use crate::fakes::{Fakes, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::DEPLOY_TOML;

#[test]
fn the_running_image_is_compared_with_its_attestations() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["verify"]).code, 1);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert_snapshot!(sandbox.run(&["verify"]).snapshot(), @r"
    exit 0
    --- stdout
    ok image       111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
    ok sbom        CycloneDX, packages: 1
    ok provenance  built by urn:xtask:builder:local
    ok repository  https://github.com/OWNER/REPOSITORY
    ok commit      0123456789abcdef0123456789abcdef01234567
    ");
    fakes.world().attached.clear();
    assert_snapshot!(sandbox.run(&["verify"]).snapshot(), @r"
    exit 3
    --- stdout
    ok image       111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
    !! sbom        the image has no SBOM: it was pushed by other means, or before releases attached it
    !! provenance  the image has no provenance: it was pushed by other means, or before releases attached it
    --- stderr
    error: 2 things are missing
      reason: - the image has no SBOM
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
        - the image has no provenance
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
    ");
}

#[test]
fn an_attested_environment_refuses_other_images_before_taking_the_lock() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    sandbox.write("deploy.toml", &DEPLOY_TOML.replacen("stack =", "attested = true\nstack =", 1));
    assert_eq!(sandbox.run(&["release"]).code, 0);
    let before = fakes.world().asked.len();
    let image = format!("{REPOSITORY}@{OTHER_DIGEST}");
    assert_snapshot!(sandbox.run(&["deploy", "--image", &image]).snapshot(), @r"
    exit 3
    --- stderr
    !! verify    not finished ([time])
    error: 2 things are missing
      reason: - the image has no SBOM
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
        - the image has no provenance
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
    ");
    let changing = ["ssm:PutParameter", "cloudformation:CreateChangeSet"];
    let asked = fakes.world().asked[before..].to_vec();
    assert!(!asked.iter().any(|action| changing.contains(&action.as_str())), "{asked:?}");
}

/// `verify` on clones that have the commit is tried with a real git (`rehearsal`).
#[test]
fn a_clone_proves_only_a_commit_that_it_has() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["release"]).code, 0);
    let verify = |has: &str, is_shallow: &str| {
        let answers = format!("case \"$*\" in *--is-shallow*) {is_shallow} ;; *commit}}) {has} ;; *) exit 1 ;; esac");
        sandbox.write("bin/git", &format!("#!/bin/sh\n{answers}\n"));
        let ended = sandbox.run(&["verify", "--json"]);
        let error = ended.json()["error"].clone();
        (ended.code, format!("{} {} {}", error["message"], error["reason"], error["hint"]))
    };
    assert_eq!(verify("echo 0123456789abcdef0123456789abcdef01234567", "echo true").0, 0);
    let (code, said) = verify("exit 1", "echo true");
    assert!(code == 3 && said.contains("this clone is shallow") && said.contains("git fetch --unshallow"), "{said}");
    let (code, said) = verify("exit 1", "echo false");
    assert!(code == 3 && said.contains("not in this clone") && said.contains("git fetch --all"), "{said}");
    // An old git repeats a question that it does not know; one that fails says why.
    let (code, said) = verify("exit 1", "echo --is-shallow-repository");
    assert!(code == 3 && said.contains("update git"), "{said}");
    let refuses = "echo fatal: not a git repository >&2; exit 128";
    let (code, said) = verify(refuses, refuses);
    assert!(code == 3 && said.contains("not a git repository"), "{said}");
}
