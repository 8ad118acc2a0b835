use config::deployment::Deployment;

use super::*;
use model::trust::{Pipeline, Repository};

fn dev(zone: &str) -> Environment {
    let text = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
         template = \"t.yaml\"\nwatch_minutes = 9\n[environments.dev.parameters]\n{zone}"
    );
    Deployment::parse("deploy.toml", &text).unwrap().environments["dev"].clone()
}

fn asked() -> Asked {
    let repository = Repository { owner: "o".to_owned(), name: "r".to_owned() };
    let (repository, id, owner_id) = (&repository, None, None);
    let (environment, plan_environment, branch) = ("live", "live-plan", "main");
    let pipeline = Pipeline { repository, id, owner_id, environment, plan_environment, branch, workflow: None };
    Asked { trust: Some(Trust::of(&pipeline)), api_gateway_logs: true, service_actions: None }
}

/// The values that are said, and the names of those that stay.
fn said(stack: Option<&Stack>, there: &There, asked: &Asked) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut values, mut kept) = (BTreeMap::new(), Vec::new());
    for (name, value) in parameters(&dev(""), "rest-api", stack, there, asked) {
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
    let all = There { repository: true, provider: true, logging_role: Some("arn".to_owned()) };
    for (there, expected) in [(There::default(), "true"), (all, "false")] {
        let (values, kept) = said(None, &there, &asked());
        for name in ["CreateApiGatewayLogging", "CreateOidcProvider", "CreateRepository"] {
            assert_eq!(values[name], expected, "{name}");
        }
        assert_eq!((values["Subjects"].as_str(), kept.len()), ("repo:o/r:environment:live", 0));
    }
    // Nobody needs a provider where no pipeline is trusted, nor logs where none are asked for.
    let (values, _) = said(None, &There::default(), &Asked::default());
    assert_eq!((values["CreateOidcProvider"].as_str(), values["CreateApiGatewayLogging"].as_str()), ("false", "false"));
}

#[test]
fn what_the_stack_has_made_stays_its_own_and_the_rest_as_it_is() {
    let stack = made_of(&[
        ("CreateApiGatewayLogging", "true"),
        ("CreateOidcProvider", "true"),
        ("CreateRepository", "true"),
        ("ServiceActions", "s3:GetObject"),
        ("Subjects", "repo:o/r:environment:live"),
    ]);
    let there = There { repository: true, provider: true, logging_role: Some("arn".to_owned()) };
    let (values, kept) = said(Some(&stack), &there, &Asked::default());
    for name in ["CreateApiGatewayLogging", "CreateOidcProvider", "CreateRepository"] {
        assert_eq!(values[name], "true", "{name}");
    }
    assert_eq!(kept, ["ServiceActions", "Subjects"]);
    let actions = Some(vec!["s3:GetObject".to_owned(), "sqs:SendMessage".to_owned()]);
    let (values, kept) = said(Some(&stack), &there, &Asked { service_actions: actions, ..asked() });
    assert_eq!((values["ServiceActions"].as_str(), kept.len()), ("s3:GetObject,sqs:SendMessage", 0));
}

#[test]
fn the_zone_is_the_environments() {
    let zone = dev("HostedZoneId = \"Z1\"\nUsersStack = \"users\"");
    let values = parameters(&zone, "rest-api", None, &There::default(), &Asked::default());
    assert_eq!(values["HostedZoneId"], Value::Is("Z1".to_owned()));
    assert_eq!(values["UsersStack"], Value::Is("users".to_owned()));
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
    let values = parameters(&many, "rest-api", None, &There::default(), &asked());
    assert_eq!(values["EnvironmentStack"], Value::Is("rest-api-dev-*".to_owned()));
    let parts = parts(&values).join("\n");
    assert!(parts.ends_with("permissions boundary for stacks rest-api-dev-*"), "{parts}");
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
