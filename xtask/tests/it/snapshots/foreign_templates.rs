//! Templates that others wrote, as CloudFormation reads them: what `diff` says of them, and which cannot be deployed.

use insta::assert_snapshot;

use super::diff::{only_read, started};
use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

/// A template that has nothing in common with the others.
const OTHER: &str = "Resources: {Other: {Type: AWS::Lambda::Permission}}";

/// A stack of this template, in an environment whose template is `new`.
fn deployed(template: &str, new: &str) -> (Fakes, Sandbox) {
    let world = World { stack: "UPDATE_COMPLETE".to_owned(), template: template.to_owned(), ..World::default() };
    started(world, new)
}

/// What `diff` shows on stdout.
fn diff(template: &str, new: &str) -> String {
    let (fakes, sandbox) = deployed(template, new);
    let ended = sandbox.run(&["diff"]);
    only_read(&fakes);
    ended.snapshot()
}

#[test]
fn indentation_inside_brackets_and_quotes_is_free() {
    let template = "\
Resources:
  Access:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [
        one,
        two
      ]
      PolicyDocument: !Sub '{
        \"Version\": \"2012-10-17\",
        \"Id\": \"${AWS::StackName}\"
      }'
";
    assert_snapshot!(diff(OTHER, template), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    Add    Access (AWS::SQS::QueuePolicy)
    Remove Other (AWS::Lambda::Permission)
    cost: no change of the fixed monthly cost (about 0 USD)
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
}

#[test]
fn a_key_that_occurs_twice_is_noted_with_the_text_that_has_it() {
    let twice = "\
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      DelaySeconds: 5
      DelaySeconds: 10
";
    let once = twice.replace("      DelaySeconds: 5\n", "");
    assert_snapshot!(diff(twice, &once), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    cost: no change of the fixed monthly cost (about 0 USD)
    note: in the deployed template Resources.Queue.Properties.DelaySeconds is there twice; the one of line 6 counts
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
    let (_fakes, sandbox) = deployed(&once, twice);
    let new = sandbox.run(&["diff"]).stdout;
    assert!(new.contains("note: in the new template Resources.Queue.Properties.DelaySeconds is there twice"), "{new}");
    let said = sandbox.run(&["deploy", "--dry-run"]).stderr;
    assert!(said.contains("infra/backend.yaml: Resources.Queue.Properties.DelaySeconds is there twice"), "{said}");
    let doctor = sandbox.run(&["doctor"]).stdout;
    let line = "?? template    infra/backend.yaml, runs no image: deploy without --image; Resources.Queue.Properties.\
                DelaySeconds is there twice; the one of line 6 counts";
    assert!(doctor.contains(line), "{doctor}");
}

#[test]
fn json_is_json_and_an_unreadable_text_is_named() {
    let json =
        r#"{"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "\ud83d\ude80"}}}}"#;
    let yaml = "Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: 🚀}}}\n";
    let text = diff(json, yaml);
    assert!(!text.contains("Modify") && text.starts_with("exit 0"), "{text}");
    assert_snapshot!(diff("Resources: [", yaml), @r"
    exit 1
    --- stderr
    error: the templates cannot be compared
      resource: stack rest-api-dev
      reason: the deployed template is not YAML: line 1, column 12: unclosed bracket '['
    ");
}

#[test]
fn an_empty_template_is_refused_before_any_call() {
    let (fakes, sandbox) = deployed("", "# Nothing yet.\n");
    assert_snapshot!(sandbox.run(&["diff"]).snapshot(), @r"
    exit 3
    --- stderr
    error: the template cannot be used
      resource: infra/backend.yaml
      reason: infra/backend.yaml is empty
      next: fix it, or environments.dev.template in deploy.toml
    ");
    assert!(fakes.world().asked.is_empty());
}

#[test]
fn what_aws_expands_is_not_compared_and_has_no_price() {
    let looped = "\
Transform: AWS::LanguageExtensions
Resources:
  Fn::ForEach::Queues:
    - Name
    - [One, Two]
    - ${Name}: {Type: AWS::SQS::Queue}
";
    assert_snapshot!(diff(looped, &looped.replace("One, Two", "One, Two, Three")), @r"
    exit 0
    --- stdout
    stack rest-api-dev in eu-central-1 would be updated
    cost: no change of the fixed monthly cost (about 0 USD); without Fn::ForEach::Queues (a loop), of unknown price
    note: AWS resolves some values at each update; they are not known here
    note: AWS expands AWS::LanguageExtensions, Fn::ForEach::Queues; what comes of it is not compared
    note: the stack and its taggable resources get the tag managed-by=xtask
    ");
}

#[test]
fn two_forms_of_the_same_function_are_no_change() {
    let list = "\
Resources:
  Key: {Type: AWS::KMS::Key}
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      KmsMasterKeyId: {'Fn::GetAtt': [Key, Arn]}
      TopicName: !Join ['-', [!Ref AWS::StackName, !Ref AWS::AccountId, !Ref Key]]
";
    let dotted = list.replace("{'Fn::GetAtt': [Key, Arn]}", "!GetAtt Key.Arn").replace(
        "!Join ['-', [!Ref AWS::StackName, !Ref AWS::AccountId, !Ref Key]]",
        "!Sub 'rest-api-dev-111122223333-${Key}'",
    );
    let text = diff(list, &dotted);
    assert!(!text.contains("Modify") && text.contains("would be updated"), "{text}");
}

#[test]
fn tasks_have_a_price_however_they_come_to_fargate() {
    let task = "\
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties: {RequiresCompatibilities: [FARGATE], NetworkMode: awsvpc, Cpu: 1 vCPU, Memory: 2 GB}
";
    let own = "  Cluster:
    Type: AWS::ECS::Cluster
    Properties: {DefaultCapacityProviderStrategy: [{CapacityProvider: FARGATE, Weight: 1}]}
  Service:
    Type: AWS::ECS::Service
    Properties: {Cluster: !Ref Cluster, TaskDefinition: !Ref Task, DesiredCount: 3}
";
    let outside = "  Service:
    Type: AWS::ECS::Service
    Properties: {Cluster: main, TaskDefinition: !Ref Task, DesiredCount: 3}
";
    let cost = |service: &str| {
        let text = diff(OTHER, &format!("{task}{service}"));
        let line = text.lines().find_map(|line| line.trim().strip_prefix("cost: "));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    assert_eq!(cost(own), "about 124 USD a month (+124: Service +124.35)");
    assert_eq!(
        cost(outside),
        "no change of the fixed monthly cost (about 0 USD); without Service (AWS::ECS::Service), of unknown price"
    );
}

#[test]
fn files_of_this_machine_are_refused_with_the_command_that_uploads_them() {
    let nested = "\
Resources:
  Net:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: ./net.yaml
";
    let sam = format!(
        "Transform: AWS::Serverless-2016-10-31\n{nested}  Job:\n    Type: AWS::Serverless::Function\n    Properties: \
         {{CodeUri: src/}}\n"
    );
    let (fakes, sandbox) = deployed("", &sam);
    sandbox.write("deploy.toml", &DEPLOY_TOML.replacen("infra/backend.yaml", "infra/sam.yaml", 1));
    sandbox.write("infra/sam.yaml", &sam);
    assert_snapshot!(sandbox.run(&["deploy", "--dry-run"]).snapshot(), @r"
    exit 3
    --- stderr
    error: the template cannot be used
      resource: infra/sam.yaml
      reason: infra/sam.yaml names files of this machine, and CloudFormation reads templates and code from S3 only: Job.Properties.CodeUri src/ (line 9), Net.Properties.TemplateURL ./net.yaml (line 6)
      next: sam package --template-file infra/sam.yaml --resolve-s3 --output-template-file packaged.yaml, and name that file in deploy.toml
    ");
    sandbox.write("infra/sam.yaml", nested);
    let ended = sandbox.run(&["diff"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("next: aws cloudformation package --template-file infra/sam.yaml --s3-bucket BUCKET")
    );
    assert!(fakes.world().asked.iter().all(|asked| asked == "sts:GetCallerIdentity"), "{:?}", fakes.world().asked);
}

#[test]
fn macros_are_expanded_by_consent_that_is_sent() {
    let body = "Transform: AWS::Serverless-2016-10-31\nResources: {Topic: {Type: AWS::SNS::Topic}}\n";
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    sandbox.write("infra/backend.yaml", body);
    assert_eq!(sandbox.run(&["deploy"]).code, 0);
    let capabilities = fakes.world().capabilities.clone();
    assert_eq!(capabilities, ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]);
}

#[test]
fn scalars_are_those_of_yaml_1_1() {
    let before = "Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {FifoQueue: Yes, DelaySeconds: 010}}}\n";
    let after = "Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {FifoQueue: 'true', DelaySeconds: '8'}}}\n";
    assert!(!diff(before, after).contains("Modify"));
}
