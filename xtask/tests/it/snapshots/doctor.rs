//! `doctor`, where something is missing, is unknown for lack of permission, or a token is to be checked.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::fakes::database::Database;
use crate::fakes::staged::Staged;
use crate::fakes::{DIGEST, Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Ended, Sandbox};

/// Of the account's own settings only this is set, so that a snapshot shows what it is about.
fn guarded(sandbox: &Sandbox) {
    let account = "account = \"111122223333\"\nstack = \"rest-api-dev\"";
    sandbox.write("deploy.toml", &DEPLOY_TOML.replace("stack = \"rest-api-dev\"", account));
}

/// The lines of these looks.
fn about(ended: &Ended, names: &[&str]) -> String {
    let text = ended.snapshot();
    let mut lines = text.lines().skip_while(|line| *line != "--- stdout").peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let is_wanted = names.iter().any(|name| line.get(3..).is_some_and(|rest| rest.starts_with(name)));
        if is_wanted {
            found.push(line);
            found.extend(lines.next_if(|next| next.trim_start().starts_with("next: ")));
        }
    }
    found.join("\n")
}

/// Everything that AWS was asked is a question.
fn only_reads(fakes: &Fakes) {
    let asked = fakes.world().asked.clone();
    let reads = |action: &String| {
        action.starts_with("GET ")
            || action.rsplit(':').next().is_some_and(|name| {
                ["Get", "Describe", "List", "Simulate", "GET"].iter().any(|start| name.starts_with(start))
            })
    };
    let more: Vec<&String> = asked.iter().filter(|action| !reads(action)).collect();
    assert!(more.is_empty() && asked.len() > 10, "{more:?} of {asked:?}");
}

#[test]
fn permissions_that_are_missing_are_named_with_where_they_are_printed() {
    let fakes = Fakes::start(World { refused: vec!["ecr:PutImage", "ssm:PutParameter"], ..World::default() });
    let sandbox = fakes.sandbox();
    guarded(&sandbox);
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 3, "{}", ended.stdout);
    assert_snapshot!(about(&ended, &["permissions"]), @"!! permissions the caller lacks permissions that a release needs: ecr:PutImage, ssm:PutParameter");
    only_reads(&fakes);
}

#[test]
#[cfg(target_os = "linux")]
fn checks_without_permission_are_unknown_and_no_failure() {
    let fakes = Fakes::start(World { denied: Some("SimulatePrincipalPolicy"), ..World::default() });
    let sandbox = fakes.sandbox();
    guarded(&sandbox);
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_snapshot!(about(&ended, &["permissions", "stack"]), @r"
    ok stack       rest-api-dev will be created
    ?? permissions could not be checked: iam:SimulatePrincipalPolicy failed: AccessDenied: releaser is not authorized to perform it
                   next: allow iam:SimulatePrincipalPolicy for this role or user
    ");
    let object = sandbox.run(&["doctor", "--json"]).json();
    let checks = object["checks"].as_array().unwrap();
    let permissions = checks.iter().find(|check| check["name"] == "permissions").unwrap();
    assert_eq!((&permissions["ok"], &permissions["note"]), (&json!(true), &json!(true)));
    assert!(checks.iter().any(|check| check.get("note").is_none()), "{object}");
    only_reads(&fakes);
}

#[test]
fn without_credentials_all_other_checks_are_reported() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 3);
    assert_snapshot!(about(&ended, &["docker", "template", "parameters"]), @r"
    !! docker      the Docker engine does not answer: Socket not found: /nonexistent/docker.sock
    ok template    infra/backend.yaml, 212 bytes
    ok parameters  all have a value
    ");
    assert!(ended.stdout.contains("!! account     there are no AWS credentials"), "{}", ended.stdout);
    // Neither is a template that cannot be read a reason to be silent on the rest.
    sandbox.write("infra/backend.yaml", "Resources: [");
    let ended = sandbox.run(&["doctor"]);
    assert!(ended.stdout.contains("!! template ") && ended.stdout.contains("!! account "), "{}", ended.stdout);
}

#[test]
fn certificates_are_of_the_right_region() {
    const EDGE: &str = "Resources:\n  Domain:\n    Type: AWS::ApiGateway::DomainName\n    Properties:\n      \
        DomainName: api.example.com\n      RegionalCertificateArn: \
        arn:aws:acm:us-east-1:111122223333:certificate/1\n";
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    sandbox.write("infra/backend.yaml", EDGE);
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 3);
    assert_snapshot!(about(&ended, &["certificate", "template"]), @r"
    ok template    infra/backend.yaml, runs no image: deploy without --image
    !! certificate arn:aws:acm:us-east-1:111122223333:certificate/1 is in us-east-1: the API's regional domain needs one in eu-central-1
    ");
    assert!(ended.stderr.contains("next: aws acm request-certificate --region eu-central-1"), "{}", ended.stderr);
    only_reads(&fakes);
}

/// The service of `dev` and its database, which lets in the clients of one network.
fn with_database(sandbox: &Sandbox, network: &str) {
    const SERVICE: &str = "
Parameters: {ContainerURI: {Type: String}}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Service:
    Type: AWS::ECS::Service
    Properties: {NetworkConfiguration: {AwsvpcConfiguration: {SecurityGroups: [!ImportValue network-Clients]}}}
Outputs: {ApiGatewayURL: {Value: !Ref Gateway}}
";
    const DATABASE: &str = "
Parameters: {Network: {Type: String}}
Resources:
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: {SecurityGroupIngress: [{SourceSecurityGroupId: !ImportValue {'Fn::Sub': '${Network}-Clients'}}]}
  Database: {Type: AWS::RDS::DBInstance, Properties: {VPCSecurityGroups: [!GetAtt Group.GroupId]}}
";
    let needs = "needs = [\"database\"]\nstack = \"rest-api-dev\"";
    let database = format!(
        "[environments.database]\nregion = \"eu-central-1\"\nstack = \"rest-api-database\"\ntemplate = \
         \"infra/database.yaml\"\n[environments.database.parameters]\nNetwork = \"{network}\"\n"
    );
    let edge = "[environments.edge]\nregion = \"eu-central-1\"\nstack = \"rest-api-edge\"\ntemplate = \
                \"infra/edge.yaml\"\nneeds = [\"dev\"]\n";
    sandbox.write("deploy.toml", &(DEPLOY_TOML.replace("stack = \"rest-api-dev\"", needs) + &database + edge));
    sandbox.write("infra/backend.yaml", SERVICE);
    sandbox.write("infra/database.yaml", DATABASE);
    sandbox.write("infra/edge.yaml", "Resources: {Firewall: {Type: AWS::WAFv2::WebACL}}");
}

/// Nothing of it is there, or the database, or both.
fn beside(database: Option<Database>, service: &str) -> Fakes {
    let stack = if database.is_some() { "CREATE_COMPLETE" } else { "" }.to_owned();
    let other = World { name: Some("rest-api-database"), no_url: true, stack, database, ..World::default() };
    let others = [("rest-api-database", other)].into();
    let staged = (!service.is_empty()).then(|| Staged::of(DIGEST, 60));
    Fakes::start(World { stack: service.to_owned(), staged, others, ..World::default() })
}

#[test]
fn doctor_says_whether_the_service_reaches_its_database() {
    let said = |fakes: &Fakes, network: &str| {
        let sandbox = fakes.sandbox();
        with_database(&sandbox, network);
        let ended = sandbox.run(&["doctor"]);
        only_reads(fakes);
        about(&ended, &["database"])
    };
    let nothing = beside(None, "");
    assert_snapshot!(said(&nothing, "network"), @"ok database      database will let in the service's tasks, by network-Clients");
    assert_snapshot!(said(&nothing, "another"), @"!! database      database would not let in the service's tasks: it lets in another-Clients; the tasks will be in network-Clients");
    let there = |status, lets_in| Some(Database { status, lets_in });
    assert_snapshot!(said(&beside(there("stopped", "sg-clients"), ""), "network"), @r"
    !! database      rest-api-database-1 is stopped: it takes no connections
    ok database      database will let in the service's tasks, by network-Clients
    ");
    let released = |lets_in| beside(there("available", lets_in), "UPDATE_COMPLETE");
    assert_snapshot!(said(&released("sg-clients"), "network"), @"ok database    rest-api-database-1 is available, and lets in the service's tasks on port 5432");
    assert_snapshot!(said(&released("sg-others"), "network"), @"!! database    rest-api-database-1 does not let in the service's tasks: port 5432 is open to sg-others; the tasks are in sg-tasks, sg-clients");
    let fakes = released("sg-others");
    let sandbox = fakes.sandbox();
    with_database(&sandbox, "network");
    let edge = sandbox.run(&["doctor", "edge"]);
    assert_eq!(about(&edge, &["database"]), "", "what is before the service connects to none: {}", edge.stdout);
    assert!(edge.stdout.contains(" account "), "{}", edge.stdout);
    // Without the permission nothing is known, which is no failure.
    let denied = released("sg-clients");
    denied.world().denied = Some("DescribeDBInstances");
    assert_snapshot!(said(&denied, "network"), @r"
    ?? database    could not be checked: rds:DescribeDBInstances failed: AccessDenied: releaser is not authorized to perform it
                   next: allow rds:DescribeDBInstances for this role or user
    ");
}

/// A stack that trusts the jobs of one environment. (The fake has one stack by any name.)
fn trusting() -> World {
    let parameters = [
        ("Subjects", "repo:octo/shop:environment:dev,repo:octo@7/shop@70:environment:dev"),
        ("RepositoryId", "70"),
        ("GitHubEnvironment", "dev"),
        ("WorkflowRef", ""),
    ];
    World {
        stack: "CREATE_COMPLETE".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        provider: true,
        ..World::default()
    }
}

fn token(environment: &str) -> String {
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": format!("repo:octo/shop:environment:{environment}"),
        "repository": "octo/shop",
        "repository_id": "70",
        "environment": environment,
        "exp": 4_102_444_800_u64,
    });
    format!("e30.{}.geheim", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

const PIPELINE: [&str; 3] = ["role", "provider", "trust"];

/// Earlier versions had the pipeline's roles in the stack of `bootstrap`, whose next update removes them.
#[test]
fn doctor_notes_roles_that_are_still_to_move() {
    let none = World { name: Some("rest-api-dev-pipeline"), ..World::default() };
    let fakes = Fakes::start(World { others: [("rest-api-dev-pipeline", none)].into(), ..trusting() });
    assert_snapshot!(about(&fakes.sandbox().run(&["doctor"]), &["roles", "trust"]), @r"
    ?? roles       the pipeline's roles are still in stack rest-api-dev-bootstrap, which no longer has them after an update
                   next: cargo xtask bootstrap dev
    ok trust       the deploy role trusts octo/shop, environment dev
    ");
    only_reads(&fakes);
}

#[test]
fn doctor_compares_a_token_with_the_trust_policy() {
    let fakes = Fakes::start(trusting());
    let sandbox = fakes.sandbox().with("AWS_ROLE_ARN", "arn:aws:iam::999900001111:role/xtask/deploy");
    sandbox.write("good", &token("dev"));
    sandbox.write("other", &token("staging"));
    let ended = sandbox.run(&["doctor", "--token", "good"]);
    assert_snapshot!(about(&ended, &PIPELINE), @r"
    !! role        AWS_ROLE_ARN belongs to another account: arn:aws:iam::999900001111:role/xtask/deploy; the environment is in 111122223333
    ok provider    the identity provider token.actions.githubusercontent.com exists
    ok trust       the token matches the trust policy, of octo/shop, environment dev
    ");
    let other = sandbox.run(&["doctor", "--token", "other"]);
    assert_eq!(other.code, 3);
    assert_snapshot!(about(&other, &["trust"]), @r"
    !! trust       the claim sub does not match the release role: expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo/shop:environment:staging
    ");
    assert!(
        other.stderr.contains("next: if this pipeline is to release: cargo xtask bootstrap dev"),
        "{}",
        other.stderr
    );
    for ended in [&ended, &other] {
        assert!(!ended.whole().contains("geheim") && !ended.whole().contains("e30."), "the token is never shown");
    }
    fakes.world().provider = false;
    assert_snapshot!(about(&sandbox.run(&["doctor", "--token", "good"]), &["provider"]), @"!! provider    the account has no identity provider token.actions.githubusercontent.com: without it no token of a pipeline is accepted");
    // No pipeline is trusted, and a token is to be checked.
    fakes.world().parameters = BTreeMap::new();
    assert_snapshot!(about(&sandbox.run(&["doctor", "--token", "good"]), &["trust"]), @"!! trust       there is no trust policy to compare the token with: stack rest-api-dev-pipeline trusts no pipeline");
    assert_snapshot!(about(&sandbox.run(&["doctor"]), &["trust", "provider"]), @"");
    only_reads(&fakes);
}

#[test]
#[cfg(target_os = "linux")]
fn a_job_on_github_asks_about_its_own_token() {
    let fakes = Fakes::start(trusting());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, url) = runtime.block_on(async {
        let server = MockServer::start().await;
        let url = format!("{}/token?api-version=2", server.uri());
        (server, url)
    });
    let answers = |environment: &str| {
        let body: Value = json!({"value": token(environment)});
        let asked = Mock::given(method("GET")).and(path("/token")).and(query_param("audience", "sts.amazonaws.com"));
        let asked = asked.and(header("authorization", "Bearer hush-hush"));
        runtime.block_on(async {
            server.reset().await;
            asked.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
        });
    };
    let sandbox =
        fakes.sandbox().with("ACTIONS_ID_TOKEN_REQUEST_URL", &url).with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush-hush");
    answers("dev");
    assert_snapshot!(about(&sandbox.run(&["doctor"]), &["trust"]), @"ok trust       this job's token matches the trust policy, of octo/shop, environment dev");
    // A job that only reads need not be able to release.
    answers("staging");
    assert_snapshot!(about(&sandbox.run(&["doctor"]), &["trust"]), @r"
    ?? trust       this job may not assume the deploy role: the claim sub does not match the release role: expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo/shop:environment:staging
                   next: if this pipeline is to release: cargo xtask bootstrap dev --github octo/shop --github-id 70 --github-environment staging
    ");
    runtime.block_on(server.reset());
    let refused = sandbox.run(&["doctor"]);
    assert_snapshot!(about(&refused, &["trust"]), @r"
    ?? trust       could not be checked: no token of this job: GitHub issued no token for this job: it responded with 404 Not Found
    ");
    assert!(!refused.whole().contains("hush"), "{}", refused.whole());
}

#[test]
#[cfg(target_os = "linux")]
fn secrets_are_there_encrypted_and_within_the_boundary() {
    use crate::fakes::ssm::{OWN_KEY, Version};
    use crate::snapshots::secret::{PARAMETER, TEMPLATE, line, settings};

    let mut world = World::default();
    for (name, key) in [
        (PARAMETER, Some(OWN_KEY)),
        ("/secrets/rest-api-dev/PLAIN", None),
        ("/shared/KEY", Some("alias/shared")),
        ("/shared/PLAIN", None),
    ] {
        world.journal.insert(name.to_owned(), vec![Version::of("value", key)]);
    }
    let statement = json!({"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"});
    world.boundary = json!({"Version": "2012-10-17", "Statement": [statement]});
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    let all = format!(
        "{}\nGONE = \"/secrets/rest-api-dev/GONE\"\nPLAIN = \"/secrets/rest-api-dev/PLAIN\"\nKEY = \"/shared/KEY\"\nOTHER \
         = \"/shared/PLAIN\"",
        line()
    );
    let more = "account = \"111122223333\"\npermissions = \"infra/permissions.json\"\n[environments.dev.parameters]\n\
        PermissionsBoundary = \"arn:aws:iam::111122223333:policy/xtask/boundary\"\n";
    sandbox.write("deploy.toml", &settings(&all, more));
    sandbox.write(
        "infra/permissions.json",
        r#"[{"Effect": "Allow", "Action": ["s3:GetObject", "sqs:SendMessage"], "Resource": "*"}]"#,
    );
    sandbox.write(
        "infra/backend.yaml",
        &TEMPLATE.replace("Parameters:\n", "Parameters:\n  PermissionsBoundary: {Type: String}\n"),
    );
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 3);
    assert_snapshot!(about(&ended, &["secrets", "boundary"]), @r"
    !! secrets     secret GONE cannot be used: /secrets/rest-api-dev/GONE does not exist, or has no value
    ?? secrets     OTHER is not encrypted: /shared/PLAIN is a String
                   next: store it as a SecureString
    ?? secrets     PLAIN is not encrypted: /secrets/rest-api-dev/PLAIN is a String
                   next: cargo xtask secret set dev PLAIN stores it encrypted
    ok secrets     KEY (version 1, less than 5 min old, key alias/shared), PASSWORD (version 1, less than 5 min old)
    !! boundary    the permissions boundary does not let through what the service is given: sqs:SendMessage, arn:aws:ssm:eu-central-1:111122223333:parameter/shared/KEY, arn:aws:ssm:eu-central-1:111122223333:parameter/shared/PLAIN in arn:aws:iam::111122223333:policy/xtask/boundary
    ");
    assert!(ended.stderr.contains("next: cargo xtask secret set dev GONE"), "{}", ended.stderr);
    assert!(ended.stderr.contains("next: cargo xtask bootstrap dev adds it to the boundary"), "{}", ended.stderr);
    sandbox.write("deploy.toml", &settings(&line(), more));
    let names = ["arn:aws:s3:::x", "arn:aws:sqs:x"];
    let statement = json!({"Effect": "Allow", "Action": ["s3:Get*", "sqs:SendMessage"], "Resource": names});
    fakes.world().boundary = json!({"Version": "2012-10-17", "Statement": statement});
    let ended = sandbox.run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_snapshot!(about(&ended, &["secrets", "boundary"]), @r"
    ok secrets     PASSWORD (version 1, less than 5 min old)
    ok boundary    arn:aws:iam::111122223333:policy/xtask/boundary lets through what the service is given
    ");
    for (denied, name) in [("DescribeParameters", "secrets"), ("GetPolicyVersion", "boundary")] {
        fakes.world().denied = Some(denied);
        let ended = sandbox.run(&["doctor"]);
        let found = about(&ended, &[name]);
        assert!(found.starts_with(&format!("?? {name}")) && found.contains("could not be checked"), "{found}");
    }
    only_reads(&fakes);
}
