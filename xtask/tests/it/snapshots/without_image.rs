//! `deploy` of templates that run no image.

use insta::assert_snapshot;

use crate::fakes::{Fakes, World};
use crate::sandbox::Sandbox;

const TEMPLATE: &str = "
Parameters: {Callback: {Type: String}}
Resources: {Pool: {Type: AWS::Cognito::UserPool}}
Outputs: {UserPoolId: {Value: !Ref Pool}}
";

/// An environment `dev` whose template runs nothing.
fn users(fakes: &Fakes, parameters: &str) -> Sandbox {
    let sandbox = fakes.sandbox();
    sandbox.write("infra/users.yaml", TEMPLATE);
    let settings = std::fs::read_to_string(sandbox.path().join("deploy.toml")).unwrap();
    let template = settings.lines().find(|line| line.starts_with("template")).unwrap().to_owned();
    let settings = settings.replacen(&template, "template = \"infra/users.yaml\"", 1);
    sandbox.write("deploy.toml", &format!("{settings}\n[environments.dev.parameters]\n{parameters}"));
    sandbox
}

#[test]
fn a_template_without_an_image_is_deployed_once_and_then_left_alone() {
    let fakes = Fakes::start(World::default());
    let sandbox = users(&fakes, "Callback = \"https://app.example.com\"\n");
    assert_snapshot!(sandbox.run(&["deploy", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    create stack rest-api-dev of infra/users.yaml
    ");
    assert_eq!(fakes.world().changes, 0, "a dry run changes nothing");
    assert_snapshot!(sandbox.run(&["deploy"]).snapshot(), @r"
    exit 0
    --- stdout
    ApiGatewayURL = http://127.0.0.1:[port]/live
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
    ");
    assert_eq!(fakes.world().parameters["Callback"], "https://app.example.com");
    let again = sandbox.run(&["deploy", "--json"]);
    again.json();
    assert_snapshot!(again.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"dev","stack":"rest-api-dev","change":"none","outputs":{"ApiGatewayURL":"http://127.0.0.1:[port]/live"},"phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"stack","seconds":0,"skipped":true}],"seconds":0}
    --- stderr
    -- stack     rest-api-dev is already current ([time])
    "#);
    assert_eq!(fakes.world().changes, 1);
}

#[test]
fn missing_or_foreign_resources_are_reported_before_any_change() {
    let fakes = Fakes::start(World::default());
    assert_snapshot!(users(&fakes, "").run(&["deploy"]).snapshot(), @r#"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: parameter Callback cannot be used
      resource: environments.dev.parameters
      reason: infra/users.yaml has no default for it, and the stack no value
      next: add Callback = "…" to [environments.dev.parameters]
    "#);
    assert_snapshot!(users(&fakes, "Typo = 1\n").run(&["deploy"]).snapshot(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: parameter Typo cannot be used
      resource: environments.dev.parameters
      reason: infra/users.yaml does not declare it
      next: remove it from deploy.toml
    ");
    assert_snapshot!(users(&fakes, "").run(&["release"]).snapshot(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: the template cannot be used
      resource: infra/users.yaml
      reason: infra/users.yaml has no parameter ContainerURI, which receives the image
      next: cargo xtask deploy dev deploys a template that runs no image
    ");
    assert_snapshot!(fakes.sandbox().run(&["deploy"]).snapshot(), @r"
    exit 2
    --- stderr
    error: which image to deploy is not said
      resource: infra/backend.yaml
      reason: the template runs one: it has the parameter ContainerURI
      next: name it with --image, or use cargo xtask release
    ");
    assert_eq!(fakes.world().changes, 0);
}
