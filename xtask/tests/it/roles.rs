//! IAM from both sides, by the evaluator of these tests: what the roles of the templates have to be able to do, and what
//! none of them may. The engine suite asks an emulator that enforces policies the same, as far as it can.

#[path = "../iam/cases.rs"]
mod cases;
#[path = "../iam/evaluate.rs"]
mod evaluate;
#[path = "../iam/handlers.rs"]
mod handlers;
mod limits;
#[path = "../infra/resolve.rs"]
mod resolve;
#[path = "../iam/roles.rs"]
#[expect(clippy::module_inception, reason = "the suites share the file")]
mod roles;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::templates::template;
use evaluate::{Request, allows, holds};
use roles::{EXECUTION, Roles, STACK};

const ACCOUNT: &str = "111122223333";

/// What the tool itself can call and a pipeline may not, each with the reason.
const WITHHELD: [(&str, &str); 13] = [
    ("apigateway:GET", "bootstrap reads the account's settings, and an administrator runs it"),
    ("cloudformation:BatchDescribeTypeConfigurations", "drift is for whoever may only read"),
    ("cloudformation:DescribeStackDriftDetectionStatus", "as above"),
    ("cloudformation:DescribeStackResourceDrifts", "as above"),
    ("cloudformation:DescribeType", "what a release would change, too; a release asks for a change set"),
    ("cloudformation:DetectStackDrift", "as above"),
    ("cloudformation:DetectStackResourceDrift", "as above"),
    ("ecr:BatchDeleteImage", "prune reads what other environments need, which this role may not"),
    ("ecr:CreateRepository", "the repository is there before the role is"),
    ("ecr:DeleteRepository", "nobody destroys images from a pipeline"),
    ("ecr:PutLifecyclePolicy", "the repository has its policy"),
    ("ecr:TagResource", "only a new repository is tagged"),
    ("iam:GetOpenIDConnectProvider", "bootstrap looks for it, and an administrator runs it"),
];

/// What the template says beyond the tool's own calls.
const BEYOND: [(&str, &str); 1] =
    [("OnlyWithTheExecutionRole", "a refusal: CloudFormation never works with the pipeline's own permissions")];

fn roles() -> Roles {
    Roles::of(ACCOUNT).unwrap()
}

#[test]
fn every_role_can_do_what_it_has_to_and_none_what_it_must_not() {
    let roles = roles();
    let cases = cases::cases(&roles);
    assert!(cases.iter().filter(|case| !case.allowed).count() > 60, "{}", cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .filter(|case| {
            let role = case.who.role(&roles);
            allows(&role.policies, role.boundary.as_ref(), &case.request()) != case.allowed
        })
        .map(|case| format!("{case:?}"))
        .collect();
    assert!(wrong.is_empty(), "these are not as they say:\n{}", wrong.join("\n"));
}

/// `iam-policy` knows every call of the tool; the deploy role repeats it, statement by statement.
#[test]
fn a_pipeline_may_do_what_the_tool_calls_and_nothing_more() {
    let sandbox = Sandbox::new();
    let role = format!("account = \"{ACCOUNT}\"\nexecution_role = \"arn:aws:iam::{ACCOUNT}:{EXECUTION}\"\nstack = ");
    sandbox.write("deploy.toml", &DEPLOY_TOML.replace("stack = ", &role));
    let policy = sandbox.run(&["iam-policy", "production", "--json"]).json()["policy"].clone();
    let wanted: BTreeMap<String, Value> = statements(&policy)
        .filter_map(|(sid, mut statement)| {
            let actions = statement["Action"].as_array_mut().unwrap();
            // Of what API Gateway has, the keys are read, the account's settings not.
            let kept = |action: &Value| sid == "ApiKey" || !WITHHELD.iter().any(|(withheld, _)| action == withheld);
            actions.retain(kept);
            (!actions.is_empty()).then_some((sid, statement))
        })
        .collect();
    let [document] = roles().deploy.policies.try_into().unwrap();
    let given: BTreeMap<String, Value> =
        statements(&document).filter(|(sid, _)| !BEYOND.iter().any(|(beyond, _)| sid == beyond)).collect();
    for (sid, statement) in &wanted {
        let text = serde_json::to_string_pretty(statement).unwrap();
        assert_eq!(given.get(sid), Some(statement), "infra/bootstrap.yaml: DeployRole has to have {sid}:\n{text}");
    }
    let more: Vec<&String> = given.keys().filter(|sid| !wanted.contains_key(*sid)).collect();
    assert!(more.is_empty(), "infra/bootstrap.yaml: DeployRole has what the tool never calls: {more:?}");
    assert!(BEYOND.iter().all(|(sid, _)| statements(&document).any(|(found, _)| found == *sid)));
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

#[test]
fn a_token_of_another_job_is_not_let_in() {
    let trust = roles().deploy.trust;
    let claims = |changed: &[(&'static str, &'static str)]| {
        let mut claims = BTreeMap::from([
            ("token.actions.githubusercontent.com:aud", "sts.amazonaws.com"),
            ("token.actions.githubusercontent.com:sub", "repo:owner/repo:environment:production"),
            ("token.actions.githubusercontent.com:repository_id", "70"),
            ("token.actions.githubusercontent.com:environment", "production"),
        ]);
        claims.extend(changed.iter().copied());
        claims
    };
    assert!(trusts(&trust, &claims(&[])));
    let numbered = "repo:owner@7/repo@70:environment:production";
    assert!(trusts(&trust, &claims(&[("token.actions.githubusercontent.com:sub", numbered)])));
    for (claim, value) in [
        ("aud", "https://github.com/owner"),
        ("sub", "repo:owner/repo:environment:staging"),
        ("sub", "repo:owner/repo:ref:refs/heads/main"),
        ("sub", "repo:owner/other:environment:production"),
        ("sub", "repo:owner@8/repo@70:environment:production"),
        ("sub", "repo:owner/repo:environment:production:x"),
        ("sub", "repo:*:environment:production"),
        ("repository_id", "71"),
        ("environment", "staging"),
    ] {
        let claim = format!("token.actions.githubusercontent.com:{claim}");
        let mut others = claims(&[]);
        others.insert(&claim, value);
        assert!(!trusts(&trust, &others), "{claim} is {value}");
        others.remove(claim.as_str());
        assert!(!trusts(&trust, &others), "{claim} is not there");
    }
}

#[test]
fn a_trust_names_nobody_by_a_pattern() {
    let text = roles().deploy.trust.to_string();
    for sign in ["*", "Like", "ForAllValues", "ForAnyValue", "IfExists"] {
        assert!(!text.contains(sign), "{sign} in {text}");
    }
}

/// What a role of the stack could do if a template gave it everything.
#[test]
fn a_role_that_is_given_everything_can_still_do_little() {
    let roles = roles();
    let everything = [json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})];
    for case in cases::cases(&roles).iter().filter(|case| !case.allowed && case.who == cases::Who::Task) {
        // What the boundary lets through for others is up to the role's own policy.
        if case.action.starts_with("ecr:") || case.action.starts_with("logs:") {
            continue;
        }
        assert!(!allows(&everything, roles.task.boundary.as_ref(), &case.request()), "{case:?}");
    }
    assert!(STACK.len() < 24, "the prefix of the roles is the stack's name");
}
