//! Environments that build on others: `needs`, and `{ENV.OUTPUT}` in parameters.
#![cfg(target_os = "linux")]

use insta::assert_snapshot;
use serde_json::json;

use crate::fakes::{Ending, Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Ended, Sandbox};

const NETWORK: &str = "
Parameters: {Cidr: {Type: String, Default: 10.0.0.0/16}}
Resources: {Vpc: {Type: AWS::EC2::VPC}}
Outputs: {VpcId: {Value: !Ref Vpc}}
";
const DATABASE: &str = "
Parameters: {VpcId: {Type: String}}
Resources: {Clients: {Type: AWS::EC2::SecurityGroup}}
Outputs: {Address: {Value: !Ref Clients}}
";
const BACKEND: &str = "
Parameters: {ContainerURI: {Type: String}, VpcId: {Type: String}, Database: {Type: String}}
Resources: {Gateway: {Type: AWS::ApiGateway::RestApi}}
Outputs: {ApiGatewayURL: {Value: !Ref Gateway}}
";
const SETTINGS: &str = r#"
[environments.network]
region = "eu-central-1"
stack = "rest-api-network"
template = "infra/network.yaml"

[environments.database]
region = "eu-central-1"
stack = "rest-api-database"
template = "infra/database.yaml"
needs = ["network"]

[environments.database.parameters]
VpcId = "{network.VpcId}"

[environments.dev.parameters]
VpcId = "{network.VpcId}"
Database = "postgres://{database.Address}:5432"
"#;

/// A stack beside the service's, which is not there yet.
fn other(name: &'static str, output: (&str, &str)) -> (&'static str, World) {
    let outputs = [(output.0.to_owned(), output.1.to_owned())].into();
    (name, World { name: Some(name), no_url: true, outputs, ..World::default() })
}

/// Nothing is there yet.
pub(crate) fn nothing() -> World {
    let network = other("rest-api-network", ("VpcId", "vpc-1"));
    World { others: [network, other("rest-api-database", ("Address", "db.example"))].into(), ..World::default() }
}

/// The files of a repository in which `dev` needs `database`, and that `network`.
pub(crate) fn files() -> Vec<(&'static str, String)> {
    let settings = settings("", "");
    let texts = [("infra/network.yaml", NETWORK), ("infra/database.yaml", DATABASE), ("infra/backend.yaml", BACKEND)];
    texts.into_iter().chain([("deploy.toml", settings.as_str())]).map(|(path, text)| (path, text.to_owned())).collect()
}

fn sandbox(fakes: &Fakes) -> Sandbox {
    let sandbox = fakes.sandbox();
    files().iter().for_each(|(path, text)| sandbox.write(path, text));
    sandbox
}

/// With another line in the table of the network, and other tables at the end.
fn settings(of_network: &str, end: &str) -> String {
    let needs = "needs = [\"database\", \"network\"]\nstack = \"rest-api-dev\"";
    let text = DEPLOY_TOML.replace("stack = \"rest-api-dev\"", needs) + SETTINGS + end;
    text.replace("[environments.network]\n", &format!("[environments.network]\n{of_network}\n"))
}

/// A world and a sandbox after a first release.
fn released() -> (Fakes, Sandbox) {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    (fakes, sandbox)
}

/// How often each stack was changed: network, database, dev.
fn changes(fakes: &Fakes) -> [u32; 3] {
    let world = fakes.world();
    let other = |name: &str| world.others[name].changes;
    [other("rest-api-network"), other("rest-api-database"), world.changes]
}

/// The lines of stderr from the first with `start` on.
fn from(ended: &Ended, start: &str) -> String {
    let text = ended.whole();
    let at = text.find(start).unwrap_or_else(|| panic!("no {start:?} in {text}"));
    text[at..].to_owned()
}

#[test]
fn a_release_brings_its_needs_up_to_date_and_takes_their_outputs() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    let first = sandbox.run(&["release"]).whole();
    let (needs, _) = first.rsplit_once("ok preflight").unwrap();
    assert_snapshot!(needs, @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
    ok preflight account 111122223333 in eu-central-1, arn:aws:iam::111122223333:user/releaser, credentials that do not expire ([time])
    ok need      network: stack rest-api-network ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-network created ([time])
    ok need      database: stack rest-api-database ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-database created ([time])
    ");
    assert_eq!(changes(&fakes), [1, 1, 1]);
    assert_eq!(fakes.world().others["rest-api-database"].parameters["VpcId"], "vpc-1");
    assert_eq!(fakes.world().parameters["VpcId"], "vpc-1");
    assert_eq!(fakes.world().parameters["Database"], "postgres://db.example:5432");
    fakes.world().asked.clear();
    let again = sandbox.run(&["release", "--json"]);
    let network = json!({"environment": "network", "stack": "rest-api-network", "change": "none"});
    let database = json!({"environment": "database", "stack": "rest-api-database", "change": "none"});
    assert_eq!(again.json()["needs"], json!([network, database]));
    assert_eq!(again.json()["change"], "none");
    assert_eq!((changes(&fakes), again.code), ([1, 1, 1], 0));
    let asked = fakes.world().asked.clone();
    let of_one = ["sts:GetCallerIdentity", "cloudformation:DescribeStacks", "cloudformation:GetTemplate"];
    // The environment itself is checked before.
    let first = asked.iter().position(|call| call == of_one[2]).unwrap() - 2;
    assert_eq!(asked[first..first + 6], [of_one, of_one].concat(), "what a current need costs");
}

#[test]
fn a_dry_run_says_what_would_come_first_and_what_is_not_known_before() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    assert_snapshot!(sandbox.run(&["release", "--dry-run"]).whole(), @r"
    exit 0
    --- stdout
    create stack rest-api-network of infra/network.yaml, for network, which dev needs
    create stack rest-api-database of infra/database.yaml, for database, which dev needs
    then dev, which cannot be checked yet without environments.dev.parameters.Database, environments.dev.parameters.VpcId
    ");
    let json = sandbox.run(&["deploy", "database", "--dry-run", "--json"]).json();
    assert_eq!(
        json["plan"][0],
        "create stack rest-api-network of infra/network.yaml, for network, which database needs"
    );
    assert_eq!(changes(&fakes), [0, 0, 0]);
    assert!(sandbox.run(&["deploy", "database"]).code == 0);
    assert_eq!(changes(&fakes), [1, 1, 0]);
    // Whatever would change: what there is is known.
    sandbox.write("infra/network.yaml", &NETWORK.replace("10.0", "10.1"));
    assert_snapshot!(sandbox.run(&["release", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    update stack rest-api-network of infra/network.yaml, for network, which dev needs
    create repository rest-api
    build and push the image rest-api:content-[hash] ([platform])
    create stack rest-api-dev from infra/backend.yaml
    prove the endpoint
    --- stderr
    ok compile   [target], content-[hash] ([time])
    ");
    assert_eq!(changes(&fakes), [1, 1, 0]);
}

#[test]
fn a_plan_and_a_difference_read_the_needs_and_change_none() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    let unknown = |command: &[&str]| {
        let ended = sandbox.run(command);
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        from(&ended, "error:")
    };
    assert_snapshot!(unknown(&["diff"]), @r"
    error: 2 things are missing
      reason: - parameter Database cannot be used
          resource: environments.dev.parameters.Database
          reason: the stack of database, whose output Address it is, does not exist yet
          next: cargo xtask deploy database
        - parameter VpcId cannot be used
          resource: environments.dev.parameters.VpcId
          reason: the stack of network, whose output VpcId it is, does not exist yet
          next: cargo xtask deploy network
    ");
    assert_eq!(unknown(&["plan", "dev", "--out", "plan.json"]), unknown(&["diff"]));
    assert_eq!(changes(&fakes), [0, 0, 0]);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write("infra/network.yaml", &NETWORK.replace("10.0", "10.1"));
    let diff = sandbox.run(&["diff"]);
    assert_snapshot!(diff.snapshot(), @r"
    exit 0
    --- stdout
    nothing would change in stack rest-api-dev in eu-central-1
    image: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, which runs already
    note: a release would first update stack rest-api-network of infra/network.yaml, for network, which dev needs
    ");
    let plan = sandbox.run(&["plan", "dev", "--out", "plan.json", "--json"]);
    let says = "warning: a release would first update stack rest-api-network of infra/network.yaml, for network, which \
                dev needs; this plan does not";
    assert!(plan.stderr.contains(says), "{}", plan.stderr);
    assert_eq!(plan.json()["needs"][0]["change"], "update");
    assert_eq!(sandbox.run(&["apply", "plan.json"]).code, 0);
    assert_eq!(changes(&fakes), [1, 1, 1]);
}

#[test]
fn doctor_says_what_a_release_would_do_first() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    let needs = || {
        let ended = sandbox.run(&["doctor"]);
        ended.stdout.lines().find(|line| line.contains(" needs ")).unwrap_or_default().to_owned()
    };
    assert_snapshot!(needs(), @"?? needs       a release would first create stack rest-api-network of infra/network.yaml, for network, which dev needs, then create stack rest-api-database of infra/database.yaml, for database, which dev needs");
    assert_eq!(sandbox.run(&["deploy", "database"]).code, 0);
    assert_snapshot!(needs(), @"ok needs       database, network: nothing to do before a release");
    assert_eq!(changes(&fakes), [1, 1, 0]);
}

#[test]
fn a_need_that_fails_stops_before_the_environment() {
    let mut world = nothing();
    world.others.get_mut("rest-api-database").unwrap().ending = Ending::RolledBack;
    let fakes = Fakes::start(world);
    let ended = sandbox(&fakes).run(&["release"]);
    assert_eq!(ended.code, 4);
    assert_snapshot!(from(&ended, "error:"), @r"
    error: stack rest-api-database could not be created; what had been created is gone (ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-database%2F1
      note: dev needs database; nothing of dev was changed
      note: stack rest-api-network of network was changed before
      next: fix the cause, then repeat the command with --yes; or cargo xtask destroy database
    ");
    assert_eq!(changes(&fakes), [1, 1, 0]);
    assert!(fakes.world().repository.is_none(), "nothing was built for it");
}

#[test]
fn each_need_asks_its_own_question() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    sandbox.write("deploy.toml", &settings("protected = true", ""));
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 3);
    assert_snapshot!(from(&ended, "error:"), @r"
    error: confirmation is required, and there is no terminal: network is protected. Change stack rest-api-network in eu-central-1?
      reason: stdin or stderr is not a terminal
      note: dev needs network; nothing of dev was changed
      next: repeat the command with --yes to confirm
    ");
    assert_eq!(changes(&fakes), [0, 0, 0]);
    assert_eq!(sandbox.run(&["release", "--yes"]).code, 0);
    // One that is current asks nothing.
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert_eq!(changes(&fakes), [1, 1, 1]);
}

#[test]
fn what_is_wrong_in_the_work_tree_is_found_before_anything_is_changed() {
    let fakes = Fakes::start(nothing());
    let sandbox = sandbox(&fakes);
    let text = settings("", "Own = 1\n[environments.network.parameters]\nTypo = 1\n");
    sandbox.write("deploy.toml", &text.replace("{database.Address}", "{database.Adress}"));
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_snapshot!(from(&ended, "error:"), @r"
    error: 3 things are missing
      reason: - parameter Own cannot be used
          resource: environments.dev.parameters
          reason: infra/backend.yaml does not declare it
          next: remove it from deploy.toml
        - parameter Typo cannot be used
          resource: environments.network.parameters
          reason: infra/network.yaml does not declare it
          next: remove it from deploy.toml
        - parameter Database cannot be used
          resource: environments.dev.parameters.Database
          reason: infra/database.yaml has no output Adress; it has Address; did you mean Address?
          next: fix {database.Adress} in deploy.toml
    ");
    assert!(fakes.world().asked.is_empty(), "{:?}", fakes.world().asked);
}

#[test]
fn an_output_that_the_stack_does_not_have_is_named_with_those_it_has() {
    let mut world = nothing();
    world.others.get_mut("rest-api-network").unwrap().outputs = [("Vpc".to_owned(), "vpc-1".to_owned())].into();
    let fakes = Fakes::start(world);
    let ended = sandbox(&fakes).run(&["release"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_snapshot!(from(&ended, "error:"), @r"
    error: parameter VpcId cannot be used
      resource: environments.database.parameters.VpcId
      reason: stack rest-api-network has no output VpcId; it has Vpc; did you mean Vpc?
      note: dev needs database; nothing of dev was changed
      note: stack rest-api-network of network was changed before
      next: fix {network.VpcId} in deploy.toml
    ");
    assert_eq!(changes(&fakes), [1, 0, 0]);
}

#[test]
fn what_runs_an_image_is_used_as_it_is() {
    let fakes = Fakes::start(nothing());
    let sandbox = fakes.sandbox();
    sandbox.write("infra/edge.yaml", &DATABASE.replace("VpcId", "Origin"));
    let edge = "\n[environments.edge]\nregion = \"eu-central-1\"\nstack = \"rest-api-database\"\ntemplate = \
                \"infra/edge.yaml\"\nneeds = [\"dev\"]\n[environments.edge.parameters]\nOrigin = \"{dev.ApiGatewayURL}/\"\n";
    sandbox.write("deploy.toml", &(DEPLOY_TOML.to_owned() + edge));
    let ended = sandbox.run(&["deploy", "edge"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_snapshot!(from(&ended, "error:"), @r"
    error: a stack that is needed cannot be built on
      resource: stack rest-api-dev
      reason: it does not exist, and which image it should run is not said
      note: edge needs dev; nothing of edge was changed
      next: cargo xtask release dev
    ");
    assert_eq!(sandbox.run(&["release"]).code, 0);
    let ended = sandbox.run(&["deploy", "edge"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let origin = fakes.world().others["rest-api-database"].parameters["Origin"].clone();
    assert_eq!(origin, format!("{}/", fakes.url()));
    assert_eq!(changes(&fakes), [0, 1, 1]);
}

#[test]
fn what_others_build_on_is_not_removed() {
    let (fakes, sandbox) = released();
    fakes.world().imports = [("rest-api-network-VpcId", vec!["rest-api-dev", "of-somebody-else"])].into();
    let refused = |option: &str| {
        let ended = sandbox.run(&["destroy", "network", option]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        from(&ended, "error:")
    };
    assert_snapshot!(refused("--yes"), @r"
    error: other stacks build on this one
      resource: stack rest-api-network
      reason: environment database (stack rest-api-database) needs it
        environment dev (stack rest-api-dev) needs it
        stack rest-api-dev imports its export rest-api-network-VpcId
        stack of-somebody-else imports its export rest-api-network-VpcId
      next: remove them first: cargo xtask destroy dev, cargo xtask destroy database
    ");
    assert_eq!(refused("--dry-run"), refused("--yes"));
    // Stacks without an image do not keep the repository, those with one do.
    let image = [("ContainerURI".to_owned(), "example.com/rest-api".to_owned())].into();
    let runs = World { stack: "UPDATE_COMPLETE".to_owned(), no_url: true, parameters: image, ..World::default() };
    fakes.world().others.insert("rest-api-production", World { name: Some("rest-api-production"), ..runs });
    let shared = sandbox.run(&["destroy", "dev", "--images", "--yes"]);
    assert_eq!(shared.code, 1, "{}", shared.stderr);
    assert!(shared.stderr.contains("reason: these have a stack: production\n"), "{}", shared.stderr);
    fakes.world().others.remove("rest-api-production");
    assert_eq!(sandbox.run(&["destroy", "dev", "--images", "--yes"]).code, 0);
    fakes.world().imports.clear();
    assert_eq!(sandbox.run(&["destroy", "network", "--yes"]).code, 1, "the database is still there");
    assert_eq!(sandbox.run(&["destroy", "database", "--yes"]).code, 0);
    // Without the right to see who imports, CloudFormation is the one that refuses.
    fakes.world().denied = Some("ListImports");
    let ended = sandbox.run(&["destroy", "network", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("warning: which stacks import from rest-api-network is not known"),
        "{}",
        ended.stderr
    );
    assert!(fakes.world().others["rest-api-network"].stack.is_empty());
}

#[test]
fn templates_call_the_image_and_the_endpoint_what_the_settings_say() {
    let fakes = Fakes::start(World { no_url: true, ..World::default() });
    let sandbox = fakes.sandbox();
    fakes.world().outputs = [("Endpoint".to_owned(), fakes.url())].into();
    let names = "image_parameter = \"ImageUri\"\nurl_output = \"Endpoint\"\nstack = \"rest-api-dev\"";
    sandbox.write("deploy.toml", &DEPLOY_TOML.replace("stack = \"rest-api-dev\"", names));
    let template = std::fs::read_to_string(sandbox.path().join("infra/backend.yaml")).unwrap();
    sandbox.write(
        "infra/backend.yaml",
        &template.replace("ContainerURI", "ImageUri").replace("ApiGatewayURL", "Endpoint"),
    );
    fakes.world().serves = Some(crate::fakes::DIGEST.to_owned());
    let ended = sandbox.run(&["release"]);
    assert_eq!((ended.code, ended.stdout.trim()), (0, fakes.url().as_str()), "{}", ended.stderr);
    assert!(fakes.world().parameters["ImageUri"].ends_with(crate::fakes::DIGEST));
    assert!(!fakes.world().parameters.contains_key("ContainerURI"));
    let again = sandbox.run(&["release"]);
    assert!(again.stderr.contains("rest-api-dev is already current"), "{}", again.stderr);
    let status = sandbox.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["digest"], status["releases"][0]["running"].as_bool()),
        (&json!(crate::fakes::DIGEST), Some(true))
    );
    assert_eq!(sandbox.run(&["smoke", "dev"]).code, 0);
    // A template of the usual names is not one of these.
    sandbox.write("infra/backend.yaml", &template);
    let ended = sandbox.run(&["release"]);
    assert!(ended.stderr.contains("infra/backend.yaml has no parameter ImageUri"), "{}", ended.stderr);
}
