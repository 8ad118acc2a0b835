//! What CloudFormation may do: all that the handlers of the templates' types call, and nothing else without a reason;
//! and how long AWS lets policies be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{roles, template};

/// What handlers call for properties that no template of ours sets, by pattern.
const UNUSED: [(&str, &str); 39] = [
    ("apigateway:TagResource", "tags of a VPC link go by POST"),
    ("apigateway:unTagResource", "tags of a VPC link go by DELETE"),
    ("amplify:*", "the firewall is before API Gateway only"),
    ("apprunner:*", "the firewall is before API Gateway only"),
    ("appsync:*", "the firewall is before API Gateway only"),
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
    ("iam:*ServiceLinkedRole*", "a role of AWS's that others may use stays"),
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
    ("dynamodb:DescribeImport", "a table begins empty"),
    ("dynamodb:ImportTable", "as above"),
    ("dynamodb:*ableKinesisStreamingDestination", "nobody follows a counter"),
    ("dynamodb:UpdateKinesisStreamingDestination", "as above"),
    ("dynamodb:UpdateContributorInsights", "a table of one item"),
    ("dynamodb:UpdateTimeToLive", "a counter does not end"),
    ("route53:ListHostedZones", "the zone is named by its identifier"),
];

/// More of the same, for single types.
const UNUSED_SETTINGS: [&str; 15] = [
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
    "ssm:*Association*",
    "dynamodb:DeleteResourcePolicy",
    "dynamodb:PutResourcePolicy",
];

/// What no handler names and CloudFormation still needs.
const BEYOND: [(&str, &str); 3] = [
    ("route53:AssociateVPCWithHostedZone", "an interface endpoint with AWS's own names"),
    ("ssm:GetParameter", "{{resolve:ssm}} of AWS's public parameters"),
    ("ssm:GetParameters", "{{resolve:ssm}} of AWS's public parameters"),
];

/// Types with the actions of their handlers.
fn handlers() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iam/handlers.yaml");
    let table = template::load(&path).unwrap();
    let actions = |services: &Value| {
        let services = services.as_str().unwrap().split("; ").filter_map(|part| part.split_once(": "));
        services.flat_map(|(service, names)| names.split(' ').map(move |name| format!("{service}:{name}"))).collect()
    };
    table.as_object().unwrap().iter().map(|(kind, services)| (kind.clone(), actions(services))).collect()
}

fn called() -> BTreeSet<String> {
    handlers().into_values().flatten().collect()
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
    let mut types = BTreeSet::new();
    for file in std::fs::read_dir(template::directory()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && name != "bootstrap.yaml" {
            let template = template::load(&file).unwrap();
            let resources = template["Resources"].as_object().unwrap().values();
            types.extend(resources.map(|resource| resource["Type"].as_str().unwrap().to_owned()));
        }
    }
    let known: BTreeSet<String> = handlers().into_keys().collect();
    assert_eq!(types, known, "left: infra/; right: the table of handlers, and what the execution role is made from");
}

#[test]
fn cloudformation_may_call_what_handlers_call_and_nothing_else_without_a_reason() {
    let (called, allowed) = (called(), allowed());
    assert!(called.len() > 250, "{}", called.len());
    let unused = || UNUSED.iter().map(|(pattern, _)| *pattern).chain(UNUSED_SETTINGS);
    let missing: Vec<&String> = called
        .iter()
        .filter(|action| !allowed.iter().any(|pattern| fits(pattern, action)))
        .filter(|action| !unused().any(|pattern| fits(pattern, action)))
        .collect();
    assert!(missing.is_empty(), "infra/bootstrap.yaml: ExecutionRole lacks {missing:?}");
    let more: Vec<&String> = allowed
        .iter()
        .filter(|pattern| !called.iter().any(|action| fits(pattern, action)))
        .filter(|pattern| !BEYOND.iter().any(|(beyond, _)| pattern == beyond))
        .collect();
    assert!(more.is_empty(), "infra/bootstrap.yaml: ExecutionRole has what no handler calls: {more:?}");
    let idle: Vec<&str> = unused().filter(|pattern| !called.iter().any(|action| fits(pattern, action))).collect();
    assert!(idle.is_empty(), "excused without need: {idle:?}");
}

/// What handlers read and the reading role may not, with the reason.
const UNSEEN: [(&str, &str); 18] = [
    ("apigateway:GET", "what is around an API; its own definition and its keys show secrets"),
    ("cognito-idp:DescribeUserPoolClient", "it shows the client's secret"),
    ("elasticloadbalancing:DescribeRules", "they show a secret header"),
    ("secretsmanager:GetSecretValue", "a secret"),
    ("secretsmanager:GetRandomPassword", "only to make a secret"),
    ("cloudwatch:GetMetricData", "only to make a scaling policy"),
    ("dynamodb:DescribeImport", "a table begins empty"),
    ("ec2:DescribeIpamPools", "no pools of addresses"),
    ("ec2:DescribeKeyPairs", "nobody signs in by a key"),
    ("ec2:DescribeVpcEncryptionControls", "TLS is the services' own"),
    ("ec2:DescribeVpnGateways", "no private line"),
    ("elasticloadbalancing:DescribeCapacityReservation", "none is reserved"),
    ("iam:GetServiceLinkedRoleDeletionStatus", "a role of AWS's that others may use stays"),
    ("lambda:GetProvisionedConcurrencyConfig", "only services of ECS scale"),
    ("s3:GetObject", "nothing is in a bucket"),
    ("ssm:DescribeAssociation", "no documents are run"),
    ("ssm:ListAssociations", "no documents are run"),
    ("vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation", "endpoints are of AWS's own services"),
];

/// CloudFormation compares these two for drift with the caller's permissions.
#[test]
fn the_reading_role_sees_the_configuration_of_the_stacks_resources() {
    let mut types = BTreeSet::new();
    for file in ["api-backend.yaml", "api-backend-fargate.yaml"] {
        let template = template::load(&template::directory().join(file)).unwrap();
        let resources = template["Resources"].as_object().unwrap().values();
        types.extend(resources.map(|resource| resource["Type"].as_str().unwrap().to_owned()));
    }
    let reads = |action: &String| {
        let verbs = ["BatchDescribe", "Describe", "Detect", "Get", "List", "GET"];
        verbs.iter().any(|verb| action.split_once(':').is_some_and(|(_, name)| name.starts_with(verb)))
    };
    let of_the_stacks = handlers().into_iter().filter(|(kind, _)| types.contains(kind));
    let read: BTreeSet<String> = of_the_stacks.flat_map(|(_, actions)| actions).filter(reads).collect();
    let seen = actions(&roles().read.policies);
    let unseen: BTreeSet<String> = UNSEEN.iter().map(|(action, _)| (*action).to_owned()).collect();
    let missing: Vec<&String> = read.difference(&seen).filter(|action| !unseen.contains(*action)).collect();
    assert!(missing.is_empty(), "infra/bootstrap.yaml: ReadPermissions lacks {missing:?}");
    let idle: Vec<&String> = unseen.difference(&read).collect();
    assert!(idle.is_empty(), "excused without need: {idle:?}");
    for (action, _) in UNSEEN.iter().filter(|(action, _)| *action != "apigateway:GET") {
        assert!(!seen.contains(*action), "{action} is excused, and there");
    }
    let writes: Vec<&String> = seen.iter().filter(|action| !reads(action) && *action != "ecr:BatchGetImage").collect();
    assert!(writes.is_empty(), "infra/bootstrap.yaml: ReadPermissions does more than look: {writes:?}");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: white space does not count.
#[test]
fn no_policy_is_longer_than_aws_takes() {
    let length = |policy: &Value| policy.to_string().len();
    let roles = roles();
    let [own, regional] = roles.execution.policies.as_slice() else { panic!("two policies") };
    let [release, read, publish] = roles.deploy.policies.as_slice() else { panic!("three policies") };
    for (name, policy) in [("own", own), ("release", release)] {
        assert!(length(policy) < 10_240, "inside a role: {name} has {}", length(policy));
    }
    let boundary = roles.task.boundary.as_ref().unwrap();
    for (name, policy) in [("regional", regional), ("read", read), ("publish", publish), ("boundary", boundary)] {
        assert!(length(policy) < 6_144, "on its own: {name} has {}", length(policy));
    }
}
