//! Variables and permissions that deploy.toml gives the container.

use insta::assert_snapshot;

use super::diff::{only_read, started};
use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

const TEMPLATE: &str = "\
Metadata:
  Release:
    Container: {TaskDefinition: Task, Name: api, ExecutionRole: Start, TaskRole: Run}
Parameters:
  ContainerURI: {Type: String}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Start:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: start
  Run:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: commands
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: api
          Image: !Ref ContainerURI
          Environment:
            - Name: API_LOG_LEVEL
              Value: info
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";

const PERMISSIONS: &str = r#"[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::files/*"}]"#;

/// A repository whose `dev` has these settings besides, and nothing at AWS.
fn with(settings: &str) -> (Fakes, Sandbox) {
    let (fakes, sandbox) = started(World::default(), TEMPLATE);
    sandbox.write("deploy.toml", &format!("{DEPLOY_TOML}\n{settings}"));
    (fakes, sandbox)
}

fn nothing_sent(fakes: &Fakes) {
    let asked = fakes.world().asked.clone();
    let changes =
        |action: &&String| [":Create", ":Put", ":Execute", ":Delete"].iter().any(|verb| action.contains(verb));
    assert_eq!(asked.iter().find(changes), None, "{asked:?}");
}

/// The lines of a text that the template does not have.
fn added(text: &str) -> String {
    let lines = text.lines().filter(|line| !TEMPLATE.contains(line.trim_end()));
    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_is_printed_with_what_is_added() {
    let (fakes, sandbox) = with("[environments.dev.env]\nGREETING = \"Größe\"\nLIMIT = 3\n");
    let ended = sandbox.run(&["template", "dev", "--quiet"]);
    assert_snapshot!(added(&ended.stdout), @r#"
    - {"Name": "GREETING", "Value": "Gr\u00f6\u00dfe"}
    - {"Name": "LIMIT", "Value": "3"}
    "#);
    only_read(&fakes);
    let json = sandbox.run(&["template", "dev", "--json"]).json();
    assert_eq!(json["template"].as_str().unwrap().trim_end(), ended.stdout.trim_end());
}

#[test]
fn what_changes_is_named_one_by_one() {
    let settings = "[environments.dev.env]\nGREETING = \"Hello\"\nSAME = \"1\"\n";
    let (_fakes, sandbox) = with(settings);
    let deployed = sandbox.run(&["template", "dev", "--quiet"]).stdout;
    let parameters =
        [("ContainerURI".to_owned(), format!("{}@{}", crate::fakes::REPOSITORY, crate::fakes::OTHER_DIGEST))];
    let world = World {
        stack: "UPDATE_COMPLETE".to_owned(),
        template: deployed,
        parameters: parameters.into(),
        ..World::default()
    };
    let (fakes, sandbox) = started(world, TEMPLATE);
    let files = "permissions = \"infra/permissions.json\"\n";
    sandbox.write("infra/permissions.json", PERMISSIONS);
    let dev = DEPLOY_TOML.replacen("[environments.dev]\n", &format!("[environments.dev]\n{files}"), 1);
    sandbox.write(
        "deploy.toml",
        &format!("{dev}\n[environments.dev.env]\nNEW = \"a\\nb\"\nGREETING = \"Hi\"\nSAME = \"1\"\n"),
    );
    let shown =
        sandbox.run(&["diff", "--image", &format!("{}@{}", crate::fakes::REPOSITORY, crate::fakes::OTHER_DIGEST)]);
    let container =
        shown.stdout.lines().filter(|line| ["variable", "permission"].iter().any(|word| line.contains(word)));
    assert_snapshot!(container.collect::<Vec<_>>().join("\n"), @r#"
    Modify variable GREETING: Hello -> Hi
    Add    variable NEW: a\nb
    Add    permission {"Action": "s3:GetObject", "Effect": "Allow", "Resource": "arn:aws:s3:::files/*"}
    "#);
    only_read(&fakes);
}

#[test]
fn what_cannot_be_given_is_refused_before_anything_is_sent() {
    let cases = [
        ("[environments.dev.env]\nAPI_LOG_LEVEL = \"debug\"\n", "infra/backend.yaml sets it itself"),
        ("[environments.dev.env]\nPASSWORD = \"{{resolve:ssm:/a}}\"\n", "without {{resolve:…}}"),
        ("[environments.dev.env]\nIMAGE_DIGEST = \"x\"\n", "are set by the tool"),
        ("[environments.dev.secrets]\nPASSWORD = \"hunter2\"\n", "its value is not shown"),
        ("[environments.dev.env]\nA = \"1\"\n[environments.dev.secrets]\nA = \"/secrets/a\"\n", "not in `env` too"),
        ("[environments.dev.env]\nHOST = \"{other.Host}\"\n", "environments.dev.env.HOST"),
    ];
    for (settings, reason) in cases {
        let (fakes, sandbox) = with(settings);
        let ended = sandbox.run(&["release", "dev", "--yes"]);
        assert!(ended.stderr.contains(reason) && !ended.stderr.contains("hunter2"), "{settings}: {}", ended.stderr);
        nothing_sent(&fakes);
    }
    let (fakes, sandbox) = with("");
    sandbox.write("infra/permissions.json", &PERMISSIONS.replace("s3:GetObject", "*"));
    let dev = DEPLOY_TOML.replacen(
        "[environments.dev]\n",
        "[environments.dev]\npermissions = \"infra/permissions.json\"\n",
        1,
    );
    sandbox.write("deploy.toml", &dev);
    assert_snapshot!(sandbox.run(&["release", "dev", "--yes", "--quiet"]).stderr, @r#"
    error: the service's permissions cannot be used
      resource: infra/permissions.json, environments.dev.permissions
      reason: statement 1 has the Action "*"; one is SERVICE:OPERATION, such as s3:GetObject or s3:Get*
      next: it is a JSON list of {"Effect", "Action", "Resource"}: infra/README.md has an example
    "#);
    nothing_sent(&fakes);
}
