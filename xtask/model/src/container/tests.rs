use serde_json::json;

use super::*;
use crate::template::Template;

const TASK: &str = "\
Metadata:
  Release:
    Container:
      TaskDefinition: Task
      Name: api
      ExecutionRole: Start
      TaskRole: Run
Parameters:
  ContainerURI: {Type: String}
Resources:
  Start:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        # What every task needs.
        - PolicyName: start
  Run:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - !Ref AWS::NoValue
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Name: sidecar
          Environment:
            - Name: OTHER
              Value: x
        - Name: api
          Environment:
            - Name: API_PORT
              Value: !Ref ContainerURI
            - !If
              - Cors
              - Name: API_CORS_ORIGINS
                Value: x
              - !Ref AWS::NoValue
          StopTimeout: 60
";

const MACHINE: &str = "\
Metadata:
  Release:
    Container:
      LaunchTemplate: Machine
      Variable: Additions
      ExecutionRole: Run
      TaskRole: Run
Resources:
  Run:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: boot
  Machine:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        UserData:
          Fn::Base64: !Sub
            - |
              docker run --env 'API_PORT=${Port}' <<'END'
              ${Additions}
              END
            - Port: '1'
              Additions: ''
";

fn template(body: &str) -> Template {
    Template::read("infra/t.yaml", body.to_owned()).unwrap()
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secret(reference: &str, version: &str) -> Secret {
    Secret {
        reference: SecretReference::parse(reference).unwrap(),
        version: Some(version.to_owned()).filter(|version| !version.is_empty()),
        key: None,
    }
}

fn additions() -> Additions {
    Additions {
        env: env(&[("GREETING", "it's \"ä\" ${x} 🚀\nline 2: #no comment"), ("EMPTY", "")]),
        secrets: BTreeMap::from([("PASSWORD".to_owned(), secret("/secrets/api/PASSWORD", "7"))]),
        permissions: Vec::new(),
        before: vec!["/api".to_owned(), "migrate".to_owned()],
    }
}

/// For tasks, which have a role of their own.
fn with_permissions() -> Additions {
    let statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "${A}"}});
    Additions { permissions: vec![statement], ..additions() }
}

/// The lines that are in `after` and not in `before`; every other line has to be the same, in the same order.
fn added<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
    let mut old = before.lines().peekable();
    let added = after.lines().filter(|line| old.next_if_eq(line).is_none()).collect();
    assert_eq!(old.next(), None, "a line is gone");
    added
}

#[test]
fn additions_to_a_task_are_lines_between_those_of_the_template() {
    let rendered = template(TASK).with_container(&with_permissions()).unwrap();
    insta::assert_snapshot!(added(TASK, &rendered.body).join("\n"), @r##"
    - {"PolicyDocument": {"Statement": [{"Action": "ssm:GetParameters", "Effect": "Allow", "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/secrets/api/PASSWORD"}]}], "Version": "2012-10-17"}, "PolicyName": "deploy-secrets"}
    - {"PolicyDocument": {"Statement": [{"Action": "s3:GetObject", "Effect": "Allow", "Resource": {"Fn::Sub": "${A}"}}], "Version": "2012-10-17"}, "PolicyName": "deploy-permissions"}
      Secrets:
        - {"Name": "PASSWORD", "ValueFrom": "/secrets/api/PASSWORD"}
        - {"Name": "EMPTY", "Value": ""}
        - {"Name": "GREETING", "Value": "it's \"\u00e4\" ${x} \U0001f680\nline 2: #no comment"}
        - {"Name": "SECRET_VERSIONS", "Value": "PASSWORD=7"}
    "##);
    let definition = &rendered.document.root["Resources"]["Task"]["Properties"]["ContainerDefinitions"][1];
    let names: Vec<&str> =
        definition["Environment"].as_array().unwrap().iter().filter_map(|one| one["Name"].as_str()).collect();
    assert_eq!(names, ["EMPTY", "GREETING", "SECRET_VERSIONS", "API_PORT"]);
    assert_eq!(definition["Environment"][1]["Value"], "it's \"ä\" ${x} 🚀\nline 2: #no comment");
    assert_eq!(definition["Secrets"], json!([{"Name": "PASSWORD", "ValueFrom": "/secrets/api/PASSWORD"}]));
    assert!(rendered.body.is_ascii(), "CloudFormation returns it with question marks");
}

#[test]
fn additions_to_user_data_are_one_line() {
    let rendered = template(MACHINE).with_container(&additions()).unwrap();
    let sub =
        &rendered.document.root["Resources"]["Machine"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"];
    let lines: Vec<Value> = sub["Fn::Sub"][1]["Additions"]
        .as_str()
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({"name": "EMPTY", "value": ""}),
            json!({"name": "GREETING", "value": "it's \"ä\" ${x} 🚀\nline 2: #no comment"}),
            json!({"name": "SECRET_VERSIONS", "value": "PASSWORD=7"}),
            json!({"name": "PASSWORD", "from": "/secrets/api/PASSWORD"}),
            json!({"before": ["/api", "migrate"]}),
        ]
    );
    assert!(rendered.body.is_ascii());
}

#[test]
fn what_was_added_is_read_again() {
    for body in [TASK, MACHINE] {
        let rendered = template(body).with_container(&additions()).unwrap();
        let container = read(&rendered.body);
        assert_eq!(container.env.get("GREETING"), additions().env.get("GREETING"));
        assert_eq!(container.secrets, env(&[("PASSWORD", "/secrets/api/PASSWORD")]));
        assert_eq!(container.versions, env(&[("PASSWORD", "7")]));
        // The same again, from the same template.
        assert_eq!(template(body).with_container(&additions()).unwrap().body, rendered.body);
    }
    assert_eq!(read(&template(TASK).with_container(&with_permissions()).unwrap().body).permissions.len(), 1);
    assert_eq!(read("Resources: {}"), Container::default());
    assert_eq!(read("a: ["), Container::default());
}

#[test]
fn without_additions_the_text_is_the_files() {
    assert_eq!(template(TASK).with_container(&Additions::default()).unwrap().body, TASK);
    // The tool itself runs the command before a release of tasks.
    let before = Additions { before: vec!["/api".to_owned()], ..Additions::default() };
    assert_eq!(template(TASK).with_container(&before).unwrap().body, TASK);
    assert_ne!(template(MACHINE).with_container(&before).unwrap().body, MACHINE);
    let without = "Resources: {It: {Type: A::B}}\n";
    assert_eq!(template(without).with_container(&Additions::default()).unwrap().body, without);
}

#[test]
fn the_projects_own_templates_take_additions() {
    for file in ["api-backend.yaml", "api-backend-fargate.yaml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra").join(file);
        let body = std::fs::read_to_string(path).unwrap();
        let rendered = template(&body).with_container(&additions()).unwrap();
        assert_eq!(read(&rendered.body).env.get("EMPTY").map(String::as_str), Some(""), "{file}");
        assert_eq!(rendered.file, body, "{file}");
    }
}

#[test]
fn the_example_of_permissions_is_one() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let example: Vec<&str> =
        text.lines().skip_while(|line| *line != "    [").take_while(|line| !line.is_empty()).collect();
    let statements = read_permissions(&example.join("\n")).unwrap();
    let actions = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"];
    assert_eq!(allowed_actions(&statements), actions.map(str::to_owned).into());
}

#[test]
fn what_cannot_be_added_is_named() {
    let refused = |body: &str, additions: &Additions| template(body).with_container(additions).unwrap_err();
    let of_env = |pairs: &[(&str, &str)]| Additions { env: env(pairs), ..Additions::default() };
    let one = of_env(&[("A", "b")]);

    let error = refused("Resources: {It: {Type: A::B}}\n", &one);
    assert!(error.reason.contains("does not say where its container is"), "{error}");
    for name in ["API_PORT", "API_CORS_ORIGINS"] {
        let error = refused(TASK, &of_env(&[(name, "1")]));
        assert_eq!((error.setting, error.reason), (format!("env.{name}"), "infra/t.yaml sets it itself".to_owned()));
    }
    let both =
        Additions { secrets: BTreeMap::from([("API_PORT".to_owned(), secret("/a", ""))]), ..Additions::default() };
    assert_eq!(refused(MACHINE, &both).setting, "secrets.API_PORT");
    // Another container's variables do not count.
    assert!(template(TASK).with_container(&of_env(&[("OTHER", "1")])).is_ok());

    assert!(refused(MACHINE, &with_permissions()).reason.contains("reaches no credentials"));

    let long = "x".repeat(30 * 1024);
    let error = refused(TASK, &of_env(&[("A", &long), ("B", &long)]));
    assert!(error.reason.contains("bytes, and a task definition has room for"), "{error}");
    let error = refused(MACHINE, &of_env(&[("A", &long)]));
    assert!(error.reason.contains("and EC2 takes 15872"), "{error}");

    let flow = TASK.replace(
        "          Environment:\n            - Name: API_PORT\n              Value: !Ref ContainerURI\n",
        "          Environment: [\n            {Name: API_PORT, Value: x},\n",
    );
    let flow = flow.replace("            - !If\n              - Cors\n              - Name: API_CORS_ORIGINS\n                Value: x\n              - !Ref AWS::NoValue\n", "          ]\n");
    assert!(refused(&flow, &one).reason.contains("Environment"));
    assert!(
        refused(&TASK.replace("Name: api\n          Env", "Name: web\n          Env"), &one)
            .reason
            .contains("no container api")
    );
    assert!(refused(&MACHINE.replace("Additions: ''", "Additions: x"), &one).reason.contains("is not `Additions: ''`"));
}

#[test]
fn changes_are_named_one_by_one() {
    let before = read(&template(TASK).with_container(&with_permissions()).unwrap().body);
    let mut next = with_permissions();
    next.env = env(&[("GREETING", "Hi"), ("NEW", "1")]);
    next.secrets.insert("PASSWORD".to_owned(), secret("/secrets/api/PASSWORD", "8"));
    next.secrets.insert("KEY".to_owned(), secret("/secrets/api/KEY", "1"));
    next.permissions.clear();
    let after = read(&template(TASK).with_container(&next).unwrap().body);
    let lines: Vec<String> = changes(&before, &after).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    Remove variable EMPTY
    Modify variable GREETING: it's "ä" ${x} 🚀\nline 2: #no comment -> Hi
    Add    variable NEW: 1
    Add    secret KEY: /secrets/api/KEY, version 1
    Modify secret PASSWORD: /secrets/api/PASSWORD, version 7 -> /secrets/api/PASSWORD, version 8
    Remove permission {"Action": "s3:GetObject", "Effect": "Allow", "Resource": {"Fn::Sub": "${A}"}}
    "##);
    assert!(changes(&after, &after).is_empty());
}
