//! The fixed cost of one resource, by its type and properties.

use std::collections::BTreeMap;

use serde_json::Value;

use super::prices::{self, Prices};
use super::{is, number, referenced};
use crate::template::evaluate::{TemplateResource, text};

/// GiB of the root volume of Amazon Linux, the default.
const ROOT_VOLUME: f64 = 8.0;

/// What a resource costs.
#[derive(Debug, PartialEq)]
pub(super) enum Charge {
    /// No fixed cost.
    Nothing,
    /// Parts of the price, each with a description.
    Parts(Vec<(f64, String)>),
    /// It has a cost: why that is not known.
    Unknown(String),
}

/// Types without a price of their own: billed by use, or not at all. A trailing `::` stands for all types of a service.
const FREE: &[&str] = &[
    "AWS::ApiGateway::",
    "AWS::ApiGatewayV2::",
    "AWS::ApplicationAutoScaling::",
    "AWS::AutoScaling::LaunchConfiguration",
    "AWS::AutoScaling::LifecycleHook",
    "AWS::AutoScaling::ScalingPolicy",
    "AWS::AutoScaling::ScheduledAction",
    "AWS::CertificateManager::Certificate",
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudFront::",
    "AWS::Cognito::",
    "AWS::EC2::EIPAssociation",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::EgressOnlyInternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::NetworkAclEntry",
    "AWS::EC2::PrefixList",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetNetworkAclAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCCidrBlock",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::EC2::VolumeAttachment",
    "AWS::ECR::",
    "AWS::ECS::CapacityProvider",
    "AWS::ECS::Cluster",
    "AWS::ECS::ClusterCapacityProviderAssociations",
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerCertificate",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::Events::",
    "AWS::IAM::",
    "AWS::KMS::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::Logs::",
    "AWS::Route53::RecordSet",
    "AWS::Route53::RecordSetGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::",
    "AWS::SQS::",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::RotationSchedule",
    "AWS::SecretsManager::SecretTargetAttachment",
    "AWS::WAFv2::IPSet",
    "AWS::WAFv2::LoggingConfiguration",
    "AWS::WAFv2::RegexPatternSet",
    "AWS::WAFv2::WebACLAssociation",
];

/// The charge of a resource among the others of its stack.
pub(super) fn charge(resource: &TemplateResource, all: &BTreeMap<String, TemplateResource>, prices: &Prices) -> Charge {
    let properties = &resource.properties;
    let one = |price: f64, what: &str| Charge::Parts(vec![(price, what.to_owned())]);
    match resource.kind.as_str() {
        "AWS::EC2::Instance" => parts(machine(properties, all, prices)),
        "AWS::AutoScaling::AutoScalingGroup" => parts(machines(properties, all, prices)),
        "AWS::EC2::Volume" => parts(volume(properties, prices).map(|part| vec![part])),
        "AWS::EC2::EIP" => one(prices::ADDRESS, "public IPv4 address"),
        "AWS::EC2::NatGateway" => one(prices.nat_gateway(), "NAT gateway"),
        "AWS::EC2::VPCEndpoint" => endpoint(properties, prices),
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => load_balancer(properties, prices),
        "AWS::ECS::Service" => parts(service(properties, all, prices)),
        "AWS::SecretsManager::Secret" => one(prices::SECRET, "secret"),
        "AWS::KMS::Key" => one(prices::KEY, "key"),
        "AWS::CloudWatch::Alarm" => alarm(properties),
        "AWS::ApplicationAutoScaling::ScalingPolicy" => tracking(properties),
        "AWS::CloudWatch::CompositeAlarm" => one(prices::COMPOSITE_ALARM, "composite alarm"),
        "AWS::CloudWatch::Dashboard" => one(prices::DASHBOARD, "dashboard"),
        "AWS::Cognito::UserPoolClient" if serves_machines(properties) => {
            one(prices::MACHINE_CLIENT, "machine-to-machine client")
        }
        "AWS::ECS::Cluster" if watches_containers(properties) => {
            Charge::Unknown("Container Insights is billed by metric".to_owned())
        }
        "AWS::Route53::HostedZone" => one(prices::HOSTED_ZONE, "hosted zone"),
        "AWS::WAFv2::WebACL" => {
            let rules = properties["Rules"].as_array().map_or(0, Vec::len);
            one(prices::WEB_ACL + prices::WEB_ACL_RULE * float(rules), &format!("web ACL with {rules} rules"))
        }
        "AWS::ApiGateway::Stage" if is(&properties["CacheClusterEnabled"], "true") => {
            let size = text(&properties["CacheClusterSize"]).unwrap_or_else(|| "0.5".to_owned());
            match prices::cache(&size) {
                Some(price) => one(price, &format!("cache of {size} GB")),
                None => Charge::Unknown(format!("no price for a cache of {size} GB")),
            }
        }
        "AWS::DynamoDB::Table" if is(&properties["BillingMode"], "PAY_PER_REQUEST") => Charge::Nothing,
        "AWS::DynamoDB::Table" => Charge::Unknown("provisioned capacity".to_owned()),
        "AWS::SSM::Parameter" if is(&properties["Tier"], "Advanced") => Charge::Unknown("advanced tier".to_owned()),
        "AWS::SSM::Parameter" => Charge::Nothing,
        kind if FREE.iter().any(|free| kind == *free || (free.ends_with("::") && kind.starts_with(free))) => {
            Charge::Nothing
        }
        _ => Charge::Unknown("no price for this type".to_owned()),
    }
}

fn parts(result: Result<Vec<(f64, String)>, String>) -> Charge {
    match result {
        Ok(parts) if parts.is_empty() => Charge::Nothing,
        Ok(parts) => Charge::Parts(parts),
        Err(reason) => Charge::Unknown(reason),
    }
}

/// An instance with its volumes and its public address, also from its launch template.
fn machine(
    properties: &Value,
    all: &BTreeMap<String, TemplateResource>,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    let template = referenced(&properties["LaunchTemplate"]["LaunchTemplateId"], all);
    let launch = template.map(|resource| &resource.properties["LaunchTemplateData"]).unwrap_or(&Value::Null);
    let property = |name: &str| [&properties[name], &launch[name]].into_iter().find(|value| !value.is_null());
    let kind = property("InstanceType").and_then(text).ok_or("the instance type is not in the template")?;
    let price = prices.instance(&kind).ok_or_else(|| format!("no price for {kind}"))?;
    let mut parts = vec![(price, kind)];
    let mappings = property("BlockDeviceMappings").and_then(Value::as_array);
    let disks: Vec<&Value> = mappings.into_iter().flatten().map(|m| &m["Ebs"]).filter(|ebs| ebs.is_object()).collect();
    if disks.is_empty() {
        let price = prices.volume("gp3", ROOT_VOLUME).ok_or("no price for gp3")?;
        parts.push((price, format!("{ROOT_VOLUME} GB root volume")));
    }
    for disk in disks {
        parts.push(volume(disk, prices)?);
    }
    let interfaces = property("NetworkInterfaces").and_then(Value::as_array);
    let asked = interfaces.into_iter().flatten().any(|one| is(&one["AssociatePublicIpAddress"], "true"));
    let subnet = property("SubnetId").and_then(|subnet| referenced(subnet, all));
    if asked || subnet.is_some_and(|subnet| is(&subnet.properties["MapPublicIpOnLaunch"], "true")) {
        parts.push((prices::ADDRESS, "public IPv4 address".to_owned()));
    }
    Ok(parts)
}

/// The instances that an Auto Scaling group starts with.
fn machines(
    properties: &Value,
    all: &BTreeMap<String, TemplateResource>,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    let wanted = number(&properties["DesiredCapacity"]).or_else(|| number(&properties["MinSize"]));
    let wanted = wanted.ok_or("the number of instances is not in the template")?;
    let each = machine(properties, all, prices)?;
    Ok(each.into_iter().map(|(price, what)| (price * wanted, format!("{wanted} × {what}"))).collect())
}

/// A volume: an EBS block device or an `AWS::EC2::Volume`.
fn volume(disk: &Value, prices: &Prices) -> Result<(f64, String), String> {
    let size = number(&disk["VolumeSize"]).or_else(|| number(&disk["Size"])).unwrap_or(ROOT_VOLUME);
    let kind = text(&disk["VolumeType"]).unwrap_or_else(|| "gp2".to_owned());
    let price = prices.volume(&kind, size).ok_or_else(|| format!("no price for a volume of type {kind}"))?;
    Ok((price, format!("{size} GB {kind}")))
}

/// Gateway endpoints are free; the others are billed in each of their subnets.
fn endpoint(properties: &Value, prices: &Prices) -> Charge {
    let subnets = properties["SubnetIds"].as_array().map_or(0, Vec::len);
    if subnets == 0 || is(&properties["VpcEndpointType"], "Gateway") {
        return Charge::Nothing;
    }
    let what = format!("endpoint in {subnets} subnets");
    Charge::Parts(vec![(prices.interface_endpoint() * float(subnets), what)])
}

/// The load balancer, with a public address in each subnet if it faces the internet: in two, the fewest that there can be,
/// where another stack has them. Its capacity units depend on traffic.
fn load_balancer(properties: &Value, prices: &Prices) -> Charge {
    let kind = text(&properties["Type"]).unwrap_or_else(|| "application".to_owned());
    if kind == "gateway" {
        return Charge::Unknown("no price for a gateway load balancer".to_owned());
    }
    let mut parts = vec![(prices.load_balancer(), format!("{kind} load balancer"))];
    let subnets = ["Subnets", "SubnetMappings"].iter().find_map(|name| properties[*name].as_array());
    let elsewhere = if properties["Subnets"].is_object() { 2 } else { 0 };
    let subnets = subnets.map_or(elsewhere, Vec::len);
    if !is(&properties["Scheme"], "internal") && subnets > 0 {
        parts.push((prices::ADDRESS * float(subnets), format!("{subnets} public IPv4 addresses")));
    }
    Charge::Parts(parts)
}

/// The parts of a service's price; none if its tasks run on instances, which are counted themselves.
///
/// # Errors
/// Why the price is not known.
fn service(
    properties: &Value,
    all: &BTreeMap<String, TemplateResource>,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    let Some(spot) = spot(properties) else { return Ok(Vec::new()) };
    let definition =
        referenced(&properties["TaskDefinition"], all).ok_or("its task definition is not in the template")?;
    let definition = &definition.properties;
    let platform = &definition["RuntimePlatform"];
    if platform["OperatingSystemFamily"].as_str().is_some_and(|family| family.starts_with("WINDOWS")) {
        return Err("no price for Windows tasks".to_owned());
    }
    let size = |name: &str| number(&definition[name]).map(|units| units / 1024.0);
    let (vcpu, memory) = size("Cpu").zip(size("Memory")).ok_or("the size of its tasks is not in the template")?;
    let tasks = number(&properties["DesiredCount"]).or_else(|| scaled(all)).unwrap_or(1.0);
    let arm = is(&platform["CpuArchitecture"], "ARM64");
    let processor = if arm { "arm64" } else { "x86_64" };
    let mut what = format!("{tasks} × Fargate {vcpu} vCPU {memory} GB {processor}");
    if spot > 0.0 {
        what.push_str(&format!(", {:.0} % of them on Spot", spot * 100.0));
    }
    let paid = 1.0 - spot + spot * prices::SPOT;
    let mut parts = vec![(prices.task(vcpu, memory, arm) * paid * tasks, what)];
    if is(&properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"], "ENABLED") {
        parts.push((prices::ADDRESS * tasks, format!("{tasks} public IPv4 addresses")));
    }
    Ok(parts)
}

/// The share of tasks on Spot; `None` if they do not run on Fargate.
fn spot(properties: &Value) -> Option<f64> {
    let strategy = properties["CapacityProviderStrategy"].as_array().map_or(&[][..], Vec::as_slice);
    let weight = |name: &str| -> f64 {
        let of_name = strategy.iter().filter(|item| is(&item["CapacityProvider"], name));
        // The default weight is 0, but a single provider gets all tasks.
        let alone = if strategy.len() == 1 { 1.0 } else { 0.0 };
        of_name.map(|item| number(&item["Weight"]).unwrap_or(alone)).sum()
    };
    let (on_demand, spare) = (weight("FARGATE"), weight("FARGATE_SPOT"));
    if on_demand + spare > 0.0 {
        Some(spare / (on_demand + spare))
    } else {
        is(&properties["LaunchType"], "FARGATE").then_some(0.0)
    }
}

/// The minimum of auto scaling, for templates that leave the number out.
fn scaled(all: &BTreeMap<String, TemplateResource>) -> Option<f64> {
    let targets = all.values().filter(|resource| resource.kind == "AWS::ApplicationAutoScaling::ScalableTarget");
    let mut of_ecs = targets.filter(|target| is(&target.properties["ServiceNamespace"], "ecs"));
    of_ecs.find_map(|target| number(&target.properties["MinCapacity"]))
}

/// Alarms are billed by metric.
fn alarm(properties: &Value) -> Charge {
    let metrics = metrics(properties);
    let fast = number(&properties["Period"]).is_some_and(|seconds| seconds < 60.0);
    let each = if fast { prices::FAST_ALARM } else { prices::ALARM };
    Charge::Parts(vec![(each * float(metrics), "alarm".to_owned())])
}

/// Target tracking creates two alarms itself: one to scale out, one to scale in.
fn tracking(properties: &Value) -> Charge {
    let tracked = &properties["TargetTrackingScalingPolicyConfiguration"];
    if !tracked.is_object() {
        return Charge::Nothing;
    }
    let metrics = metrics(&tracked["CustomizedMetricSpecification"]);
    Charge::Parts(vec![(2.0 * prices::ALARM * float(metrics), "two alarms of its own".to_owned())])
}

/// How many metrics are evaluated.
fn metrics(specification: &Value) -> usize {
    let all = specification["Metrics"].as_array();
    all.map_or(1, |all| all.iter().filter(|metric| metric["MetricStat"].is_object()).count().max(1))
}

fn serves_machines(properties: &Value) -> bool {
    let flows = properties["AllowedOAuthFlows"].as_array();
    flows.is_some_and(|flows| flows.iter().any(|flow| is(flow, "client_credentials")))
}

fn watches_containers(properties: &Value) -> bool {
    let settings = properties["ClusterSettings"].as_array().into_iter().flatten();
    settings.into_iter().any(|setting| is(&setting["Name"], "containerInsights") && !is(&setting["Value"], "disabled"))
}

/// Lists of a template are short.
pub(super) fn float(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::INFINITY, f64::from)
}
