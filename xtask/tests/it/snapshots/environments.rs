//! `doctor`, `status` and `destroy`, beside an AWS that has a stack or none.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::fakes::{DIGEST, Fakes, REPOSITORY, World};

/// An environment that has been released to.
fn released() -> World {
    World {
        stack: "UPDATE_COMPLETE".to_owned(),
        parameters: BTreeMap::from([("ContainerURI".to_owned(), format!("{REPOSITORY}@{DIGEST}"))]),
        repository: Some(BTreeMap::from([("v1".to_owned(), DIGEST.to_owned())])),
        serves: Some(DIGEST.to_owned()),
        ..World::default()
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_machine_that_has_everything() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["doctor"]).snapshot(), @r#"
    exit 0
    --- stdout
    ok docker      version 29.0.0 at tcp://127.0.0.1:[port]
    ok template    infra/backend.yaml, 212 bytes
    ok parameters  all have a value
    ok target      [target] is installed
    ok tools       cargo and cc are installed
    ok disk        [number] MB free for the compiler in [folder]/target
    ok account     account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials that do not expire
    ok credentials an IAM user's access keys, from the environment
    ?? guard       a release would go to any account that the credentials belong to
                   next: account = "111122223333" in [environments.dev] of deploy.toml
    ok stack       rest-api-dev will be created
    ok permissions all 52 actions of a release are allowed, according to IAM's policy simulator
    "#);
    let ended = sandbox.run(&["doctor", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"dev","checks":[{"name":"docker","ok":true,"detail":"version 29.0.0 at tcp://127.0.0.1:[port]"},{"name":"template","ok":true,"detail":"infra/backend.yaml, 212 bytes"},{"name":"parameters","ok":true,"detail":"all have a value"},{"name":"target","ok":true,"detail":"[target] is installed"},{"name":"tools","ok":true,"detail":"cargo and cc are installed"},{"name":"disk","ok":true,"detail":"[number] MB free for the compiler in [folder]/target"},{"name":"account","ok":true,"detail":"account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials that do not expire"},{"name":"credentials","ok":true,"detail":"an IAM user's access keys, from the environment"},{"name":"guard","ok":true,"note":true,"detail":"a release would go to any account that the credentials belong to","hint":"account = \"111122223333\" in [environments.dev] of deploy.toml"},{"name":"stack","ok":true,"detail":"rest-api-dev will be created"},{"name":"permissions","ok":true,"detail":"all 52 actions of a release are allowed, according to IAM's policy simulator"}],"seconds":0}
    "#);
}

#[test]
fn a_stack_that_is_not_there() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["status"]).snapshot(), @r"
    exit 0
    --- stdout
    environment  dev
    stack        rest-api-dev
    state        does not exist
    ");
    let ended = sandbox.run(&["status", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"dev","stack":"rest-api-dev","releases":[],"seconds":0}
    "#);
    assert_snapshot!(sandbox.run(&["smoke"]).snapshot(), @r"
    exit 1
    --- stderr
    error: there is no stack to test
      resource: stack rest-api-dev
      reason: it does not exist
      next: cargo xtask release dev
    ");
    assert_snapshot!(sandbox.run(&["destroy", "dev", "--images", "--yes"]).snapshot(), @r"
    exit 0
    --- stdout
    nothing to remove
    ");
}

#[test]
fn a_stack_that_is_complete() {
    let fakes = Fakes::start(released());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["status"]).snapshot(), @r"
    exit 0
    --- stdout
    environment  dev
    stack        rest-api-dev
    state        UPDATE_COMPLETE, [age] ago (2026-01-02T03:04:05Z)
    image        sha256:5891b5b522d5
    url          http://127.0.0.1:[port]/live
    go back      not possible: no other successful release is recorded
    ");
    let ended = sandbox.run(&["status", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"dev","image":"111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","stack":"rest-api-dev","stack_status":"UPDATE_COMPLETE","stack_updated":"2026-01-02T03:04:05Z","releases":[],"outputs":{"ApiGatewayURL":"http://127.0.0.1:[port]/live"},"seconds":0}
    "#);
    assert_snapshot!(sandbox.run(&["smoke"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live answers correctly
    --- stderr
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_snapshot!(sandbox.run(&["smoke", "--smoke-url", "{Nothing}/v1"]).snapshot(), @r"
    exit 5
    --- stderr
    error: the endpoint's URL is not known
      resource: {Nothing}/v1
      reason: stack rest-api-dev has no output Nothing
      next: name a URL with --smoke-url
    ");
}

#[test]
fn an_image_that_the_registry_has_not() {
    let fakes = Fakes::start(released());
    let image = format!("{REPOSITORY}:v2");
    assert_snapshot!(fakes.sandbox().run(&["deploy", "dev", "--image", &image]).snapshot(), @r"
    exit 1
    --- stderr
    !! preflight not finished ([time])
    error: the registry does not have the image
      resource: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api:v2
      reason: repository rest-api has no tag v2
      next: aws ecr list-images --repository-name rest-api
    ");
}

#[test]
fn an_image_of_another_registry() {
    let fakes = Fakes::start(released());
    let sandbox = fakes.sandbox();
    let image = "example.com/rest-api:v1";
    assert_snapshot!(sandbox.run(&["deploy", "dev", "--image", image]).snapshot(), @r"
    exit 1
    --- stderr
    !! preflight not finished ([time])
    error: only a digest can be deployed from another registry
      resource: example.com/rest-api:v1
      reason: a tag can move, and this account's 111122223333.dkr.ecr.eu-central-1.amazonaws.com is the only registry that is asked
      next: name the image by digest: HOST/REPOSITORY@sha256:…
    ");
    let image = format!("{REPOSITORY}:v1");
    let arguments = ["deploy", "dev", "--image", &image, "--registry", "127.0.0.1:99", "--dry-run"];
    assert_snapshot!(sandbox.run(&arguments).snapshot(), @r"
    exit 0
    --- stdout
    deploy 127.0.0.1:[port]/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 to stack rest-api-dev
    ");
}

#[test]
fn another_account_than_the_environment_allows() {
    let fakes = Fakes::start(released());
    let sandbox = fakes.sandbox();
    let text = crate::sandbox::DEPLOY_TOML.replace("stack = ", "account = \"444455556666\"\nstack = ");
    sandbox.write("deploy.toml", &text);
    assert_snapshot!(sandbox.run(&["destroy", "dev", "--yes"]).snapshot(), @r"
    exit 3
    --- stderr
    error: this is not the environment's account
      resource: environment dev
      reason: deploy.toml allows 444455556666; arn:aws:iam::111122223333:user/releaser is in 111122223333
      next: choose the right AWS_PROFILE
    ");
    assert!(!fakes.world().stack.is_empty(), "the stack is still there");
}

#[test]
fn a_removal() {
    let fakes = Fakes::start(released());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["destroy", "dev", "--images", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    would remove stack rest-api-dev and repository rest-api
    ");
    assert!(!fakes.world().stack.is_empty(), "a dry run removes nothing");
    assert_snapshot!(sandbox.run(&["destroy", "dev", "--yes"]).snapshot(), @r"
    exit 0
    --- stdout
    removed stack rest-api-dev
    --- stderr
    ok lock      rest-api-dev ([time])
    ok stack     rest-api-dev deleted ([time])
    ");
    assert!(fakes.world().stack.is_empty());
    assert_snapshot!(sandbox.run(&["destroy", "--local", "--yes", "--json"]).snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"local","removed":[],"phases":[{"name":"engine","seconds":0,"skipped":false},{"name":"look","seconds":0,"skipped":false}],"seconds":0}
    --- stderr
    ok engine    version 29.0.0 at tcp://127.0.0.1:[port] ([time])
    ok look      0 containers and 0 image names belong to this checkout ([time])
    "#);
}
