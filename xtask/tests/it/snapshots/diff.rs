//! `diff`, with permission to read only.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::json;

use crate::fakes::{DIGEST, Fakes, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::Sandbox;

pub(super) const TEMPLATE: &str = "\
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 80}
  Word: {Type: String, NoEcho: true, Default: none}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Users: {Type: AWS::Cognito::UserPool, Properties: {UsernameAttributes: [email]}}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties: {ContainerDefinitions: [{Image: !Ref ContainerURI, Word: !Ref Word}]}
  Service: {Type: AWS::ECS::Service, Properties: {TaskDefinition: !Ref Task}}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";

fn image(digest: &str) -> String {
    format!("{REPOSITORY}@{digest}")
}

/// An environment that runs the other image, made from this template.
pub(super) fn released(state: &str) -> World {
    let parameters = [("ContainerURI", image(OTHER_DIGEST)), ("ContainerPort", "8080".to_owned())];
    World {
        stack: state.to_owned(),
        template: TEMPLATE.to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        repository: Some(BTreeMap::from([("v1".to_owned(), DIGEST.to_owned())])),
        ..World::default()
    }
}

pub(super) fn started(world: World, template: &str) -> (Fakes, Sandbox) {
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    sandbox.write("infra/backend.yaml", template);
    (fakes, sandbox)
}

/// Whatever was asked must have been reading.
pub(super) fn only_read(fakes: &Fakes) {
    let asked = fakes.world().asked.clone();
    let reads = ["Describe", "Get", "BatchGet", "List", "Detect"];
    let changing: Vec<&String> = asked
        .iter()
        .filter(|action| action.contains('/') || !reads.iter().any(|verb| action.contains(&format!(":{verb}"))))
        .collect();
    assert!(changing.is_empty(), "these are not reading: {changing:?}");
}

#[test]
fn diff_reports_replacements_and_data_loss_by_reading_only() {
    let other = TEMPLATE.replace("[email]", "[phone_number]");
    let (fakes, sandbox) = started(released("UPDATE_COMPLETE"), &other);
    assert_snapshot!(sandbox.run(&["diff", "--out", "diff.md"]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    image: a new one; the registry has none of these sources
    Modify Service (AWS::ECS::Service)  perhaps replaced
           Properties.TaskDefinition
    Modify Task (AWS::ECS::TaskDefinition)  replaced
           Properties.ContainerDefinitions.0.Image
    Modify Users (AWS::Cognito::UserPool)  replaced
           Properties.UsernameAttributes.0
    cost: no change of the fixed monthly cost (about 0 USD)
    warning: Users (AWS::Cognito::UserPool) would be replaced: its users are lost; a release needs --allow Users
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
    only_read(&fakes);
    let comment = std::fs::read_to_string(sandbox.path().join("diff.md")).unwrap();
    assert_snapshot!(comment, @r"
    ### dev: what a release would change

    Stack **rest-api-dev** in eu-central-1, from commit 0123456789ab.

    ⚠️ **Users (AWS::Cognito::UserPool) would be replaced: its users are lost; a release needs --allow Users**

    | Change | Resource | Type | What changes |
    | --- | --- | --- | --- |
    | Modify, ⚠️ perhaps replaced | Service | AWS::ECS::Service | Properties.TaskDefinition |
    | Modify, ⚠️ **replaced** | Task | AWS::ECS::TaskDefinition | Properties.ContainerDefinitions.0.Image |
    | Modify, ⚠️ **replaced** | Users | AWS::Cognito::UserPool | Properties.UsernameAttributes.0 |

    - Image: a new one; the registry has none of these sources
    - Cost: no change of the fixed monthly cost (about 0 USD)
    - Note: the stack and its taggable resources get the tag managed-by=xtask

    <sub>Computed from the templates, by reading only. `cargo xtask diff dev` shows the same; `cargo xtask plan dev --out plan.json` asks CloudFormation.</sub>
    ");
    let json = sandbox.run(&["diff", "--json"]).json();
    let replaced: Vec<&str> = json["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["replacement"] == "True")
        .map(|change| change["logical_id"].as_str().unwrap())
        .collect();
    assert_eq!(replaced, ["Task", "Users"]);
    assert_eq!(json["change"], "update");
}

#[test]
fn an_image_that_the_registry_has_is_named() {
    let (fakes, sandbox) = started(released("UPDATE_COMPLETE"), TEMPLATE);
    let runs = image(OTHER_DIGEST);
    assert_snapshot!(sandbox.run(&["diff", "--image", &runs]).snapshot(), @r"
    exit 0
    --- stdout
    nothing would change in stack rest-api-dev in eu-central-1
    image: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317, which runs already
    ");
    let other = image(DIGEST);
    assert_snapshot!(sandbox.run(&["diff", "--image", &other]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    image: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, which the registry has
    Modify Service (AWS::ECS::Service)  perhaps replaced
           Properties.TaskDefinition
    Modify Task (AWS::ECS::TaskDefinition)  replaced
           Properties.ContainerDefinitions.0.Image
    cost: no change of the fixed monthly cost (about 0 USD)
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
    only_read(&fakes);
}

#[test]
fn states_and_refusals_are_reported_with_the_difference() {
    let (_fakes, sandbox) = started(released("UPDATE_IN_PROGRESS"), TEMPLATE);
    let under_way = sandbox.run(&["diff"]).snapshot();
    assert!(
        under_way.contains("note: stack rest-api-dev is UPDATE_IN_PROGRESS; the operation in progress"),
        "{under_way}"
    );
    let world = World { denied: Some("DescribeType"), ..released("ROLLBACK_COMPLETE") };
    let (_fakes, sandbox) = started(world, TEMPLATE);
    assert_snapshot!(sandbox.run(&["diff", "--image", &image(DIGEST)]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be created
    image: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, which the registry has
    Add    Gateway (AWS::ApiGateway::RestApi)
    Add    Service (AWS::ECS::Service)
    Add    Task (AWS::ECS::TaskDefinition)
    Add    Users (AWS::Cognito::UserPool)
    cost: no change of the fixed monthly cost (about 0 USD)
    note: stack rest-api-dev is ROLLBACK_COMPLETE; a release would ask to delete it first
    ");
    let world = World { denied: Some("DescribeType"), ..released("UPDATE_COMPLETE") };
    let (_fakes, sandbox) = started(world, TEMPLATE);
    assert_snapshot!(sandbox.run(&["diff", "--image", &image(DIGEST)]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    image: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, which the registry has
    Modify Service (AWS::ECS::Service)  perhaps replaced
           Properties.TaskDefinition
    Modify Task (AWS::ECS::TaskDefinition)  perhaps replaced
           Properties.ContainerDefinitions.0.Image
    cost: no change of the fixed monthly cost (about 0 USD)
    note: which resources are replaced is unknown: cloudformation:DescribeType failed: AccessDenied: releaser is not authorized to perform it
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
    let (_fakes, sandbox) = started(World { repository: released("").repository, ..World::default() }, TEMPLATE);
    let first = sandbox.run(&["diff", "--json"]).json();
    assert_eq!((&first["change"], first["changes"].as_array().unwrap().len()), (&json!("create"), 4));
}

#[test]
fn a_secret_parameter_counts_as_changed_and_is_not_shown() {
    let mut world = released("UPDATE_COMPLETE");
    world.parameters.insert("Word".to_owned(), "****".to_owned());
    let (_fakes, sandbox) = started(world, TEMPLATE);
    let text = crate::sandbox::DEPLOY_TOML.replacen(
        "\n[environments.production]",
        "[environments.dev.parameters]\nWord = \"hunter2\"\n\n[environments.production]",
        1,
    );
    sandbox.write("deploy.toml", &text);
    let ended = sandbox.run(&["diff", "--image", &image(OTHER_DIGEST), "--out", "diff.md"]);
    let comment = std::fs::read_to_string(sandbox.path().join("diff.md")).unwrap();
    assert!(!format!("{}{}{comment}", ended.stdout, ended.stderr).contains("hunter2"));
    assert!(ended.stdout.contains("Properties.ContainerDefinitions.0.Word"), "{}", ended.stdout);
    assert!(ended.stdout.contains("note: CloudFormation does not return the value of parameter Word"));
}

#[test]
fn a_template_that_runs_no_image_has_a_difference_too() {
    let users = "Parameters: {Mail: {Type: String, Default: a}}\nResources:\n  Users: {Type: AWS::Cognito::UserPool, \
                 Properties: {EmailVerificationMessage: !Ref Mail}}\n";
    let world = World { template: users.to_owned(), parameters: BTreeMap::new(), ..released("UPDATE_COMPLETE") };
    let (fakes, sandbox) = started(world, TEMPLATE);
    let environment = "\n[environments.users]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\ntemplate = \
                       \"infra/users.yaml\"\n[environments.users.parameters]\nMail = \"b\"\n";
    sandbox.write("deploy.toml", &(crate::sandbox::DEPLOY_TOML.to_owned() + environment));
    sandbox.write("infra/users.yaml", users);
    assert_snapshot!(sandbox.run(&["diff", "users"]).snapshot(), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    Modify Users (AWS::Cognito::UserPool)
           Properties.EmailVerificationMessage
    cost: no change of the fixed monthly cost (about 0 USD)
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
    only_read(&fakes);
}
