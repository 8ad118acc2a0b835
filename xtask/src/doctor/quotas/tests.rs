//! Need, usage and limit of the templates' quotas.

use std::collections::BTreeSet;

use super::*;
use crate::doctor::tests::{World, lines, planned, refusal, says};

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const EC2_TEMPLATE: &str = include_str!("../../../../infra/api-backend.yaml");
const FARGATE: &str = include_str!("../../../../infra/api-backend-fargate.yaml");
const NETWORK: &str = include_str!("../../../../infra/network.yaml");

fn codes(planned: &PlannedResources) -> Vec<(&'static str, f64)> {
    needs(planned).iter().map(|need| (need.quota.code, need.count)).collect()
}

#[test]
fn parameters_decide_what_a_template_needs() {
    assert_eq!(
        codes(&planned(EC2_TEMPLATE, &[])),
        [("L-F678F1CE", 1.0), ("L-A4707A72", 1.0), ("L-E79EC296", 1.0), ("L-1216C47A", 2.0)]
    );
    let service = codes(&planned(FARGATE, &[("NetworkStack", "network")]));
    for code in ["L-3032A538", "L-53DA6B97"] {
        assert!(service.iter().any(|(found, _)| *found == code), "{code} in {service:?}");
    }
    let of = |given: &[(&str, &str)]| codes(&planned(NETWORK, given));
    let default = of(&[]);
    for code in ["L-F678F1CE", "L-A4707A72", "L-FE5A380F", "L-0263D0A3"] {
        assert!(default.iter().any(|(found, _)| *found == code), "{code} in {default:?}");
    }
    let public = of(&[("Egress", "PUBLIC_SUBNETS")]);
    assert!(public.iter().all(|(code, _)| !["L-FE5A380F", "L-0263D0A3"].contains(code)), "{public:?}");
}

#[test]
fn resources_that_the_stack_has_do_not_count() {
    let existing: BTreeSet<String> = ["Vpc", "InternetGateway"].map(str::to_owned).into();
    let body = "Resources: {Vpc: {Type: AWS::EC2::VPC}, InternetGateway: {Type: AWS::EC2::InternetGateway}, \
                Address: {Type: AWS::EC2::EIP}}";
    let planned = PlannedResources::of(body, &std::collections::BTreeMap::new(), "eu-central-1", existing).unwrap();
    assert_eq!(codes(&planned), [("L-0263D0A3", 1.0)]);
}

const TWO: &str = "Resources: {Vpc: {Type: AWS::EC2::VPC}, Address: {Type: AWS::EC2::EIP}}";

fn quota(value: f64) -> (u16, String) {
    says(&json!({"Quota": {"Value": value}}).to_string())
}

#[tokio::test]
async fn a_full_quota_is_reported_with_the_command_to_raise_it() {
    let missing = (400, json!({"__type": "NoSuchResourceException", "Message": "none"}).to_string());
    let world = World::of(
        USER,
        &[
            ("GetServiceQuota L-0263D0A3", missing),
            ("GetAWSDefaultServiceQuota", quota(5.0)),
            ("GetServiceQuota L-F678F1CE", quota(7.0)),
            ("DescribeVpcs", says("<vpcSet><item><vpcId>a</vpcId></item><item><vpcId>b</vpcId></item></vpcSet>")),
            ("DescribeAddresses", says(&"<item><publicIp>192.0.2.1</publicIp></item>".repeat(5))),
        ],
    )
    .await;
    let found = quotas(&world.session(), &planned(TWO, &[])).await.unwrap();
    assert_eq!(
        lines(&found),
        [
            "ok VPCs per Region: 1 more needed, 2 of 7 in use",
            "!! EC2-VPC Elastic IPs: 1 more needed, 5 of 5 in use: the stack would exceed the quota -> aws \
             service-quotas request-service-quota-increase --region eu-central-1 --service-code ec2 --quota-code \
             L-0263D0A3 --desired-value 6",
        ]
    );
    world.asked();
}

#[tokio::test]
async fn an_unreadable_quota_hides_no_other() {
    let world = World::of(
        USER,
        &[
            ("GetServiceQuota L-F678F1CE", refusal("AccessDeniedException")),
            ("GetServiceQuota L-0263D0A3", quota(5.0)),
            ("DescribeAddresses", refusal("UnauthorizedOperation")),
        ],
    )
    .await;
    let found = quotas(&world.session(), &planned(TWO, &[])).await.unwrap();
    let lines = lines(&found);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("?? could not be checked: servicequotas:GetServiceQuota failed: AccessDenied"));
    assert!(lines[1].starts_with("?? EC2-VPC Elastic IPs: 1 more needed of 5; the usage could not be checked"));
}

#[tokio::test]
async fn processors_in_use_are_the_newest_value_of_the_quotas_metric() {
    const INSTANCE: &str = "Resources: {I: {Type: AWS::EC2::Instance, Properties: {InstanceType: m7g.2xlarge}}}";
    let usage = json!({"MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount",
        "MetricDimensions": {"Class": "Standard/OnDemand", "Service": "EC2"}});
    let quota = says(&json!({"Quota": {"Value": 16.0, "UsageMetric": usage}}).to_string());
    let point = |minute: u8, value: f64| {
        format!("<member><Timestamp>2026-01-02T03:{minute:02}:00Z</Timestamp><Maximum>{value:.1}</Maximum></member>")
    };
    let points = says(&[point(10, 2.0), point(15, 12.0), point(5, 16.0)].concat());
    let world = World::of(USER, &[("GetServiceQuota", quota), ("GetMetricStatistics", points)]).await;
    let found = quotas(&world.session(), &planned(INSTANCE, &[])).await.unwrap();
    assert!(
        lines(&found)[0].starts_with("!! Running On-Demand Standard instances (vCPU): 8 more needed, 12 of 16 in use")
    );
    let (_, form) = world.asked().pop().unwrap();
    assert_eq!(
        (form["Dimensions.member.1.Name"].as_str(), form["Dimensions.member.1.Value"].as_str()),
        ("Class", "Standard/OnDemand")
    );
}

#[test]
fn the_instance_size_gives_the_processors() {
    for (kind, expected) in [
        ("t3.micro", 2.0),
        ("m7g.large", 2.0),
        ("c6i.xlarge", 4.0),
        ("r7i.16xlarge", 64.0),
        ("im4gn.2xlarge", 8.0),
        ("p4d.24xlarge", 0.0),
        ("inf2.xlarge", 0.0),
        ("trn1.2xlarge", 0.0),
        ("m5", 0.0),
    ] {
        assert!((processors(kind) - expected).abs() < f64::EPSILON, "{kind}: {}", processors(kind));
    }
}
