//! Values that CloudFormation would refuse, found before anything is sent.

use insta::assert_snapshot;

use crate::fakes::{DIGEST, Fakes, REPOSITORY, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

const TEMPLATE: &str = "\
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, MinValue: 1024, MaxValue: 65535}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
  Cpu: {Type: Number, Default: 256}
  Memory: {Type: Number, Default: 512}
  Network: {Type: 'AWS::EC2::VPC::Id', Default: vpc-1}
  Zones: {Type: CommaDelimitedList, Default: 'a,b', AllowedPattern: '[a-z]', ConstraintDescription: letters of zones}
Rules:
  LargeNeedsThree:
    RuleCondition: !Equals [!Ref Size, large]
    Assertions:
      - Assert: !Contains [[c], !Select [2, !Ref Zones]]
        AssertDescription: Size large needs three zones
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties: {RequiresCompatibilities: [FARGATE], Cpu: !Ref Cpu, Memory: !Ref Memory}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Task}.example'}
";

/// A sandbox whose environment has these parameters and whose service listens at this port.
fn sandbox(fakes: &Fakes, port: u16, parameters: &str) -> Sandbox {
    let sandbox = fakes.sandbox();
    let settings = DEPLOY_TOML
        .replace(
            "[environments.production]",
            &format!("[environments.dev.parameters]\n{parameters}\n[environments.production]"),
        )
        .replace("name = \"rest-api\"", &format!("name = \"rest-api\"\nport = {port}"));
    sandbox.write("deploy.toml", &settings);
    sandbox.write("infra/backend.yaml", TEMPLATE);
    sandbox
}

const WRONG: &str =
    "Size = \"large\"\nCpu = 512\nNetwork = \"subnet-1\"\nZones = [\"a\", \"b1\", \"d\"]\nMemroy = 1024\n";

/// The problems that a command lists.
fn problems(stderr: &str) -> Vec<&str> {
    let is_of_value =
        |line: &&str| ["- ", "reason:", "resource:", "next:"].iter().any(|begin| line.trim_start().starts_with(begin));
    stderr.lines().filter(is_of_value).map(str::trim).collect()
}

#[test]
fn every_command_lists_every_value_that_would_be_refused() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, 80, WRONG);
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert_snapshot!(dry.snapshot(), @r#"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: 6 things are missing
      reason: - parameter Memroy cannot be used
          resource: environments.dev.parameters
          reason: infra/backend.yaml does not declare it
          next: did you mean Memory? Otherwise remove it from deploy.toml
        - parameter ContainerPort cannot be used
          resource: service.port
          reason: "80" is too small; allowed: 1024 or more
          next: change it in deploy.toml
        - parameter Network cannot be used
          resource: environments.dev.parameters.Network
          reason: "subnet-1" is no AWS::EC2::VPC::Id; allowed: vpc- and the rest of the id
          next: change it in deploy.toml
        - parameter Zones cannot be used
          resource: environments.dev.parameters.Zones
          reason: "b1" does not match [a-z]: letters of zones
          next: change it in deploy.toml
        - the parameters break the template's rule LargeNeedsThree
          resource: environments.dev.parameters
          reason: Size large needs three zones
          next: change them in deploy.toml
        - Fargate does not run tasks of Task
          resource: environments.dev.parameters
          reason: Fargate does not combine Cpu 512 with Memory 512; allowed with it: 1024, 2048, 3072, 4096
          next: change the parameters for CPU and memory in deploy.toml
    "#);
    let listed = problems(&dry.stderr).join("\n");
    for command in [&["diff"][..], &["plan", "dev", "--out", "plan.json"], &["release"]] {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, 3, "{command:?}: {}", ended.stderr);
        assert_eq!(problems(&ended.stderr).join("\n"), listed, "{command:?}");
    }
    let doctor = sandbox.run(&["doctor"]);
    assert_eq!(doctor.code, 3);
    for part in ["\"80\" is too small; allowed: 1024 or more", "did you mean Memory?", "Size large needs three zones"] {
        assert!(doctor.stdout.contains(part), "{part}: {}", doctor.stdout);
    }
    let asked = fakes.world().asked.clone();
    assert!(!asked.iter().any(|action| action.contains("CreateChangeSet") || action.contains("Push")), "{asked:?}");
}

#[test]
fn without_aws_only_what_deploy_toml_says_is_judged() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, 80, WRONG).with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let ended = sandbox.run(&["release", "--dry-run"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("\"80\" is too small"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("Size large needs"), "the stack may have other zones: {}", ended.stderr);
}

#[test]
fn a_value_that_the_stack_has_is_judged_by_the_new_template() {
    let parameters = [("ContainerPort", "8080"), ("Size", "medium")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let fakes = Fakes::start(World { stack: "UPDATE_COMPLETE".to_owned(), parameters, ..World::default() });
    let ended = sandbox(&fakes, 8080, "").run(&["release", "--dry-run"]);
    assert_eq!(ended.code, 3);
    assert_snapshot!(ended.snapshot(), @r#"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: parameter Size cannot be used
      resource: the value that the stack has, in rest-api-dev
      reason: "medium" is not allowed; allowed: small, large
      next: add Size = "…" to [environments.dev.parameters]
    "#);
}

#[test]
fn values_that_fit_are_released_as_before() {
    let fakes = Fakes::start(World::default());
    let right = "Size = \"large\"\nCpu = 512\nMemory = 1024\nNetwork = \"vpc-0a\"\nZones = [\"a\", \"b\", \"c\"]\n";
    let ended = sandbox(&fakes, 8080, right).run(&["release", "--dry-run"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn an_image_that_the_template_does_not_accept_is_refused() {
    let repository = Some([("v1".to_owned(), DIGEST.to_owned())].into());
    let fakes = Fakes::start(World { repository, ..World::default() });
    let sandbox = sandbox(&fakes, 8080, "");
    sandbox.write(
        "infra/backend.yaml",
        &TEMPLATE.replace("{Type: String}", "{Type: String, AllowedPattern: 'ghcr[.]io/.+'}"),
    );
    let image = format!("{REPOSITORY}@{DIGEST}");
    let ended = sandbox.run(&["deploy", "dev", "--image", &image, "--dry-run"]);
    assert_eq!(ended.code, 3);
    for part in ["the template does not accept this image", "does not match ghcr[.]io/.+"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(sandbox.run(&["diff", "--image", &image]).code, 3);
}

#[test]
fn a_stack_that_will_be_created_again_has_no_value_to_keep() {
    let refused = |stack: &str| {
        let parameters = [("Zone".to_owned(), "a".to_owned())].into();
        let fakes = Fakes::start(World { stack: stack.to_owned(), parameters, ..World::default() });
        let sandbox = sandbox(&fakes, 8080, "");
        sandbox.write("infra/backend.yaml", &TEMPLATE.replace("  Size:", "  Zone: {Type: String}\n  Size:"));
        let ended = sandbox.run(&["release", "--dry-run"]);
        (ended.code, ended.stderr.contains("parameter Zone cannot be used"))
    };
    assert_eq!(refused("ROLLBACK_COMPLETE"), (3, true));
    assert!(!refused("UPDATE_COMPLETE").1);
}

#[test]
fn the_default_of_the_image_is_not_refused() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes, 8080, "");
    let image = "ContainerURI: {Type: String, AllowedPattern: '.+@sha256:.+', Default: none}";
    sandbox.write("infra/backend.yaml", &TEMPLATE.replace("ContainerURI: {Type: String}", image));
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
}
