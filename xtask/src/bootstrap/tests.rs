use config::deployment::Deployment;

use super::pipeline::PipelineScope;
use super::*;
use model::trust::{Pipeline, Repository, Trust};

fn dev(zone: &str) -> Environment {
    let text = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
         template = \"t.yaml\"\nwatch_minutes = 9\n[environments.dev.parameters]\n{zone}"
    );
    Deployment::parse("deploy.toml", &text).unwrap().environments["dev"].clone()
}

const ROLE: &str = "arn:aws:iam::111122223333:role/xtask/execution";

fn trust() -> Trust {
    let repository = Repository { owner: "o".to_owned(), name: "r".to_owned() };
    let (repository, id, owner_id) = (&repository, None, None);
    let (environment, plan_environment, branch) = ("live", "live-plan", "main");
    Trust::of(&Pipeline { repository, id, owner_id, environment, plan_environment, branch, workflow: None })
}

fn template(name: &str) -> Template {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra").join(name);
    Template::read(name, std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The parameters of `bootstrap`'s stack: the values that are said, and the names of those that stay.
fn said_of(stack: Option<&Stack>, there: &There, asked: &Asked) -> (BTreeMap<String, String>, Vec<String>) {
    split(parameters(
        &template("bootstrap.yaml"),
        &dev(""),
        "rest-api",
        stack,
        there,
        &gone(stack, &there.lacking(asked)),
        asked,
    ))
}

/// The same of the pipeline's.
fn said_of_pipeline(
    environment: &Environment,
    stack: Option<&Stack>,
    has_provider: bool,
    trust: Option<&Trust>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let (account, repository) = ("111122223333", "rest-api");
    let (needs, changed) = (Vec::new(), Vec::new());
    let gone = &gone(stack, &pipeline::lacking(has_provider));
    let access = PipelineScope {
        environment,
        needs,
        changed,
        account,
        repository,
        trust,
        has_provider,
        gone,
        execution_role: ROLE,
    };
    split(access.parameters(&template("pipeline.yaml"), stack))
}

fn split(parameters: BTreeMap<String, Value>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut values, mut kept) = (BTreeMap::new(), Vec::new());
    for (name, value) in parameters {
        match value {
            Value::Is(value) => drop(values.insert(name, value)),
            Value::Previous => kept.push(name),
        }
    }
    (values, kept)
}

fn made_of(values: &[(&str, &str)]) -> Stack {
    let parameters = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Stack { status: "CREATE_COMPLETE".to_owned(), parameters, ..Stack::default() }
}

#[test]
fn only_what_the_account_lacks_is_made() {
    let asked = Asked { api_gateway_logs: true, ..Asked::default() };
    let all = There { repository: true, bucket: true, logging_role: Some("arn".to_owned()) };
    for (there, expected) in [(There::default(), "true"), (all, "false")] {
        let (values, kept) = said_of(None, &there, &asked);
        for name in ["CreateApiGatewayLogging", "CreateRepository", "CreateTemplatesBucket"] {
            assert_eq!(values[name], expected, "{name}");
        }
        assert!(kept.is_empty(), "{kept:?}");
    }
    // Nobody needs a role for logs where none are asked for.
    let (values, _) = said_of(None, &There::default(), &Asked::default());
    assert_eq!(values["CreateApiGatewayLogging"], "false");
    for (has_provider, expected) in [(false, "true"), (true, "false")] {
        let (values, kept) = said_of_pipeline(&dev(""), None, has_provider, Some(&trust()));
        assert_eq!((values["CreateOidcProvider"].as_str(), kept.len()), (expected, 0));
        assert_eq!(values["Subjects"], "repo:o/r:environment:live");
        assert_eq!(values["ExecutionRoleArn"], ROLE);
        assert_eq!(values["StackArns"], "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/*");
    }
}

/// A pipeline reads all that its environment needs, and changes only what it may.
#[test]
fn the_stacks_of_needs_are_read_and_some_of_them_changed() {
    let need = |stack: &str| Environment { stack: stack.to_owned(), ..dev("") };
    let (environment, network, database) = (&dev(""), need("rest-api-dev-network"), need("database"));
    let access = PipelineScope {
        environment,
        needs: vec![&network, &database],
        changed: vec![&network],
        account: "111122223333",
        repository: "rest-api",
        trust: None,
        has_provider: true,
        gone: &[],
        execution_role: ROLE,
    };
    let (values, _) = split(access.parameters(&template("pipeline.yaml"), None));
    let arns = |stacks: &[&str]| {
        let arn = |stack: &&str| format!("arn:aws:cloudformation:eu-central-1:111122223333:stack/{stack}/*");
        stacks.iter().map(arn).collect::<Vec<_>>().join(",")
    };
    assert_eq!(values["StackArns"], arns(&["rest-api-dev", "rest-api-dev-network"]));
    assert_eq!(values["ReadStackArns"], arns(&["rest-api-dev", "rest-api-dev-network", "database"]));
}

/// What was deleted by other means leaves the stack first, and is created by the next run.
#[test]
fn what_is_gone_is_dropped_and_then_created_again() {
    let asked = Asked { api_gateway_logs: true, ..Asked::default() };
    let names = ["CreateApiGatewayLogging", "CreateRepository", "CreateTemplatesBucket"];
    for (before, after) in [("true", "false"), ("false", "true")] {
        let stack = made_of(&names.map(|name| (name, before)));
        let (values, _) = said_of(Some(&stack), &There::default(), &asked);
        for name in names {
            assert_eq!(values[name], after, "{name} was {before}");
        }
        let stack = made_of(&[("CreateOidcProvider", before)]);
        assert_eq!(said_of_pipeline(&dev(""), Some(&stack), false, None).0["CreateOidcProvider"], after);
    }
    // A stack that was only being created when the account was read has not lost anything.
    let (stack, template) = (made_of(&names.map(|name| (name, "true"))), template("bootstrap.yaml"));
    let values = parameters(&template, &dev(""), "rest-api", Some(&stack), &There::default(), &[], &asked);
    assert!(names.iter().all(|name| values[*name] == Value::Is("true".to_owned())), "{values:?}");
}

#[test]
fn what_the_stack_has_made_stays_its_own_and_the_rest_as_it_is() {
    let stack = made_of(&[
        ("CreateApiGatewayLogging", "true"),
        ("CreateRepository", "true"),
        ("CreateTemplatesBucket", "true"),
        ("ServiceActions", "s3:GetObject"),
        // Of an earlier version: AWS refuses what the template does not declare.
        ("Subjects", "repo:o/r:environment:live"),
    ]);
    let there = There { repository: true, bucket: true, logging_role: Some("arn".to_owned()) };
    let (values, kept) = said_of(Some(&stack), &there, &Asked::default());
    for name in ["CreateApiGatewayLogging", "CreateRepository", "CreateTemplatesBucket"] {
        assert_eq!(values[name], "true", "{name}");
    }
    assert_eq!(kept, ["ServiceActions"]);
    let actions = Some(vec!["s3:GetObject".to_owned(), "sqs:SendMessage".to_owned()]);
    let (values, kept) = said_of(Some(&stack), &there, &Asked { service_actions: actions, ..Asked::default() });
    assert_eq!((values["ServiceActions"].as_str(), kept.len()), ("s3:GetObject,sqs:SendMessage", 0));
    let stack = made_of(&[("CreateOidcProvider", "true"), ("Subjects", "repo:o/r:environment:live")]);
    let (values, kept) = said_of_pipeline(&dev(""), Some(&stack), true, None);
    assert_eq!((values["CreateOidcProvider"].as_str(), kept), ("true", vec!["Subjects".to_owned()]));
}

#[test]
fn what_the_service_is_permitted_is_added_to_what_it_may_be_allowed() {
    let actions = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
    let stack = made_of(&[("ServiceActions", "sqs:*, s3:PutObject")]);
    let permitted = || actions(&["s3:GetObject", "sqs:SendMessage"]).into_iter().collect();
    for (stack, asked, expected) in [
        (None, None, "s3:GetObject,sqs:SendMessage"),
        (Some(&stack), None, "sqs:*,s3:PutObject,s3:GetObject"),
        // What is asked for replaces what there is.
        (Some(&stack), Some(actions(&["dynamodb:Query"])), "dynamodb:Query,s3:GetObject,sqs:SendMessage"),
    ] {
        let asked = Asked { service_actions: asked, permitted: permitted(), ..Asked::default() };
        let (values, _) = said_of(stack, &There::default(), &asked);
        assert_eq!(values["ServiceActions"], expected);
        let there =
            parameters(&template("bootstrap.yaml"), &dev(""), "rest-api", stack, &There::default(), &[], &asked);
        let said = format!("the service itself may be allowed {}", expected.replace(',', ", "));
        assert!(parts(&there).contains(&said), "{:?}", parts(&there));
    }
}

#[test]
fn secrets_from_elsewhere_are_named_by_arn() {
    let secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/db-a1B2c3";
    let foreign = "arn:aws:ssm:eu-central-1:444455556666:parameter/secrets/rest-api-dev/A";
    let own = "arn:aws:ssm:eu-central-1:111122223333:parameter/secrets/rest-api-dev/A";
    let text = format!(
        "[environments.dev.secrets]\nA = \"/secrets/rest-api-dev/A\"\nB = \"/shared/B\"\nC = \"{secret}:password::\"\nD = \
         \"{secret}\"\nE = \"{foreign}\"\nF = \"{own}\"\nG = \"/secrets/rest-api-dev-2/A\"\n"
    );
    let arns = secret_arns(&dev(&text), "111122223333");
    let of = |name: &str| format!("arn:aws:ssm:eu-central-1:111122223333:parameter{name}");
    let expected = [secret.to_owned(), foreign.to_owned(), of("/shared/B"), of("/secrets/rest-api-dev-2/A")];
    assert_eq!(arns, expected.into());
    let asked = Asked { secret_arns: arns, ..Asked::default() };
    let (values, _) = said_of(None, &There::default(), &asked);
    assert_eq!(values["SecretArns"].split(',').count(), 4);
}

#[test]
fn the_zone_and_the_users_are_the_environments() {
    let environment = dev("HostedZoneId = \"Z1\"\nUsersStack = \"users\"");
    let template = template("bootstrap.yaml");
    let values = parameters(&template, &environment, "rest-api", None, &There::default(), &[], &Asked::default());
    assert_eq!(values["HostedZoneId"], Value::Is("Z1".to_owned()));
    assert_eq!(said_of_pipeline(&environment, None, true, Some(&trust())).0["UsersStack"], "users");
}

#[test]
fn a_role_is_known_by_as_much_of_the_stacks_name_as_goes_into_its_own() {
    let prefix =
        |stack: &str, instances| policy::role_prefix(&Environment { stack: stack.to_owned(), instances, ..dev("") });
    assert_eq!(prefix("rest-api-dev", false), "rest-api-dev-");
    assert_eq!(prefix("abcdefghijklmnopqrstuvwx", false), "abcdefghijklmnopqrstuvwx-");
    assert_eq!(prefix("abcdefghijklmnopqrstuvwxyz", false), "abcdefghijklmnopqrstuvwx");
    // Whatever an instance is called, its roles' names begin so.
    assert_eq!(prefix("rest-api-dev", true), "rest-api-dev-");
    assert_eq!(prefix("abcdefghijklmnopqrstuvwx", true), "abcdefghijklmnopqrstuvwx");
}

#[test]
fn instances_share_what_is_there_before_them() {
    let many = Environment { instances: true, ..dev("") };
    let own = environment(&many);
    assert_eq!((own.stack.as_str(), own.instances), ("bootstrap-rest-api-dev", false));
    assert!(!own.stack.starts_with("rest-api-dev-"), "an instance cannot be called so");
    let template = template("bootstrap.yaml");
    let values = parameters(&template, &many, "rest-api", None, &There::default(), &[], &Asked::default());
    assert_eq!(values["EnvironmentStack"], Value::Is("rest-api-dev-*".to_owned()));
    let parts = parts(&values).join("\n");
    assert!(parts.ends_with("permissions boundary for stacks rest-api-dev-*"), "{parts}");
    assert_eq!(pipeline::environment(&many).stack, "pipeline-rest-api-dev");
    let (values, _) = said_of_pipeline(&many, None, true, Some(&trust()));
    assert!(values["StackArns"].ends_with(":stack/rest-api-dev-*/*"), "{values:?}");
}

#[test]
fn its_own_stack_works_without_a_role_and_alarms() {
    let own = environment(&Environment { execution_role: Some("arn".to_owned()), ..dev("Zone = 1") });
    assert_eq!(
        (own.stack.as_str(), own.execution_role.as_deref(), own.watch_minutes),
        ("rest-api-dev-bootstrap", None, 0)
    );
    assert!(own.parameters.is_empty());
}
