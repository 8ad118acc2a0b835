//! A database of RDS beside the service, with the network of both.

use serde_json::{Value, json};

use super::World;
use super::xml::{tag, tags};

/// A database as RDS and EC2 show it.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) status: &'static str,
    /// The security group that it lets in. The service's tasks are in `sg-clients` and `sg-tasks`.
    pub(crate) lets_in: &'static str,
}

/// The database in its stack's resources.
pub(super) fn resources() -> [(&'static str, &'static str, &'static str); 1] {
    [("Database", "AWS::RDS::DBInstance", "rest-api-database-1")]
}

/// Where ECS runs the tasks.
pub(super) fn network() -> Value {
    json!({"awsvpcConfiguration": {"securityGroups": ["sg-tasks", "sg-clients"], "subnets": ["subnet-1", "subnet-2"]}})
}

/// The answer of RDS, or of EC2 about the network; `None` where another service is asked.
pub(super) fn query(world: &World, action: &str) -> Option<String> {
    let database = world.others.values().find_map(|other| other.database.as_ref());
    let Database { status, lets_in } = database.filter(|_| ACTIONS.iter().any(|(known, _)| *known == action))?;
    let subnet = tag("item", &tag("vpcId", "vpc-1"));
    Some(match action {
        "DescribeDBInstances" => {
            let group = tag("VpcSecurityGroupMembership", &tag("VpcSecurityGroupId", "sg-data"));
            let instance = [
                tag("DBInstanceStatus", status),
                tag("VpcSecurityGroups", &group),
                tag("Endpoint", &tag("Port", "5432")),
                tag("DBSubnetGroup", &tag("VpcId", "vpc-1")),
            ];
            tag("DBInstances", &tag("DBInstance", &instance.concat()))
        }
        "DescribeSubnets" => tag("subnetSet", &subnet.repeat(2)),
        _ => {
            let ingress = rule("sg-data", "false") + &tag("referencedGroupInfo", &tag("groupId", lets_in));
            let egress = rule("sg-tasks", "true") + &tag("cidrIpv4", "10.0.0.0/16");
            tag("securityGroupRuleSet", &(tag("item", &ingress) + &tag("item", &egress)))
        }
    })
}

/// What is asked here, and of which service.
pub(super) const ACTIONS: [(&str, &str); 3] =
    [("DescribeDBInstances", "rds"), ("DescribeSecurityGroupRules", "ec2"), ("DescribeSubnets", "ec2")];

fn rule(group: &str, is_egress: &str) -> String {
    tags(&[
        ("groupId", group),
        ("isEgress", is_egress),
        ("ipProtocol", "tcp"),
        ("fromPort", "5432"),
        ("toPort", "5432"),
    ])
}
