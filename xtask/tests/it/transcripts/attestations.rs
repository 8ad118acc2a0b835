//! `verify`, and releases to an environment that takes nothing but attested images.
#![cfg(target_os = "linux")]

use insta::assert_snapshot;

use crate::counterparts::{Counterparts, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::DEPLOY_TOML;

#[test]
fn what_runs_is_held_against_what_it_brings_along() {
    let counterparts = Counterparts::start(World::default());
    let sandbox = counterparts.sandbox();
    assert_eq!(sandbox.run(&["verify"]).code, 1);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert_snapshot!(sandbox.run(&["verify"]).transcript(), @r"
    exit 0
    --- stdout
    ok image       111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
    ok sbom        CycloneDX, packages: 1
    ok provenance  built by urn:xtask:builder:local
    ok repository  https://github.com/OWNER/REPOSITORY
    ok commit      0123456789abcdef0123456789abcdef01234567
    ");
    counterparts.world().attached.clear();
    assert_snapshot!(sandbox.run(&["verify"]).transcript(), @r"
    exit 3
    --- stdout
    ok image       111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
    !! sbom        the image has no bill of materials: it was pushed by other means, or before releases attached it
    !! provenance  the image has no provenance: it was pushed by other means, or before releases attached it
    --- stderr
    error: 2 things are missing
      reason: - the image has no bill of materials
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
fn an_environment_that_demands_it_refuses_what_is_not_attested_before_anything_is_locked() {
    let counterparts = Counterparts::start(World::default());
    let sandbox = counterparts.sandbox();
    sandbox.write("deploy.toml", &DEPLOY_TOML.replacen("stack =", "attested = true\nstack =", 1));
    assert_eq!(sandbox.run(&["release"]).code, 0);
    let before = counterparts.world().asked.len();
    let image = format!("{REPOSITORY}@{OTHER_DIGEST}");
    assert_snapshot!(sandbox.run(&["deploy", "--image", &image]).transcript(), @r"
    exit 3
    --- stderr
      preflight ...
    ok preflight account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials without an end ([time])
      verify    ...
    !! verify    not finished ([time])
    error: 2 things are missing
      reason: - the image has no bill of materials
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
        - the image has no provenance
          resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317
          reason: it was pushed by other means, or before releases attached it
          next: cargo xtask release builds it from its sources and attaches what is missing
    ");
    let changing = ["ssm:PutParameter", "cloudformation:CreateChangeSet"];
    let asked = counterparts.world().asked[before..].to_vec();
    assert!(!asked.iter().any(|action| changing.contains(&action.as_str())), "{asked:?}");
}
