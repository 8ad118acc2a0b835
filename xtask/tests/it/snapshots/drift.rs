//! What is no longer as the template says: `drift`.

use insta::assert_snapshot;
use serde_json::json;

use super::diff::{TEMPLATE, only_read, released, started};
use crate::fakes::World;

#[test]
fn a_stack_that_is_as_it_should_be() {
    let world = World { findings: Some(json!([])), ..released("UPDATE_COMPLETE") };
    let (fakes, sandbox) = started(world, TEMPLATE);
    assert_snapshot!(sandbox.run(&["drift"]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev matches its template
    findings of the image: none
    --- stderr
    ok drift     0 resources of rest-api-dev were compared ([time])
    ");
    only_read(&fakes);
}

#[test]
fn drift_and_findings_exit_with_1() {
    let attribute = json!([{"key": "package_name", "value": "musl"}, {"key": "package_version", "value": "1.2"}]);
    let world = World {
        drifted: vec![("Gateway", "/Name", "by-hand"), ("Users", "", ""), ("Task", "/Environment/0", "hunter2")],
        findings: Some(json!([
            {"name": "CVE-2026-1", "severity": "LOW"},
            {"name": "CVE-2026-2", "severity": "CRITICAL", "attributes": attribute},
        ])),
        ..released("UPDATE_COMPLETE")
    };
    let (_fakes, sandbox) = started(world, TEMPLATE);
    let ended = sandbox.run(&["drift"]);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"));
    assert_snapshot!(ended.snapshot(), @r"
    exit 1
    --- stdout
    Gateway (AWS::Any::Thing) modified
      /Name: as-it-was -> by-hand
    Users (AWS::Any::Thing) deleted
    Task (AWS::Any::Thing) modified
      /Environment/0: differs (values are not shown)
    findings of the image: 1 critical, 1 low
      critical CVE-2026-2 in musl 1.2
      low CVE-2026-1
    --- stderr
    ok drift     3 resources of rest-api-dev were compared ([time])
    error: 3 resources of the stack drifted, and the running image has 1 critical
      resource: stack rest-api-dev
      reason: different from the template: Gateway, Users, Task
        critical CVE-2026-2 in musl 1.2
      next: undo the change by hand, or add it to infra/backend.yaml and release; a release does not restore values that are unchanged in the template; update the packages that have them, then cargo xtask release dev
    ");
    let json = sandbox.run(&["drift", "--json"]).json();
    assert_eq!((&json["error"]["kind"], json["findings"].as_array().unwrap().len()), (&json!("drift"), 2));
    assert_eq!(json["drift"].as_array().unwrap().len(), 3);
}

#[test]
fn resources_that_cannot_be_compared_are_reported_with_the_reason() {
    let (_fakes, sandbox) = started(World::default(), TEMPLATE);
    assert_snapshot!(sandbox.run(&["drift"]).snapshot(), @r"
    exit 1
    --- stderr
    error: drift cannot be detected
      resource: stack rest-api-dev
      reason: it does not exist
      next: cargo xtask release dev
    ");
    let (_fakes, sandbox) = started(released("UPDATE_IN_PROGRESS"), TEMPLATE);
    assert_snapshot!(sandbox.run(&["drift"]).snapshot(), @r"
    exit 1
    --- stderr
    error: drift cannot be detected
      resource: stack rest-api-dev
      reason: it is UPDATE_IN_PROGRESS
      next: cargo xtask events dev --follow
    ");
    let world = World { denied: Some("DetectStackDrift"), ..released("UPDATE_COMPLETE") };
    let (_fakes, sandbox) = started(world, TEMPLATE);
    assert_snapshot!(sandbox.run(&["drift"]).snapshot(), @r"
    exit 1
    --- stderr
    !! drift     not finished ([time])
    error: cloudformation:DetectStackDrift failed
      resource: stack arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/1
      reason: AccessDenied: releaser is not authorized to perform it
      next: allow cloudformation:DetectStackDrift for this role or user
    ");
}
