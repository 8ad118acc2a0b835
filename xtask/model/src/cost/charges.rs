//! The fixed cost of one resource, by its type and properties.

use serde_json::Value;

use super::known::{known_flag, known_list, known_number, known_text};
use super::prices::{self, Prices};
use super::{databases, machines, tasks};
use crate::template::evaluate::{Resources, TemplateResource};
use crate::template::value::function;

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
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBSubnetGroup",
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

/// Rule groups of AWS that cost more than a rule.
const PAID_RULES: [&str; 4] = ["AntiDDoS", "BotControl", "ATPRuleSet", "ACFPRuleSet"];

type Parts = Vec<(f64, String)>;

/// The charge of a resource among the others of its stack.
pub(super) fn charge(id: &str, resource: &TemplateResource, all: &Resources, prices: &Prices) -> Charge {
    match parts(id, resource, all, prices) {
        Ok(parts) if parts.is_empty() => Charge::Nothing,
        Ok(parts) => Charge::Parts(parts),
        Err(reason) => Charge::Unknown(reason),
    }
}

/// The parts of a resource's price; none if it costs nothing.
///
/// # Errors
/// Why the price is not known.
fn parts(id: &str, resource: &TemplateResource, all: &Resources, prices: &Prices) -> Result<Parts, String> {
    let properties = &resource.properties;
    let one = |price: f64, what: &str| Ok(vec![(price, what.to_owned())]);
    match resource.kind.as_str() {
        "AWS::EC2::Instance" => machines::instance(properties, all, prices),
        "AWS::AutoScaling::AutoScalingGroup" => machines::group(properties, all, prices),
        "AWS::EC2::Volume" => machines::volume(properties, None, prices).map(|part| vec![part]),
        "AWS::EC2::EIP" => one(prices::ADDRESS, "public IPv4 address"),
        "AWS::EC2::NatGateway"
            if known_text(&properties["AvailabilityMode"], "its availability mode")?.as_deref() == Some("regional") =>
        {
            Err("a regional NAT gateway is billed in each zone that AWS chooses".to_owned())
        }
        "AWS::EC2::NatGateway" => one(prices.nat_gateway(), "NAT gateway"),
        "AWS::EC2::VPCEndpoint" => endpoint(properties, prices),
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => load_balancer(properties, prices),
        "AWS::ECS::Service" => tasks::service(id, properties, all, prices),
        "AWS::SecretsManager::Secret" => secret(properties),
        "AWS::KMS::Key" => one(prices::KEY, "key"),
        "AWS::CloudWatch::Alarm" => alarm(properties),
        "AWS::ApplicationAutoScaling::ScalingPolicy" => tracking(properties),
        "AWS::CloudWatch::CompositeAlarm" => one(prices::COMPOSITE_ALARM, "composite alarm"),
        "AWS::CloudWatch::Dashboard" => one(prices::DASHBOARD, "dashboard"),
        "AWS::Cognito::UserPoolClient" => client(properties),
        "AWS::ECS::Cluster" if watches_containers(properties)? => {
            Err("Container Insights is billed by metric".to_owned())
        }
        "AWS::ECS::CapacityProvider" if !properties["ManagedInstancesProvider"].is_null() => {
            Err("ECS chooses its instances".to_owned())
        }
        "AWS::Lambda::Version" if !properties["ProvisionedConcurrencyConfig"].is_null() => {
            Err("no price for provisioned concurrency".to_owned())
        }
        "AWS::RDS::DBInstance" => databases::instance(properties, all, prices),
        // Its instances are counted.
        "AWS::RDS::DBCluster" if properties["DBClusterInstanceClass"].is_null() => Ok(Vec::new()),
        "AWS::Route53::HostedZone" => one(prices::HOSTED_ZONE, "hosted zone"),
        "AWS::WAFv2::WebACL" => web_acl(properties),
        "AWS::ApiGateway::Stage" => stage(properties),
        "AWS::ApiGateway::Deployment" => deployment(&properties["StageDescription"]),
        "AWS::CloudFront::AnycastIpList" | "AWS::CloudFront::DistributionTenant" => {
            Err("no price for this type".to_owned())
        }
        "AWS::CloudFront::Distribution" => {
            let certificate = &properties["DistributionConfig"]["ViewerCertificate"]["SslSupportMethod"];
            let method = known_text(certificate, "how its certificate is served")?;
            let dedicated = method.as_deref() == Some("vip");
            if dedicated { Err("no price for dedicated IP addresses".to_owned()) } else { Ok(Vec::new()) }
        }
        "AWS::DynamoDB::Table" => {
            let mode = known_text(&properties["BillingMode"], "its billing mode")?;
            let by_use = mode.as_deref() == Some("PAY_PER_REQUEST");
            if by_use { Ok(Vec::new()) } else { Err("provisioned capacity".to_owned()) }
        }
        "AWS::SSM::Parameter" => match known_text(&properties["Tier"], "its tier")?.as_deref() {
            None | Some("Standard") => Ok(Vec::new()),
            Some("Advanced") => Err("advanced tier".to_owned()),
            Some(_) => Err("the tier depends on its value".to_owned()),
        },
        kind if FREE.iter().any(|free| kind == *free || (free.ends_with("::") && kind.starts_with(free))) => {
            Ok(Vec::new())
        }
        _ => Err("no price for this type".to_owned()),
    }
}

/// A secret costs the same in each region that it is replicated to.
fn secret(properties: &Value) -> Result<Parts, String> {
    let copies = known_list(&properties["ReplicaRegions"], "where its replicas are")?.len();
    let what = if copies == 0 { "secret".to_owned() } else { format!("secret in {} regions", copies + 1) };
    Ok(vec![(prices::SECRET * float(copies + 1), what)])
}

/// Gateway endpoints are free; the others are billed in each of their subnets.
fn endpoint(properties: &Value, prices: &Prices) -> Result<Parts, String> {
    match known_text(&properties["VpcEndpointType"], "its type")?.as_deref() {
        Some("Gateway") => return Ok(Vec::new()),
        None | Some("Interface") => {}
        Some(other) => return Err(format!("no price for an endpoint of type {other}")),
    }
    let subnets = known_list(&properties["SubnetIds"], "the number of its subnets")?.len();
    if subnets == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![(prices.interface_endpoint() * float(subnets), format!("endpoint in {subnets} subnets"))])
}

/// The load balancer, with a public address in each subnet if it faces the internet. Its capacity units depend on
/// traffic. Elastic addresses are resources of their own.
fn load_balancer(properties: &Value, prices: &Prices) -> Result<Parts, String> {
    let kind = known_text(&properties["Type"], "its type")?.unwrap_or_else(|| "application".to_owned());
    if kind == "gateway" {
        return Err("no price for a gateway load balancer".to_owned());
    }
    if !properties["MinimumLoadBalancerCapacity"].is_null() {
        return Err("no price for reserved capacity".to_owned());
    }
    let mut parts = vec![(prices.load_balancer(), format!("{kind} load balancer"))];
    if known_text(&properties["Scheme"], "its scheme")?.as_deref() != Some("internal") {
        let list = |name: &str| known_list(&properties[name], "the number of its subnets");
        let mapped = list("SubnetMappings")?.iter().filter(|mapping| mapping["AllocationId"].is_null()).count();
        // Where another stack has the subnets, there are two of them or more; a network load balancer may have one.
        let (subnets, bound) = match list("Subnets") {
            Ok(subnets) => (subnets.len() + mapped, ""),
            Err(_) if kind == "application" => (2, "at least "),
            Err(reason) => return Err(reason),
        };
        if subnets > 0 {
            parts.push((prices::ADDRESS * float(subnets), format!("{bound}{subnets} public IPv4 addresses")));
        }
    }
    Ok(parts)
}

/// Alarms are billed by metric, and for a higher price if they are evaluated more often than once a minute.
fn alarm(properties: &Value) -> Result<Parts, String> {
    let (metrics, fast) = metrics(properties)?;
    let own = known_number(&properties["Period"], "its period")?.is_some_and(is_fast);
    let each = if fast || own { prices::FAST_ALARM } else { prices::ALARM };
    Ok(vec![(each * float(metrics), "alarm".to_owned())])
}

fn is_fast(seconds: f64) -> bool {
    seconds < 60.0
}

/// Target tracking creates two alarms itself: one to scale out, one to scale in.
fn tracking(properties: &Value) -> Result<Parts, String> {
    let tracked = &properties["TargetTrackingScalingPolicyConfiguration"];
    if !tracked.is_object() {
        return Ok(Vec::new());
    }
    let (metrics, _) = metrics(&tracked["CustomizedMetricSpecification"])?;
    Ok(vec![(2.0 * prices::ALARM * float(metrics), "two alarms of its own".to_owned())])
}

/// How many metrics are evaluated, and whether one of them more often than once a minute.
fn metrics(specification: &Value) -> Result<(usize, bool), String> {
    let all = known_list(&specification["Metrics"], "which metrics it evaluates")?;
    let (mut counted, mut fast) = (0, false);
    for metric in all {
        let expression = known_text(&metric["Expression"], "an expression of it")?.unwrap_or_default();
        if ["SELECT", "SEARCH", "ANOMALY_DETECTION_BAND"].iter().any(|word| expression.contains(word)) {
            return Err("how many metrics it evaluates is only known at AWS".to_owned());
        }
        if metric["MetricStat"].is_object() {
            counted += 1;
            fast |= known_number(&metric["MetricStat"]["Period"], "its period")?.is_some_and(is_fast);
        }
    }
    Ok((counted.max(1), fast))
}

/// A client of a user pool costs something if it signs machines in.
fn client(properties: &Value) -> Result<Parts, String> {
    let flows = known_list(&properties["AllowedOAuthFlows"], "which flows it allows")?;
    let mut serves_machines = false;
    for flow in flows {
        serves_machines |= known_text(flow, "a flow of it")?.as_deref() == Some("client_credentials");
    }
    let part = serves_machines.then(|| (prices::MACHINE_CLIENT, "machine-to-machine client".to_owned()));
    Ok(part.into_iter().collect())
}

fn watches_containers(properties: &Value) -> Result<bool, String> {
    let settings = known_list(&properties["ClusterSettings"], "whether it has Container Insights")?;
    let is = |setting: &Value, name: &str, value: &str| setting[name].as_str() == Some(value);
    Ok(settings.iter().any(|one| is(one, "Name", "containerInsights") && !is(one, "Value", "disabled")))
}

fn web_acl(properties: &Value) -> Result<Parts, String> {
    let rules = known_list(&properties["Rules"], "the number of its rules")?;
    let text = properties["Rules"].to_string();
    if let Some(paid) = PAID_RULES.iter().find(|paid| text.contains(**paid)) {
        return Err(format!("no price for the rules of {paid}"));
    }
    let rules = rules.len();
    Ok(vec![(prices::WEB_ACL + prices::WEB_ACL_RULE * float(rules), format!("web ACL with {rules} rules"))])
}

fn stage(properties: &Value) -> Result<Parts, String> {
    if known_flag(&properties["CacheClusterEnabled"], "whether it has a cache")? != Some(true) {
        return Ok(Vec::new());
    }
    let size =
        known_text(&properties["CacheClusterSize"], "the size of its cache")?.unwrap_or_else(|| "0.5".to_owned());
    let price = prices::cache(&size).ok_or_else(|| format!("no price for a cache of {size} GB"))?;
    Ok(vec![(price, format!("cache of {size} GB"))])
}

/// A deployment may create a stage with a cache.
fn deployment(stage: &Value) -> Result<Parts, String> {
    let what = "whether its stage has a cache";
    if function(stage).is_some() {
        return Err(format!("{what} is only known at AWS"));
    }
    match known_flag(&stage["CacheClusterEnabled"], what)? {
        Some(true) => Err("no price for the cache of a stage that a deployment creates".to_owned()),
        _ => Ok(Vec::new()),
    }
}

/// Lists of a template are short.
pub(super) fn float(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::INFINITY, f64::from)
}
