//! What CloudFormation may do: all that the handlers of the templates' types call, on the resources that they call it on,
//! and nothing else without a reason; and how long AWS lets policies be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::evaluate::{Request, allows};
use super::roles::{BOUNDARY, REGION, STACK, before};
use super::{ACCOUNT, roles, template};

/// What handlers call for properties that no template of ours sets, by pattern.
const UNUSED: [(&str, &str); 43] = [
    ("apigateway:TagResource", "IAM knows it as POST of /tags"),
    ("apigateway:unTagResource", "IAM knows it as DELETE of /tags"),
    ("amplify:*", "the firewall is before API Gateway only"),
    ("apprunner:*", "the firewall is before API Gateway only"),
    ("appsync:*", "the firewall is before API Gateway only"),
    ("autoscaling:DescribeTags", "flow logs are a network's"),
    ("bedrock-agentcore:*", "the firewall is before API Gateway only"),
    ("cognito-idp:*WebACL*", "the firewall is before API Gateway only"),
    ("ec2:*VerifiedAccess*", "the firewall is before API Gateway only"),
    ("elasticloadbalancing:*WebACL*", "the firewall is before API Gateway only"),
    ("wafv2:*PermissionPolicy", "no firewall is shared"),
    ("payments:*", "no rules are bought"),
    ("firehose:*", "the firewall logs to CloudWatch"),
    ("s3:*", "nothing is in a bucket"),
    ("iam:DescribeOrganization", "the firewall logs in its own account"),
    ("iam:DeleteRolePermissionsBoundary", "what has a boundary keeps it"),
    ("iam:DeleteServiceLinkedRole", "a role of AWS's that others may use stays"),
    ("iam:GetServiceLinkedRoleDeletionStatus", "as above"),
    ("lambda:*", "only services of ECS scale"),
    ("cloudfront:CreateDistributionWithTags", "IAM knows it as CreateDistribution and TagResource"),
    ("cloudfront:*ConnectionGroup", "one tenant"),
    ("cloudfront:GetVpcOrigin", "the origin is API Gateway"),
    ("cloudfront:updateDistribution*", "no sign-in page at a domain of one's own, no staging distribution"),
    ("kms:*Encrypt*", "users and their pool's mail are under AWS's key"),
    ("kms:GenerateDataKeyWithoutPlaintext", "as above"),
    ("ec2:*NatGatewayAddress", "a NAT gateway has one address"),
    ("ec2:*Volume", "an instance has the volume of its launch template"),
    ("ec2:Accept*", "no address is handed over"),
    ("ec2:*SubnetCidrBlock", "IPv4"),
    ("ec2:*VpcEncryptionControl", "TLS is the services' own"),
    ("ec2:ModifyVpcTenancy", "shared hardware"),
    ("ec2:*VpnGateway", "no private line"),
    ("vpc*", "endpoints are of AWS's own services in this Region"),
    ("secretsmanager:*Replicat*", "a secret stays in its Region"),
    ("route53:ListHostedZones", "the zone is named by its identifier"),
    ("rds:AddRoleTo*", "a database calls no other service"),
    ("rds:RemoveRoleFrom*", "as above"),
    ("iam:ListRoles", "as above"),
    ("rds:*HttpEndpoint", "clients connect by PostgreSQL's own protocol"),
    ("rds:*GlobalCluster", "a database is in one Region"),
    ("rds:*BackupsReplication", "as above"),
    ("rds:*ReadReplica", "one instance answers"),
    ("rds:Restore*", "a template begins with an empty database"),
];

/// More of the same, for single types.
const UNUSED_SETTINGS: [&str; 14] = [
    "ec2:ModifyInstanceCreditSpecification",
    "ec2:ModifyInstanceMaintenanceOptions",
    "ec2:ModifyInstancePlacement",
    "ec2:ModifyPrivateDnsNameOptions",
    "ecs:PutAccountSetting*",
    "elasticloadbalancing:ModifyCapacityReservation",
    "elasticloadbalancing:ModifyIpPools",
    "logs:*DataProtectionPolicy",
    "logs:*IndexPolicy",
    "logs:DeleteResourcePolicy",
    "logs:PutBearerTokenAuthentication",
    "logs:PutLogGroupDeletionProtection",
    "ssm:CreateAssociation",
    "ssm:DeleteAssociation",
];

/// What no handler names and CloudFormation still needs.
const BEYOND: [(&str, &str); 4] = [
    ("cloudformation:ListExports", "Fn::ImportValue"),
    ("route53:AssociateVPCWithHostedZone", "an interface endpoint with AWS's own names"),
    ("ssm:GetParameter", "{{resolve:ssm}} of AWS's public parameters"),
    ("ssm:GetParameters", "{{resolve:ssm}} of AWS's public parameters"),
];

/// The service that a resource of this type gives a role to. The templates give other types none.
const PASSED_TO: [(&str, &str); 5] = [
    ("AWS::EC2::FlowLog", "vpc-flow-logs.amazonaws.com"),
    ("AWS::EC2::Instance", "ec2.amazonaws.com"),
    ("AWS::ECS::Service", "ecs.amazonaws.com"),
    ("AWS::ECS::TaskDefinition", "ecs-tasks.amazonaws.com"),
    ("AWS::IAM::InstanceProfile", "ec2.amazonaws.com"),
];

/// The service whose own role the first resource of this type in an account makes.
const LINKED: [(&str, &str); 7] = [
    ("AWS::ApiGatewayV2::VpcLink", "ops.apigateway.amazonaws.com"),
    ("AWS::ApplicationAutoScaling::ScalableTarget", "ecs.application-autoscaling.amazonaws.com"),
    ("AWS::ECS::Cluster", "ecs.amazonaws.com"),
    ("AWS::RDS::DBCluster", "rds.amazonaws.com"),
    ("AWS::RDS::DBInstance", "rds.amazonaws.com"),
    ("AWS::RDS::DBSubnetGroup", "rds.amazonaws.com"),
    ("AWS::WAFv2::LoggingConfiguration", "wafv2.amazonaws.com"),
];

/// The key of CloudFormation's own tag.
const TAG: &str = "aws:cloudformation:stack-name";

/// A call of a handler: an action on an example of its resource, and what IAM knows besides.
#[derive(Debug)]
struct Call {
    kind: String,
    action: String,
    resource: String,
    context: BTreeMap<String, String>,
}

/// All calls, in no order that matters.
fn calls() -> Vec<Call> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iam/handlers.yaml");
    let table = template::load(&path).unwrap();
    let types = types(|_| true);
    let mut calls = Vec::new();
    for (kind, resources) in table.as_object().unwrap() {
        let mut tags = types.get(kind).cloned().unwrap_or_default();
        if resources["Tags"] == "system" {
            tags.insert(TAG.to_owned(), STACK.to_owned());
        }
        let service = |of: &[(&str, &'static str)]| of.iter().find(|(of, _)| of == kind).map(|(_, service)| *service);
        for (resource, actions) in resources.as_object().unwrap().iter().filter(|(key, _)| *key != "Tags") {
            let linked = service(&LINKED).unwrap_or_default();
            let resource = resource.replace("REGION", REGION).replace("ACCOUNT", ACCOUNT);
            let resource = resource.replace("STACK", STACK).replace("SERVICE", linked);
            for action in actions.as_str().unwrap().split(' ') {
                let mut context = BTreeMap::from([("aws:RequestedRegion".to_owned(), REGION.to_owned())]);
                let mut knows = |key: &str, value: &str| drop(context.insert(key.to_owned(), value.to_owned()));
                // What is not there yet has no tags, but those that it is to get. A grant is of a key that is there, a
                // snapshot of a database.
                let of_another = action == "kms:CreateGrant" || action.ends_with("Snapshot");
                let makes = ["Create", "Allocate", "Run", "Register"].map(|verb| format!(":{verb}"));
                let makes = !of_another && makes.iter().any(|verb| action.contains(verb));
                // A key that a resource of another type uses is the stack's own.
                let of_key = types.get("AWS::KMS::Key").filter(|_| action.starts_with("kms:"));
                for (key, value) in of_key.unwrap_or(&tags) {
                    let of = if makes { "RequestTag" } else { "ResourceTag" };
                    knows(&format!("aws:{of}/{key}"), value);
                }
                match action {
                    "iam:PassRole" => service(&PASSED_TO).into_iter().for_each(|to| knows("iam:PassedToService", to)),
                    "iam:CreateServiceLinkedRole" => knows("iam:AWSServiceName", linked),
                    _ if kind == "AWS::IAM::Role" => {
                        knows("iam:PermissionsBoundary", &format!("arn:aws:iam::{ACCOUNT}:{BOUNDARY}"));
                    }
                    _ => {}
                }
                let (kind, action, resource) = (kind.clone(), action.to_owned(), resource.clone());
                calls.push(Call { kind, action, resource, context });
            }
        }
    }
    calls
}

/// The types in the templates that CloudFormation deploys with its role, each with the tags that all such resources have.
fn types(is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut types = BTreeMap::<String, BTreeMap<String, String>>::new();
    for file in std::fs::read_dir(template::directory()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // An administrator deploys these two.
        if !name.ends_with(".yaml") || ["bootstrap.yaml", "pipeline.yaml"].contains(&name.as_str()) || !is_wanted(&name)
        {
            continue;
        }
        let template = template::load(&file).unwrap();
        for resource in template["Resources"].as_object().unwrap().values() {
            let tags = resource["Properties"]["Tags"].as_array().into_iter().flatten();
            let of_stack = |tag: &&Value| tag["Value"] == serde_json::json!({"Ref": "AWS::StackName"});
            let tags =
                tags.filter(of_stack).filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), STACK.to_owned())));
            let tags: BTreeMap<String, String> = tags.collect();
            let kind = resource["Type"].as_str().unwrap().to_owned();
            types.entry(kind).and_modify(|all| all.retain(|key, _| tags.contains_key(key))).or_insert(tags);
        }
    }
    types
}

fn allowed() -> BTreeSet<String> {
    actions(&roles().execution.policies)
}

fn actions(policies: &[Value]) -> BTreeSet<String> {
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap().clone());
    let actions = statements.flat_map(|statement| match statement["Action"].clone() {
        Value::Array(actions) => actions,
        one => vec![one],
    });
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn fits(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(action),
        Some((start, rest)) => {
            let rest = rest.trim_end_matches('*').to_lowercase();
            let action = action.to_lowercase();
            let left = action.strip_prefix(&start.to_lowercase());
            left.is_some_and(|left| if pattern.ends_with('*') { left.contains(&rest) } else { left.ends_with(&rest) })
        }
    }
}

#[test]
fn every_type_of_the_templates_has_its_handlers_here() {
    let known: BTreeSet<String> = calls().into_iter().map(|call| call.kind).collect();
    let missing: Vec<String> = types(|_| true).into_keys().filter(|kind| !known.contains(kind)).collect();
    assert!(missing.is_empty(), "handlers.yaml, and so the execution role, lacks the handlers of {missing:?}");
}

/// Not the names of actions alone: a permission for an action on other resources is none.
#[test]
fn cloudformation_may_make_every_call_of_the_templates_types_on_their_resources() {
    let roles = roles();
    let may = |call: &Call| {
        let context = call.context.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let request = Request { action: &call.action, resource: &call.resource, context };
        allows(&roles.execution.policies, roles.execution.boundary.as_ref(), &request)
    };
    let (can, cannot): (Vec<Call>, Vec<Call>) = calls().into_iter().partition(may);
    assert!(can.len() > 400, "{}", can.len());
    let unused = || UNUSED.iter().map(|(pattern, _)| *pattern).chain(UNUSED_SETTINGS);
    let has_role = |kind: &str| kind == "AWS::IAM::Role" || PASSED_TO.iter().any(|(of, _)| *of == kind);
    let no_role = |call: &Call| match call.action.as_str() {
        "iam:PassRole" | "iam:PutRolePolicy" | "iam:DeleteRolePolicy" => !has_role(&call.kind),
        // Only with settings that no template of ours has: mail by SES, analytics, flow logs outside of CloudWatch.
        "iam:CreateServiceLinkedRole" => !LINKED.iter().any(|(of, _)| *of == call.kind),
        _ => false,
    };
    let missing: Vec<String> = cannot
        .iter()
        .filter(|call| !no_role(call) && !unused().any(|pattern| fits(pattern, &call.action)))
        .map(|call| format!("{}: {} on {}", call.kind, call.action, call.resource))
        .collect();
    assert!(missing.is_empty(), "infra/bootstrap.yaml: ExecutionRole lacks:\n{}", missing.join("\n"));
    let idle: Vec<&str> = unused().filter(|pattern| !cannot.iter().any(|call| fits(pattern, &call.action))).collect();
    assert!(idle.is_empty(), "excused without need: {idle:?}");
}

#[test]
fn cloudformation_may_do_nothing_that_no_handler_does_without_a_reason() {
    let calls = calls();
    let allowed = allowed();
    let more: Vec<&String> = allowed
        .iter()
        .filter(|pattern| !calls.iter().any(|call| fits(pattern, &call.action)))
        .filter(|pattern| !BEYOND.iter().any(|(beyond, _)| pattern == beyond))
        .collect();
    assert!(more.is_empty(), "infra/bootstrap.yaml: ExecutionRole has what no handler calls: {more:?}");
}

/// What handlers read and the reading role may not, with the reason.
const UNSEEN: [(&str, &str); 25] = [
    ("apigateway:GET", "what is around an API; its own definition and its keys show secrets"),
    ("cognito-idp:DescribeUserPoolClient", "it shows the client's secret"),
    ("elasticloadbalancing:DescribeRules", "they show a secret header"),
    ("secretsmanager:GetSecretValue", "a secret"),
    ("secretsmanager:GetRandomPassword", "only to make a secret"),
    ("autoscaling:DescribeTags", "flow logs are of a whole VPC"),
    ("cloudwatch:GetMetricData", "only to make a scaling policy"),
    ("ec2:DescribeIpamPools", "no pools of addresses"),
    ("ec2:DescribeKeyPairs", "nobody signs in by a key"),
    ("ec2:DescribeVpcEncryptionControls", "TLS is the services' own"),
    ("ec2:DescribeVpnGateways", "no private line"),
    ("elasticloadbalancing:DescribeCapacityReservation", "none is reserved"),
    ("iam:GetServiceLinkedRoleDeletionStatus", "a role of AWS's that others may use stays"),
    ("lambda:GetProvisionedConcurrencyConfig", "only services of ECS scale"),
    ("s3:GetBucketPolicy", "flow logs go to a log group"),
    ("s3:GetObject", "nothing is in a bucket"),
    ("vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation", "endpoints are of AWS's own services"),
    ("iam:ListRoles", "a database has no role"),
    ("rds:DescribeDBClusterSnapshots", "only to restore a database"),
    ("rds:DescribeDBEngineVersions", "only to upgrade a database"),
    ("rds:DescribeDBInstanceAutomatedBackups", "only to restore a database"),
    ("rds:DescribeDBSnapshots", "only to restore a database"),
    ("rds:DescribeEngineDefaultParameters", "only to set parameters"),
    ("rds:DescribeEvents", "only while a database changes"),
    ("rds:DescribeGlobalClusters", "a database is in one Region"),
];

/// CloudFormation compares these two for drift with the caller's permissions.
#[test]
fn the_reading_role_sees_the_configuration_of_the_stacks_resources() {
    let beside = |name: &str| ["edge.yaml", "users.yaml"].contains(&name);
    let (here, elsewhere) = (types(|name| !beside(name)), types(beside));
    let reads = |action: &String| {
        let verbs = ["BatchDescribe", "Describe", "Detect", "Get", "List", "GET"];
        verbs.iter().any(|verb| action.split_once(':').is_some_and(|(_, name)| name.starts_with(verb)))
    };
    let is_elsewhere = |call: &Call| elsewhere.contains_key(&call.kind) && !here.contains_key(&call.kind);
    let of_the_stacks = calls().into_iter().filter(|call| !is_elsewhere(call));
    let read: BTreeSet<String> = of_the_stacks.map(|call| call.action).filter(reads).collect();
    let seen = actions(&roles().read.policies);
    let unseen: BTreeSet<String> = UNSEEN.iter().map(|(action, _)| (*action).to_owned()).collect();
    let missing: Vec<&String> = read.difference(&seen).filter(|action| !unseen.contains(*action)).collect();
    assert!(missing.is_empty(), "infra/pipeline.yaml: the read role lacks {missing:?}");
    let idle: Vec<&String> = unseen.difference(&read).collect();
    assert!(idle.is_empty(), "excused without need: {idle:?}");
    for (action, _) in UNSEEN.iter().filter(|(action, _)| *action != "apigateway:GET") {
        assert!(!seen.contains(*action), "{action} is excused, and there");
    }
    let writes: Vec<&String> = seen.iter().filter(|action| !reads(action) && *action != "ecr:BatchGetImage").collect();
    assert!(writes.is_empty(), "infra/pipeline.yaml: the read role does more than look: {writes:?}");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: white space does not count. Nothing is
/// within ten percent of a limit, also for the longest names.
#[test]
fn no_policy_is_near_the_length_that_aws_takes() {
    let longest = (format!("{}-*", "r".repeat(118)), "r".repeat(25));
    for (stacks, prefix) in [(STACK, "rest-api-production-"), (&longest.0, &longest.1)] {
        let mut count = 0;
        for stack in before(ACCOUNT, stacks, prefix).unwrap() {
            for (id, resource) in stack.template["Resources"].as_object().unwrap() {
                let documents = match resource["Type"].as_str().unwrap() {
                    "AWS::IAM::Role" => resource["Properties"]["Policies"].clone(),
                    "AWS::IAM::ManagedPolicy" => resource["Properties"].clone(),
                    _ => continue,
                };
                // All that is inside a role counts together.
                let (documents, limit) = match documents {
                    Value::Array(inside) => (inside, 10_240),
                    Value::Null => continue,
                    one => (vec![one], 6_144),
                };
                let documents = documents.iter().map(|one| stack.resolve(&one["PolicyDocument"]).unwrap().unwrap());
                let length: usize = documents.map(|document| document.to_string().len()).sum();
                assert!(length * 10 <= limit * 9, "{id} has {length} of {limit} characters");
                count += 1;
            }
        }
        assert_eq!(count, 9, "two roles and seven policies");
    }
}
