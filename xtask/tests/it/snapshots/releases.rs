//! `release`, from the compiler to the verification.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::fakes::{Ending, Fakes, World};

#[test]
fn a_first_release_and_then_one_with_nothing_to_do() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["release", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    create repository rest-api
    build and push the image rest-api:content-[hash] ([platform])
    create stack rest-api-dev from infra/backend.yaml
    prove the endpoint
    --- stderr
    ok compile   [target], content-[hash] ([time])
    ");
    assert!(fakes.world().stack.is_empty() && fakes.world().repository.is_none());
    assert_snapshot!(sandbox.run(&["release"]).whole(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
    ok preflight account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials that do not expire ([time])
    ok compile   [target], content-[hash] ([time])
    -- image     rest-api:content-[hash] exists, 2.0 MB ([time])
    ok registry  repository rest-api created: immutable tags, scanned on push ([time])
    ok push      sha256:5891b5b522d5, 1.9 MB, layers: 1 pushed, 0 already there ([time])
    ok attest    SBOM and provenance are attached ([time])
    ok name      source-[hash], commit-0123456789ab ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
       ApiGatewayURL = http://127.0.0.1:[port]/live
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
    -- compile   these sources were compiled before ([time])
    -- image     the registry has rest-api:source-[hash] ([time])
    -- push      sha256:5891b5b522d5 ([time])
    -- stack     rest-api-dev is already current ([time])
    nothing to deploy: the stack is already current
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_snapshot!(sandbox.run(&["release", "--quiet"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    ");
}

#[test]
fn a_release_that_fails_and_is_rolled_back() {
    let fakes = Fakes::start(World { ending: Ending::RolledBack, ..World::default() });
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 4
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_FAILED                Gateway (AWS::ApiGateway::RestApi)  the account has too many gateways
    !! stack     not finished ([time])
    error: stack rest-api-dev could not be created; what had been created is gone (ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      place: infra/backend.yaml:5
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: fix the cause, then repeat the command with --yes; or cargo xtask destroy dev
    ");
    assert_snapshot!(sandbox.run(&["release", "--quiet"]).snapshot(), @r"
    exit 5
    --- stderr
    error: stack rest-api-dev is ROLLBACK_COMPLETE; it can only be deleted and created again
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: repeat the command with --yes, or: cargo xtask destroy dev
    ");
}

#[test]
fn a_registry_that_refuses() {
    let refusal = Some("denied: requested access to the resource is denied".to_owned());
    let fakes = Fakes::start(World { push_refusal: refusal, ..World::default() });
    let ended = fakes.sandbox().run(&["release", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 1
    --- stdout
    {"format":1,"ok":false,"environment":"dev","stack":"rest-api-dev","phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"compile","seconds":0,"skipped":false},{"name":"image","seconds":0,"skipped":true},{"name":"registry","seconds":0,"skipped":false},{"name":"push","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"push","message":"the registry did not take the image","resource":"111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api:content-[hash]","reason":"denied: requested access to the resource is denied","hint":"the registry refused the credentials: check who may push there (ecr:PutImage and the upload actions on AWS)"}}
    --- stderr
    ok compile   [target], content-[hash] ([time])
    -- image     rest-api:content-[hash] exists, 2.0 MB ([time])
    ok registry  repository rest-api created: immutable tags, scanned on push ([time])
    !! push      not finished ([time])
    error: the registry did not take the image
      resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api:content-[hash]
      reason: denied: requested access to the resource is denied
      next: the registry refused the credentials: check who may push there (ecr:PutImage and the upload actions on AWS)
    "#);
}

#[test]
fn an_image_for_another_processor_is_stopped_before_the_push() {
    let fakes = Fakes::start(World { architecture: Some("s390x"), ..World::default() });
    let refused = fakes.sandbox().run(&["release", "--json"]).json();
    assert_eq!(refused["error"]["kind"], "platform");
    let reason = refused["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("linux/s390x") && reason.contains("the environment runs linux/"), "{reason}");
    assert!(!fakes.world().asked.iter().any(|call| call.contains("push")));
}

/// The stack goes on by itself; the tool says so and how to get back to it.
#[test]
fn an_interruption() {
    let fakes = Fakes::start(World { ending: Ending::Never, ..World::default() });
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["release", "--json"]);
    let watched = || {
        let asked = fakes.world().asked.clone();
        let since = asked.iter().skip_while(|action| *action != "cloudformation:ExecuteChangeSet");
        since.filter(|action| *action == "cloudformation:DescribeStackEvents").count() > 1
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !watched() {
        assert!(Instant::now() < deadline, "never came to watch the stack");
        std::thread::sleep(Duration::from_millis(20));
    }
    let signal = format!("kill -TERM {}", tool.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
    let ended = sandbox.end(tool);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 130
    --- stdout
    {"format":1,"ok":false,"environment":"dev","image":"111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","pushed_bytes":1900000,"stack":"rest-api-dev","changes":[{"action":"Add","logical_id":"Gateway","resource_type":"AWS::ApiGateway::RestApi"}],"cost":{"before_usd":0.0,"after_usd":0.0,"difference_usd":0.0,"items":[],"basis":"on-demand list prices of eu-central-1 as of 2026-11, 730 h, without traffic"},"phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"compile","seconds":0,"skipped":false},{"name":"image","seconds":0,"skipped":true},{"name":"registry","seconds":0,"skipped":false},{"name":"push","seconds":0,"skipped":false},{"name":"attest","seconds":0,"skipped":false},{"name":"name","seconds":0,"skipped":false},{"name":"stack","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"interrupted","message":"stopped as you asked","hint":"stack rest-api-dev is being created and goes on without this tool; the same command follows it, cargo xtask events dev --follow watches it, cargo xtask cancel dev takes it back"}}
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
    !! stack     not finished ([time])
    interrupted: stopped as you asked
      next: stack rest-api-dev is being created and goes on without this tool; the same command follows it, cargo xtask events dev --follow watches it, cargo xtask cancel dev takes it back
    "#);
}
