//! `iam-policy` and the calls that the tool makes: neither more nor less.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;

use serde_json::Value;

use crate::layering::packages::metadata;
use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::sources::{self, Source};

/// Permissions that no call of the tool is named after.
const IMPLIED: [&str; 14] = [
    // CloudFormation reads each resource and its type with the caller's permission.
    "cloudformation:BatchDescribeTypeConfigurations",
    "cloudformation:DetectStackResourceDrift",
    // Whoever creates a tagged thing needs the permission to tag.
    "cloudformation:TagResource",
    "ecr:TagResource",
    "ecs:TagResource",
    // A task gets the roles of its definition.
    "iam:PassRole",
    // It reads a template in a bucket as the caller, too.
    "s3:GetObject",
    // Secrets Manager decrypts with the caller's permission.
    "kms:Decrypt",
    // What the engine asks of the registry while it pushes.
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// Calls that take no permission: the trust of the role that is taken decides.
const FREE: [&str; 1] = ["sts:AssumeRoleWithWebIdentity"];

/// The names that IAM and the SDK's crates have for the same service.
const NAMES: [(&str, &str); 1] = [("cloudwatchlogs", "logs")];

/// Every action of the policy, which has no wildcards among them.
pub(crate) fn allowed() -> &'static BTreeSet<String> {
    static ALLOWED: OnceLock<BTreeSet<String>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let policy = policy(&Sandbox::new(), "dev");
        let actions = statements(&policy).iter().flat_map(|statement| list(&statement["Action"]));
        actions.collect()
    })
}

/// What CloudFormation reads with the caller's permission to find a drift; the roles' tests hold it against what the
/// handlers of the templates' types read.
fn configuration() -> BTreeSet<String> {
    let policy = policy(&Sandbox::new(), "dev");
    let sids = ["Configuration", "GatewayConfiguration", "RoleConfiguration", "Integrations", "ListenerRules"];
    let of_it = statements(&policy).iter().filter(|statement| sids.iter().any(|sid| statement["Sid"] == *sid));
    of_it.flat_map(|statement| list(&statement["Action"])).collect()
}

fn policy(sandbox: &Sandbox, environment: &str) -> Value {
    sandbox.run(&["iam-policy", environment, "--json"]).json()["policy"].clone()
}

fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap()
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|part| part.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_policy_allows_what_the_sources_call_and_nothing_else() {
    let operations = operations();
    let mut asked = BTreeSet::new();
    let is_asked = |source: &&Source| source.is_production() && source.path.starts_with("xtask/");
    // The policy's own table is what is compared; what the service may do is not the tool's.
    let others = ["/src/policy", "xtask/model/src/container"];
    let is_own = |source: &&Source| !others.iter().any(|other| source.path.contains(other));
    for source in sources::all().iter().filter(is_asked).filter(is_own) {
        asked.extend(calls(source, &operations));
        asked.extend(texts(&source.text));
    }
    assert!(asked.len() > 10, "only these calls were found: {asked:?}");
    let implied: BTreeSet<String> = IMPLIED.map(str::to_owned).into();
    let needed = asked.union(&implied).filter(|action| !FREE.contains(&action.as_str()));
    let needed: BTreeSet<String> = needed.cloned().collect();
    let missing: Vec<&String> = needed.difference(allowed()).collect();
    let read = configuration();
    let superfluous: Vec<&String> = allowed().difference(&needed).filter(|action| !read.contains(*action)).collect();
    assert!(missing.is_empty(), "called, and not in the policy: {missing:?}");
    assert!(superfluous.is_empty(), "in the policy, and never called: {superfluous:?}");
}

#[test]
fn a_new_call_is_found_with_and_without_its_failure() {
    let operations = operations();
    let text = "async fn f(client: &aws_sdk_ssm::Client) {\n    let a = client\n        .put_parameter()\n        .send();\n    \
                // client.get_document()\n    failure(\"ec2:GetConsoleOutput\", &name, &error)\n}\n";
    let source = Source { path: "xtask/src/new.rs".to_owned(), text: text.to_owned() };
    assert_eq!(calls(&source, &operations), ["ssm:PutParameter".to_owned()].into());
    assert_eq!(texts(text), ["ec2:GetConsoleOutput".to_owned()].into());
    // A name that two services have is the one that the file speaks of.
    for (file, action) in [("ecr:", "ecr:TagResource"), ("ecs:", "ecs:TagResource")] {
        let text = format!("client.tag_resource().send() // {file}TagResource");
        let source = Source { path: "xtask/src/new.rs".to_owned(), text };
        assert_eq!(calls(&source, &operations), [action.to_owned()].into());
    }
}

#[test]
fn every_statement_is_as_narrow_as_iam_can_say() {
    let policy = policy(&Sandbox::new(), "dev");
    assert_eq!(policy["Version"], "2012-10-17");
    let mut sids = BTreeSet::new();
    for statement in statements(&policy) {
        let sid = statement["Sid"].as_str().unwrap();
        assert!(sid.chars().all(|c| c.is_ascii_alphanumeric()) && sids.insert(sid), "{sid}");
        assert_eq!(statement["Effect"], "Allow");
        let actions = list(&statement["Action"]);
        assert!(actions.is_sorted() && !actions.iter().any(|action| action.contains('*')), "{actions:?}");
        for resource in list(&statement["Resource"]) {
            if resource == "*" {
                let free = actions.iter().all(|action| ANY_RESOURCE.contains(&action.as_str()));
                assert!(free || statement.get("Condition").is_some(), "{sid} has actions that know a resource");
            } else {
                let condition = statement.get("Condition").is_some();
                let any = ["instance/*", "key/*", "secret:*", "apikeys/*", "userpool/*"]
                    .iter()
                    .any(|end| resource.ends_with(end));
                assert!(!any || condition, "{resource} is anybody's");
                assert!(NARROWED.iter().any(|(start, end)| resource.starts_with(start) && resource.contains(end)));
            }
        }
    }
}

/// Actions that know no resource, or none that is known beforehand
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>).
const ANY_RESOURCE: [&str; 23] = [
    "cloudformation:BatchDescribeTypeConfigurations",
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:DescribeType",
    "cloudformation:ListImports",
    "cloudformation:ListStacks",
    "ecr:GetAuthorizationToken",
    "ecs:DescribeTaskDefinition",
    "sts:GetCallerIdentity",
    // What doctor reads; the last eight are of whatever role, certificate or quota it comes upon.
    "cloudwatch:GetMetricStatistics",
    "ec2:DescribeAddresses",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNatGateways",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeVpcs",
    "elasticloadbalancing:DescribeLoadBalancers",
    "acm:DescribeCertificate",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:SimulatePrincipalPolicy",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
];

/// How everything else begins, and what it names.
const NARROWED: [(&str, &str); 24] = [
    ("arn:aws:apigateway:eu-central-1::", "/restapis/*"),
    ("arn:aws:apigateway:eu-central-1::", "/usageplans/*"),
    ("arn:aws:apigateway:eu-central-1::", "/vpclinks/*"),
    ("arn:aws:iam::*:instance-profile/", "/rest-api-dev-*"),
    ("arn:aws:iam::*:role/", "/rest-api-dev-*"),
    ("arn:aws:apigateway:eu-central-1::", "/account"),
    ("arn:aws:cloudformation:eu-central-1:*:stack/", "/rest-api-dev/*"),
    ("arn:aws:cloudformation:eu-central-1:*:changeSet/", "/xtask-*/*"),
    ("arn:aws:ecr:eu-central-1:*:repository/", "/rest-api"),
    ("arn:aws:ec2:eu-central-1:*:instance/", "*"),
    ("arn:aws:ecs:eu-central-1:*:service/", "/rest-api-dev-*/*"),
    ("arn:aws:ecs:eu-central-1:*:service-deployment/", "/rest-api-dev-*/*"),
    ("arn:aws:ecs:eu-central-1:*:task/", "/rest-api-dev-*/*"),
    ("arn:aws:ecs:eu-central-1:*:task-definition/", "/rest-api-dev"),
    ("arn:aws:apigateway:eu-central-1::/apikeys/", "*"),
    ("arn:aws:cognito-idp:eu-central-1:*:userpool/", "*"),
    ("arn:aws:execute-api:eu-central-1:*:*/", "/GET/*"),
    ("arn:aws:kms:eu-central-1:*:key/", "*"),
    ("arn:aws:secretsmanager:eu-central-1:*:secret:", "*"),
    ("arn:aws:iam::*:oidc-provider/", "token.actions.githubusercontent.com"),
    ("arn:aws:logs:eu-central-1:*:log-group:", ":rest-api-dev-*"),
    ("arn:aws:s3:::xtask-templates-*-eu-central-1-an", ""),
    ("arn:aws:ssm:eu-central-1:*:parameter/xtask/", "/rest-api-dev"),
    ("arn:aws:ssm:eu-central-1:*:parameter/secrets/", "/rest-api-dev/*"),
];

/// People store values and never read one; the key is the one that deploy.toml names.
#[test]
fn secrets_are_written_with_the_environments_key() {
    let sandbox = Sandbox::new();
    let id = "0a1b2c3d-0000-0000-0000-000000000000";
    let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{id}");
    for (key, resource, condition) in [
        (id, format!("arn:aws:kms:eu-central-1:*:key/{id}"), None),
        (&arn, arn.clone(), None),
        ("alias/ours", "arn:aws:kms:eu-central-1:*:key/*".to_owned(), Some("alias/ours")),
    ] {
        let own = format!("secrets_key = \"{key}\"\nstack = \"rest-api-dev\"");
        sandbox.write("deploy.toml", &DEPLOY_TOML.replace("stack = \"rest-api-dev\"", &own));
        let policy = policy(&sandbox, "dev");
        let found = statements(&policy).iter().find(|statement| statement["Sid"] == "SecretsKey").unwrap();
        assert_eq!(
            (list(&found["Action"]), list(&found["Resource"])),
            (vec!["kms:Encrypt".to_owned()], vec![resource])
        );
        let only = &found["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"];
        assert_eq!(only.as_str(), condition);
    }
    let policy = policy(&Sandbox::new(), "dev");
    for statement in statements(&policy) {
        let of_values = list(&statement["Resource"]).iter().any(|resource| resource.contains("parameter/secrets/"));
        assert_eq!(of_values, statement["Sid"] == "SecretChanges", "{statement}");
        assert_ne!(statement["Sid"], "SecretsKey");
    }
}

/// Changed are only those that run no image and name the environment's role in deploy.toml; all of them are read.
#[test]
fn the_stacks_of_needs_are_read_and_changed_if_they_agree() {
    let sandbox = Sandbox::new();
    sandbox.write("n.yaml", "Resources: {Vpc: {Type: AWS::EC2::VPC}}");
    let arn = |name: &str| format!("arn:aws:iam::111122223333:role/xtask/{name}");
    let role = |name: &str| format!("execution_role = \"{}\"\n", arn(name));
    let need = |name: &str, region: &str, template: &str, role: &str| {
        format!("[environments.{name}]\nregion = \"{region}\"\nstack = \"{name}\"\ntemplate = \"{template}\"\n{role}")
    };
    let needs = [
        need("network", "eu-west-1", "n.yaml", &role("own")),
        need("roleless", "eu-central-1", "n.yaml", ""),
        need("foreign", "eu-north-1", "n.yaml", &role("other")),
        // It runs an image, so no release changes it.
        need("backend", "eu-central-1", "infra/backend.yaml", &role("own")),
    ];
    let own = |role: &str| {
        let own =
            format!("{role}needs = [\"network\", \"roleless\", \"foreign\", \"backend\"]\nstack = \"rest-api-dev\"");
        let text = DEPLOY_TOML.replace("stack = \"rest-api-dev\"", &own) + &needs.concat();
        sandbox.write("deploy.toml", &text.replace("region", "account = \"111122223333\"\nregion"));
        policy(&sandbox, "dev")
    };
    let start = |region: &str| format!("arn:aws:cloudformation:{region}:111122223333:");
    let stacks = |all: &[(&str, &str)]| -> Vec<String> {
        all.iter().map(|(region, stack)| format!("{}stack/{stack}/*", start(region))).collect()
    };
    let sets = |regions: &[&str]| -> Vec<String> {
        regions.iter().map(|region| format!("{}changeSet/xtask-*/*", start(region))).collect()
    };
    let (dev, network) = (("eu-central-1", "rest-api-dev"), ("eu-west-1", "network"));
    let rest = [("eu-central-1", "roleless"), ("eu-north-1", "foreign"), ("eu-central-1", "backend")];
    let all = stacks(&[&[dev, network], &rest[..]].concat());
    for (given, changed, regions) in [
        (role("own"), stacks(&[dev, network]), &["eu-central-1", "eu-west-1"][..]),
        // Without a role of its own, an environment has none in common with its needs.
        (String::new(), stacks(&[dev]), &["eu-central-1"][..]),
    ] {
        let policy = own(&given);
        let find = |sid: &str| statements(&policy).iter().find(|statement| statement["Sid"] == sid);
        let of = |sid: &str| list(&find(sid).unwrap()["Resource"]);
        assert_eq!((of("Stack"), of("Drift")), (all.clone(), all.clone()));
        assert_eq!(of("ChangeSets"), [all.clone(), sets(&["eu-central-1", "eu-west-1", "eu-north-1"])].concat());
        assert_eq!(of("StackChanges"), changed);
        for sid in ["Execution", "Proposals"] {
            assert_eq!(of(sid), [changed.clone(), sets(regions)].concat(), "{sid}");
        }
        let passed = find("PassTheExecutionRole").map(|pass| list(&pass["Resource"]));
        assert_eq!(passed, (!given.is_empty()).then(|| vec![arn("own")]), "no role of a need is passed");
        assert!(of("Memory").iter().all(|parameter| parameter.contains("rest-api-dev")), "a need has no record");
    }
}

#[test]
fn account_and_partition_are_the_environments() {
    let sandbox = Sandbox::new();
    for (region, start) in [
        ("eu-central-1", "arn:aws:"),
        ("cn-north-1", "arn:aws-cn:"),
        ("us-gov-west-1", "arn:aws-us-gov:"),
        ("us-east-1", "arn:aws:"),
    ] {
        let text = DEPLOY_TOML.replace("eu-central-1", &format!("{region}\"\naccount = \"111122223333"));
        sandbox.write("deploy.toml", &text);
        for statement in statements(&policy(&sandbox, "production")) {
            for resource in list(&statement["Resource"]).iter().filter(|resource| *resource != "*") {
                assert!(resource.starts_with(start), "{resource} is in {region}");
                let (place, account) = (format!(":{region}:"), ":111122223333:");
                let of_region = resource.contains(&format!("{place}111122223333:"));
                // IAM is in no region, and what API Gateway has in no account; a bucket's name says both.
                let of_either = resource.contains(&format!(":iam:{account}"))
                    || resource.contains(&format!(":apigateway{place}:"))
                    || resource.contains(&format!(":s3:::xtask-templates-111122223333-{region}-an"));
                assert!(of_region || of_either, "{resource}");
            }
        }
    }
}

#[test]
fn without_json_the_policy_is_the_whole_result() {
    let ended = Sandbox::new().run(&["iam-policy", "dev"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed, policy(&Sandbox::new(), "dev"));
    assert!(ended.stdout.lines().count() > 20, "it is for people to read: {}", ended.stdout);
}

/// Services by the SDK's name of an operation, as the SDK's own sources list them.
fn operations() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata(&[]);
    let packages = metadata["packages"].as_array().unwrap().iter();
    let manifests = packages.filter_map(|package| {
        let service = package["name"].as_str()?.strip_prefix("aws-sdk-")?;
        Some((service, package["manifest_path"].as_str()?))
    });
    let mut operations = BTreeMap::<String, Vec<String>>::new();
    for (service, manifest) in manifests {
        let service = NAMES.iter().find(|(sdk, _)| *sdk == service).map_or(service, |(_, iam)| iam);
        let folder = manifest.replace("Cargo.toml", "src/operation");
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(name) = name.strip_suffix(".rs") {
                operations.entry(name.to_owned()).or_default().push(service.to_owned());
            }
        }
    }
    operations
}

/// The operations that a file calls: methods without arguments that the SDK has.
fn calls(source: &Source, operations: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let code = source.code();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("()") {
        let name = code[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let is_method = code[..at - name.len()].ends_with('.');
        let Some(services) = operations.get(name).filter(|_| is_method) else { continue };
        let action: String = name.split('_').map(capitalized).collect();
        let candidates: Vec<String> = services.iter().map(|service| format!("{service}:{action}")).collect();
        let named = |candidate: &&String| candidates.len() == 1 || source.text.contains(candidate.as_str());
        let named: Vec<&String> = candidates.iter().filter(named).collect();
        assert!(!named.is_empty(), "{}: {name} is one of {candidates:?}; name it where it can fail", source.path);
        found.extend(named.into_iter().cloned());
    }
    found
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Literals that are nothing but an action, as failures name them.
fn texts(text: &str) -> BTreeSet<String> {
    let is_action = |literal: &&str| {
        literal.split_once(':').is_some_and(|(service, action)| {
            let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let start = action.starts_with(|c: char| c.is_ascii_uppercase());
            !service.is_empty()
                && service.chars().all(|c| lower(c) || c == '-')
                && start
                && action.chars().all(|c| c.is_ascii_alphanumeric())
        })
    };
    text.split('"').filter(is_action).map(str::to_owned).collect()
}
