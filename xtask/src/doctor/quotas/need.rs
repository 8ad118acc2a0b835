//! Which quotas new resources count against, and by how much.

use serde_json::Value;

use crate::doctor::wanted::Wanted;
use model::template::evaluate::text;

/// A quota of AWS.
#[derive(Debug)]
pub(super) struct Quota {
    /// As Service Quotas names it.
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    pub(super) code: &'static str,
    pub(super) used: Used,
    /// How much a resource takes of it, by its type.
    takes: fn(&Wanted) -> f64,
}

/// How one learns what is in use.
#[derive(Debug)]
pub(super) enum Used {
    /// EC2 lists them; every one has this element.
    Listed {
        action: &'static str,
        item: &'static str,
    },
    /// As `Listed`, of the whole region, while the quota is of each zone.
    AtMost {
        action: &'static str,
        item: &'static str,
    },
    LoadBalancers,
    /// By the metric that Service Quotas names.
    Metric,
}

/// What new resources take of a quota.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) quota: &'static Quota,
    pub(super) count: f64,
}

/// <https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html>, a page a service. Only those that an
/// account meets early: of interfaces, links and secrets it may have hundreds.
const QUOTAS: [Quota; 8] = [
    Quota {
        name: "VPCs per Region",
        service: "vpc",
        code: "L-F678F1CE",
        used: Used::Listed { action: "ec2:DescribeVpcs", item: "vpcId" },
        takes: |wanted| number_of(wanted, "AWS::EC2::VPC"),
    },
    Quota {
        name: "Internet gateways per Region",
        service: "vpc",
        code: "L-A4707A72",
        used: Used::Listed { action: "ec2:DescribeInternetGateways", item: "internetGatewayId" },
        takes: |wanted| number_of(wanted, "AWS::EC2::InternetGateway"),
    },
    Quota {
        name: "NAT gateways per Availability Zone",
        service: "vpc",
        code: "L-FE5A380F",
        used: Used::AtMost { action: "ec2:DescribeNatGateways", item: "natGatewayId" },
        // Each in a zone of its own, in any template that makes sense.
        takes: |wanted| number_of(wanted, "AWS::EC2::NatGateway").min(1.0),
    },
    Quota {
        name: "VPC security groups per Region",
        service: "vpc",
        code: "L-E79EC296",
        used: Used::Listed { action: "ec2:DescribeSecurityGroups", item: "groupDescription" },
        takes: |wanted| number_of(wanted, "AWS::EC2::SecurityGroup"),
    },
    Quota {
        name: "EC2-VPC Elastic IPs",
        service: "ec2",
        code: "L-0263D0A3",
        used: Used::Listed { action: "ec2:DescribeAddresses", item: "publicIp" },
        takes: |wanted| number_of(wanted, "AWS::EC2::EIP"),
    },
    Quota {
        name: "Running On-Demand Standard instances (vCPU)",
        service: "ec2",
        code: "L-1216C47A",
        used: Used::Metric,
        takes: instances,
    },
    Quota {
        name: "Fargate On-Demand vCPU resource count",
        service: "fargate",
        code: "L-3032A538",
        used: Used::Metric,
        takes: tasks,
    },
    Quota {
        name: "Application Load Balancers per Region",
        service: "elasticloadbalancing",
        code: "L-53DA6B97",
        used: Used::LoadBalancers,
        takes: |wanted| {
            let all = wanted.new_ones("AWS::ElasticLoadBalancingV2::LoadBalancer");
            all.filter(|one| one["Type"].as_str().is_none_or(|kind| kind == "application")).count() as f64
        },
    },
];

/// What the stack does not have yet, as far as it counts.
pub(super) fn needs(wanted: &Wanted) -> Vec<Need> {
    let all = QUOTAS.iter().map(|quota| Need { quota, count: (quota.takes)(wanted) });
    all.filter(|need| need.count > 0.0).collect()
}

fn number_of(wanted: &Wanted, kind: &str) -> f64 {
    wanted.new_ones(kind).count() as f64
}

fn number(value: &Value) -> Option<f64> {
    text(value)?.parse().ok()
}

/// Processors of the instances, also of those that a launch template describes.
fn instances(wanted: &Wanted) -> f64 {
    let of = |instance: &Value| {
        let template = wanted.referred(&instance["LaunchTemplate"]["LaunchTemplateId"]);
        let own = instance["InstanceType"].as_str();
        let kind = own.or_else(|| template?["LaunchTemplateData"]["InstanceType"].as_str());
        kind.map_or(0.0, processors)
    };
    wanted.new_ones("AWS::EC2::Instance").map(of).sum()
}

/// Of an instance type of the standard families: two up to `large`, four times what stands before `xlarge`; a few small
/// ones have only one.
fn processors(kind: &str) -> f64 {
    let Some((family, size)) = kind.split_once('.') else { return 0.0 };
    // What begins with these letters and has a number next; `inf`, `trn` and `mac` have quotas of their own.
    let mut letters = family.chars();
    let standard = letters.next().is_some_and(|letter| "acdhimrtz".contains(letter));
    if !standard || !letters.next().is_some_and(|letter| letter.is_ascii_digit() || letter == 'm') {
        return 0.0;
    }
    match size.strip_suffix("xlarge") {
        Some("") => 4.0,
        Some(times) => times.parse::<f64>().map_or(0.0, |times| times * 4.0),
        None => 2.0,
    }
}

/// Processors of the tasks that are not on spare capacity: as many as are wanted, or auto scaling has at least.
fn tasks(wanted: &Wanted) -> f64 {
    let scaled = || wanted.all("AWS::ApplicationAutoScaling::ScalableTarget").find_map(|t| number(&t["MinCapacity"]));
    let of = |service: &Value| {
        if !on_fargate(service) {
            return 0.0;
        }
        let definition = wanted.referred(&service["TaskDefinition"]);
        let units = definition.and_then(|definition| number(&definition["Cpu"])).unwrap_or_default();
        let tasks = number(&service["DesiredCount"]).or_else(scaled).unwrap_or(1.0);
        tasks * units / 1024.0
    };
    wanted.new_ones("AWS::ECS::Service").map(of).sum()
}

fn on_fargate(service: &Value) -> bool {
    let mut strategy = service["CapacityProviderStrategy"].as_array().into_iter().flatten();
    let on_demand = |item: &Value| {
        item["CapacityProvider"] == "FARGATE"
            && (number(&item["Weight"]).is_none_or(|weight| weight > 0.0)
                || number(&item["Base"]).is_some_and(|base| base > 0.0))
    };
    service["LaunchType"] == "FARGATE" || strategy.any(on_demand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_those_of_the_size() {
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
}
