//! IAM from both sides, by the evaluator of these tests: what the roles of the templates have to be able to do, and what
//! none of them may. The engine suite asks an emulator that enforces policies the same, as far as it can.

#[path = "../iam/cases.rs"]
mod cases;
#[path = "../iam/evaluate.rs"]
mod evaluate;
mod limits;
#[path = "../infra/resolve.rs"]
mod resolve;
#[path = "../iam/roles.rs"]
#[expect(clippy::module_inception, reason = "the suites share the file")]
mod roles;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::templates::template;
use evaluate::{Request, allows, holds};
use roles::{CHANGED_NEED, EXECUTION, MANY, READ_NEED, Roles, STACK};

const ACCOUNT: &str = "111122223333";

/// What the tool itself can call and a pipeline may not, each with the reason.
const WITHHELD: [(&str, &str); 7] = [
    ("apigateway:GET", "bootstrap reads the account's settings, and an administrator runs it"),
    ("ecr:BatchDeleteImage", "prune reads what other environments need, which this role may not"),
    ("ecr:CreateRepository", "the repository is there before the role is"),
    ("ecr:DeleteRepository", "nobody destroys images from a pipeline"),
    ("ecr:PutLifecyclePolicy", "the repository has its policy"),
    ("ecr:TagResource", "only a new repository is tagged"),
    ("iam:GetOpenIDConnectProvider", "bootstrap looks for it, and an administrator runs it"),
];

/// Statements that are withheld as a whole.
const FOR_PEOPLE: [(&str, &str); 1] = [("SecretChanges", "a secret's value is stored by people, not by a pipeline")];

/// What the template says beyond the tool's own calls.
const BEYOND: [(&str, &str); 1] =
    [("OnlyWithTheExecutionRole", "a refusal: CloudFormation never works with the pipeline's own permissions")];

fn roles() -> Roles {
    Roles::of(ACCOUNT).unwrap()
}

fn each_is_as_it_says(roles: &Roles, cases: &[cases::Case]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|case| {
            let role = case.who.role(roles);
            allows(&role.policies, role.boundary.as_ref(), &case.request()) != case.allowed
        })
        .map(|case| format!("{case:?}"))
        .collect();
    assert!(wrong.is_empty(), "these are not as they say:\n{}", wrong.join("\n"));
}

#[test]
fn every_role_can_do_what_it_has_to_and_none_what_it_must_not() {
    let roles = roles();
    let cases = cases::cases(&roles);
    assert!(cases.iter().filter(|case| !case.allowed).count() > 60, "{}", cases.len());
    each_is_as_it_says(&roles, &cases);
}

/// The same, where there are many stacks of the kind: theirs, and not another environment's.
#[test]
fn an_instance_is_changed_and_another_environment_is_not() {
    let roles = Roles::many(ACCOUNT).unwrap();
    let cases = cases::levels::of_one(&roles);
    each_is_as_it_says(&roles, &cases);
}

/// `iam-policy` knows every call of the tool; the roles repeat it, statement by statement.
#[test]
fn each_role_may_do_what_the_tool_calls_and_nothing_more() {
    let sandbox = Sandbox::new();
    sandbox.write("infra/network.yaml", "Resources: {Vpc: {Type: AWS::EC2::VPC}}");
    let role = format!("execution_role = \"arn:aws:iam::{ACCOUNT}:{EXECUTION}\"\n");
    let network = format!("account = \"{ACCOUNT}\"\nregion = \"eu-central-1\"\ntemplate = \"infra/network.yaml\"\n");
    let needs = format!(
        "[environments.shared]\nstack = \"{READ_NEED}\"\n{network}\
         [environments.network]\nstack = \"{CHANGED_NEED}\"\n{network}{role}"
    );
    let own = format!("account = \"{ACCOUNT}\"\n{role}needs = [\"shared\", \"network\"]\nstack = ");
    sandbox.write("deploy.toml", &(DEPLOY_TOML.replace("stack = ", &own) + &needs));
    compare(&sandbox, "production", &roles());
    let many = format!("{own}\"{MANY}\"\ninstances = true\n");
    let many = DEPLOY_TOML.replace("stack = \"rest-api-production\"\n", &many) + &needs;
    sandbox.write("deploy.toml", &many);
    compare(&sandbox, "production", &Roles::many(ACCOUNT).unwrap());
}

fn compare(sandbox: &Sandbox, environment: &str, roles: &Roles) {
    for (level, role) in [("read", &roles.read), ("plan", &roles.plan), ("release", &roles.deploy)] {
        let printed = sandbox.run(&["iam-policy", environment, "--for", level, "--json"]);
        let policy = printed.json()["policy"].clone();
        let wanted: BTreeMap<String, Value> = statements(&policy)
            .filter(|(sid, _)| !FOR_PEOPLE.iter().any(|(withheld, _)| sid == withheld))
            .filter_map(|(sid, mut statement)| {
                let actions = statement["Action"].as_array_mut().unwrap();
                // Of what API Gateway has, the account's settings are not read.
                let kept = |action: &Value| {
                    (action == "apigateway:GET" && sid != "ApiAccount")
                        || !WITHHELD.iter().any(|(withheld, _)| action == withheld)
                };
                actions.retain(kept);
                (!actions.is_empty()).then_some((sid, statement))
            })
            .collect();
        let given: Vec<(String, Value)> = role.policies.iter().flat_map(statements).collect();
        let names: BTreeSet<&String> = given.iter().map(|(sid, _)| sid).collect();
        assert_eq!(names.len(), given.len(), "no name twice: {names:?}");
        let given: BTreeMap<&String, &Value> = given.iter().map(|(sid, statement)| (sid, statement)).collect();
        for (sid, statement) in &wanted {
            let text = serde_json::to_string_pretty(statement).unwrap();
            assert_eq!(given.get(sid), Some(&statement), "infra/pipeline.yaml: to {level} takes {sid}:\n{text}");
        }
        let is_beyond = |sid: &str| BEYOND.iter().any(|(beyond, _)| sid == *beyond);
        let more = given.keys().filter(|sid| !wanted.contains_key(**sid) && !is_beyond(sid));
        let more: Vec<&&String> = more.collect();
        assert!(more.is_empty(), "infra/pipeline.yaml: to {level} takes no {more:?}");
        let beyond = BEYOND.iter().all(|(sid, _)| given.keys().any(|found| *found == sid));
        assert_eq!(beyond, level != "read", "whoever makes change sets is refused those without the execution role");
    }
}

/// Statements by their names, lists as lists in order.
fn statements(policy: &Value) -> impl Iterator<Item = (String, Value)> {
    policy["Statement"].as_array().unwrap().iter().map(|statement| {
        let mut statement = statement.clone();
        for key in ["Action", "Resource"] {
            let list = match statement[key].take() {
                Value::Array(items) => items,
                one => vec![one],
            };
            let mut list: Vec<String> = list.iter().map(|item| item.as_str().unwrap().to_owned()).collect();
            list.sort_unstable();
            statement[key] = json!(list);
        }
        (statement["Sid"].as_str().unwrap().to_owned(), statement)
    })
}

/// Whether a role's trust lets in a token with these claims, of GitHub's provider.
fn trusts(document: &Value, claims: &BTreeMap<&str, &str>) -> bool {
    let request = Request { action: "sts:AssumeRoleWithWebIdentity", resource: "*", context: claims.clone() };
    document["Statement"].as_array().unwrap().iter().any(|statement| {
        let provider = statement["Principal"]["Federated"].as_str().unwrap_or_default();
        statement["Effect"] == "Allow"
            && provider.ends_with("oidc-provider/token.actions.githubusercontent.com")
            && statement["Action"] == request.action
            && holds(&statement["Condition"], &request)
    })
}

/// The claims of a job, by their names in a condition; an empty one is left out.
fn job<'a>(sub: &'a str, environment: &'a str, changed: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    let mut claims = BTreeMap::from([
        ("token.actions.githubusercontent.com:aud", "sts.amazonaws.com"),
        ("token.actions.githubusercontent.com:sub", sub),
        ("token.actions.githubusercontent.com:repository_id", "70"),
        ("token.actions.githubusercontent.com:environment", environment),
    ]);
    claims.extend(changed.iter().copied());
    claims.retain(|_, value| !value.is_empty());
    claims
}

#[test]
fn a_token_of_another_job_is_refused() {
    let roles = roles();
    let doors = [("read", &roles.read.trust), ("plan", &roles.plan.trust), ("release", &roles.deploy.trust)];
    for (what, environment, role) in [
        ("pull_request", "", "read"),
        ("ref:refs/heads/main", "", "read"),
        ("environment:production-plan", "production-plan", "plan"),
        ("environment:production", "production", "release"),
        ("environment:staging", "staging", "none"),
        ("environment:production-plan", "production", "none"),
        ("environment:production", "production-plan", "none"),
        ("environment:production", "", "none"),
        ("environment:production:x", "production", "none"),
        ("ref:refs/heads/other", "", "none"),
        ("ref:refs/heads/main2", "", "none"),
        ("ref:refs/tags/main", "", "none"),
    ] {
        for (repository, fits) in [
            ("owner/repo", true),
            ("owner@7/repo@70", true),
            ("owner/other", false),
            ("owner@8/repo@70", false),
            ("owner@7/repo@71", false),
            ("Owner/repo", false),
            ("*", false),
        ] {
            let sub = format!("repo:{repository}:{what}");
            for (name, trust) in doors {
                assert_eq!(trusts(trust, &job(&sub, environment, &[])), fits && name == role, "{sub} takes {name}");
                for claim in ["aud", "repository_id", "sub"] {
                    let claim = format!("token.actions.githubusercontent.com:{claim}");
                    for value in ["another", ""] {
                        let changed = job(&sub, environment, &[(&claim, value)]);
                        assert!(!trusts(trust, &changed), "{claim} is {value:?}, and {sub} takes {name}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_trust_policy_contains_no_wildcards() {
    let roles = roles();
    for role in [&roles.read, &roles.plan, &roles.deploy] {
        let text = role.trust.to_string();
        for sign in ["*", "Like", "ForAllValues", "ForAnyValue", "IfExists"] {
            assert!(!text.contains(sign), "{sign} in {text}");
        }
    }
}

/// Whether it reads a secret that the roles that start the container may read.
fn is_of_secrets(case: &cases::Case) -> bool {
    let known = [cases::secret(STACK), "parameter/shared/KEY".to_owned(), "secret:team/db-a1B2c3".to_owned()];
    let is_known = |name: &str| known.iter().any(|end| name.ends_with(end));
    let keys = [cases::SECRET_KEY, cases::OTHER_KEY];
    let context = case.context.iter().any(|(key, value)| keys.contains(key) && is_known(value));
    match case.action {
        "ssm:GetParameters" | "secretsmanager:GetSecretValue" => is_known(&case.resource),
        action => action == "kms:Decrypt" && context,
    }
}

/// What a role of the stack could do if a template gave it everything.
#[test]
fn a_role_that_is_given_everything_can_still_do_little() {
    let roles = roles();
    let everything = [json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})];
    for case in cases::cases(&roles).iter().filter(|case| !case.allowed && case.who == cases::Who::Task) {
        // What the boundary lets through for others is up to the role's own policy.
        if case.action.starts_with("ecr:") || case.action.starts_with("logs:") || is_of_secrets(case) {
            continue;
        }
        assert!(!allows(&everything, roles.task.boundary.as_ref(), &case.request()), "{case:?}");
    }
    assert!(STACK.len() < 24, "the prefix of the roles is the stack's name");
}

/// A service may be given the password of its database, which is in the stack beside it.
#[test]
fn a_role_may_be_given_the_secrets_of_its_stack_and_of_its_database() {
    let roles = roles();
    let everything = [json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})];
    let resource = roles.arn("secretsmanager", "secret:Secret-1");
    for (stack, expected) in [
        (STACK, true),
        ("rest-api-production-database", true),
        ("rest-api-dev-database", false),
        ("rest-api-production-users", false),
        ("another", false),
    ] {
        for (action, expected) in
            [("secretsmanager:GetSecretValue", expected), ("secretsmanager:PutSecretValue", false)]
        {
            let context = BTreeMap::from([("aws:ResourceTag/aws:cloudformation:stack-name", stack)]);
            let request = Request { action, resource: &resource, context };
            assert_eq!(allows(&everything, roles.task_execution.boundary.as_ref(), &request), expected, "{request:?}");
        }
    }
}
