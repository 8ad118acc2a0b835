//! A new version that is verified before users see it, with a modelled ECS: no emulator has such a pause.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;

use crate::fakes::staged::{SECRET, Staged, TEMPLATE};
use crate::fakes::{DIGEST, Ending, Fakes, OTHER_DIGEST, World};
use crate::sandbox::{Ended, Sandbox};

fn image(digest: &str) -> String {
    format!("registry.example/rest-api@{digest}")
}

/// An environment that runs the other image, and is about to be given the first one.
fn about_to_change(staged: Staged) -> (Fakes, Sandbox) {
    let world = World {
        stack: "UPDATE_COMPLETE".to_owned(),
        parameters: [("ContainerURI".to_owned(), image(OTHER_DIGEST))].into(),
        template: TEMPLATE.to_owned(),
        serves: Some(OTHER_DIGEST.to_owned()),
        ending: Ending::Never,
        staged: Some(staged),
        ..World::default()
    };
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    sandbox.write("infra/backend.yaml", TEMPLATE);
    (fakes, sandbox)
}

fn without_the_secret(ended: &Ended, sandbox: &Sandbox) {
    assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(sandbox.files_with(SECRET), <[std::path::PathBuf; 0]>::default());
}

/// Each line once where it is repeated: how often it polls depends on the machine.
fn once(transcript: &str) -> String {
    let mut lines: Vec<&str> = transcript.lines().collect();
    lines.dedup();
    lines.join("\n")
}

#[test]
fn a_verified_version_reaches_the_users() {
    let (fakes, sandbox) = about_to_change(Staged::of(DIGEST, 1800));
    let ended = sandbox.run(&["deploy", "dev", "--image", &image(DIGEST)]);
    without_the_secret(&ended, &sandbox);
    assert_snapshot!(ended.snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                Service: new tasks run, waiting for verification
                proved before users: http://127.0.0.1:[port]/live with X-Release-Proof runs sha256:5891b5b522d5
                UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev updated ([time])
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    let staged = fakes.world().staged.clone().unwrap();
    assert_eq!((staged.word.as_deref(), staged.visits), (Some("CONTINUE"), 5));
}

#[test]
fn a_wrong_version_rolls_back_before_any_user_sees_it() {
    let other = format!("sha256:{}", "6".repeat(64));
    let (fakes, sandbox) = about_to_change(Staged::of(&other, 22));
    let ended = sandbox.run(&["deploy", "dev", "--image", &image(DIGEST), "--json", "--verbose"]);
    without_the_secret(&ended, &sandbox);
    assert_eq!(ended.json()["error"]["kind"], "rolled-back");
    assert_snapshot!(once(&ended.whole()), @r#"
    exit 4
    --- stdout
    {"format":1,"ok":false,"environment":"dev","image":"registry.example/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","stack":"rest-api-dev","changes":[{"action":"Add","logical_id":"Gateway","resource_type":"AWS::ApiGateway::RestApi"}],"cost":{"before_usd":0.4,"after_usd":0.4,"difference_usd":0.0,"items":[],"basis":"on-demand list prices of eu-central-1 as of 2026-11, 730 h, without traffic"},"release":1,"phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"stack","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"rolled-back","message":"the new tasks do not run the image that was deployed; stack rest-api-dev failed and is rolled back; the previous release runs (UPDATE_ROLLBACK_COMPLETE)","resource":"http://127.0.0.1:[port]/live","reason":"the new tasks answer sha256:6666666666666666666666666666666666666666666666666666666666666666, sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 was deployed","console":"https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1","hint":"fix the cause, then repeat the command; cargo xtask status dev shows what runs"}}
    --- stderr
      preflight ...
                AWS, which account the credentials are of
                the stack, its releases and its lock at AWS, and the image in the registry
    ok preflight account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials that do not expire ([time])
      stack     ...
                the change set
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                UPDATE_IN_PROGRESS           Service (AWS::ECS::Service)
                UPDATE_IN_PROGRESS           Gateway (AWS::ApiGateway::RestApi)
                UPDATE_IN_PROGRESS           rest-api-dev (AWS::CloudFormation::Stack)
                UPDATE_IN_PROGRESS
                Service: new tasks run, waiting for verification
                still served by sha256:6666666666666666666666666666666666666666666666666666666666666666
                Service is taken back before any user sees it: the new tasks do not run the image that was deployed: the new tasks answer sha256:6666666666666666666666666666666666666666666666666666666666666666, sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 was deployed
                UPDATE_FAILED                Service (AWS::ECS::Service)  it was rolled back
                UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
                UPDATE_ROLLBACK_COMPLETE     rest-api-dev (AWS::CloudFormation::Stack)
                UPDATE_ROLLBACK_COMPLETE
    !! stack     not finished ([time])
    error: the new tasks do not run the image that was deployed; stack rest-api-dev failed and is rolled back; the previous release runs (UPDATE_ROLLBACK_COMPLETE)
      resource: http://127.0.0.1:[port]/live
      reason: the new tasks answer sha256:6666666666666666666666666666666666666666666666666666666666666666, sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 was deployed
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: fix the cause, then repeat the command; cargo xtask status dev shows what runs
    "#);
    let world = fakes.world();
    assert_eq!(world.staged.as_ref().unwrap().word.as_deref(), Some("ROLLBACK"));
    assert_eq!(world.serves.as_deref(), Some(OTHER_DIGEST), "users have what they had");
}

#[test]
fn an_interrupted_verification_is_reported_and_resumed() {
    let (fakes, sandbox) = about_to_change(Staged::of("sha256:not-yet", 1800));
    let deploy = ["deploy", "dev", "--image", &image(DIGEST)];
    let tool = sandbox.start(&deploy);
    for _ in 0..600 {
        if fakes.world().staged.as_ref().unwrap().visits > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let signal = format!("kill -INT {}", tool.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
    let ended = sandbox.end(tool);
    without_the_secret(&ended, &sandbox);
    let said = "next: the deployment of Service waits for its proof until ";
    assert!(ended.code == 130 && ended.stderr.contains(said), "{}", ended.stderr);
    assert!(ended.stderr.contains("and then goes back by itself; the same command takes it up again"));
    fakes.world().staged.as_mut().unwrap().runs = DIGEST.to_owned();
    let ended = sandbox.run(&deploy);
    without_the_secret(&ended, &sandbox);
    assert_eq!((ended.code, fakes.world().changes), (0, 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("proved before users: "), "{}", ended.stderr);
}

#[test]
fn a_follower_is_told_which_run_verifies() {
    let (fakes, sandbox) = about_to_change(Staged::of(DIGEST, 1800));
    fakes.world().stack = "UPDATE_IN_PROGRESS".to_owned();
    let tool = sandbox.start(&["events", "dev", "--follow"]);
    std::thread::sleep(Duration::from_secs(3));
    fakes.world().stack = "UPDATE_COMPLETE".to_owned();
    let ended = sandbox.end(tool);
    assert_eq!((ended.code, fakes.world().staged.as_ref().unwrap().word.clone()), (0, None));
    assert_snapshot!(ended.stderr.lines().take(2).collect::<Vec<_>>().join("\n"), @r"
                Service: new tasks run, waiting for verification
                the command that deployed it verifies it; repeat that command to resume the verification
    ");
}

#[test]
fn an_api_with_a_foreign_user_pool_is_refused_before_anything_is_done() {
    let (fakes, sandbox) = about_to_change(Staged::of(DIGEST, 1800));
    let parameters =
        "Parameters:\n  Authorizer: {Type: String, Default: COGNITO}\n  UserPoolArn: {Type: String, Default: arn}\n";
    sandbox.write("infra/backend.yaml", &TEMPLATE.replace("Parameters:\n", parameters));
    let ended = sandbox.run(&["deploy", "dev", "--image", &image(DIGEST)]);
    assert_snapshot!(ended.snapshot(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: the smoke test cannot sign in
      resource: the stack's authorizer
      reason: the stack has no user pool of its own in which the tool could create a user
      next: set XTASK_SMOKE_TOKEN to an ID token of its pool, or give --no-smoke
    ");
    assert_eq!(fakes.world().changes, 0);
}
