//! Databases and tasks as AWS describes them, and as the templates plan them.

use std::collections::BTreeSet;

use super::*;
use crate::doctor::tests::{World, lines, planned, refusal, says};

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const DATABASE: &str = include_str!("../../../../infra/database.yaml");
const FARGATE: &str = include_str!("../../../../infra/api-backend-fargate.yaml");

fn described(status: &str) -> String {
    format!(
        "<DBInstances><DBInstance><DBInstanceStatus>{status}</DBInstanceStatus><DbInstancePort>0</DbInstancePort>\
         <VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-data</VpcSecurityGroupId><Status>active\
         </Status></VpcSecurityGroupMembership></VpcSecurityGroups><Endpoint><Port>5433</Port><Address>a</Address>\
         </Endpoint><DBSubnetGroup><VpcId>vpc-1</VpcId></DBSubnetGroup></DBInstance></DBInstances>"
    )
}

/// A rule as EC2 lists it: of a group, its direction, ports, and what it is about.
fn item(group: &str, is_egress: bool, protocol: &str, ports: (i32, i32), other: &str) -> String {
    let other = match other.strip_prefix("sg-") {
        Some(_) => format!("<referencedGroupInfo><groupId>{other}</groupId><userId>1</userId></referencedGroupInfo>"),
        None => format!("<cidrIpv4>{other}</cidrIpv4>"),
    };
    format!(
        "<item><tagSet><item><key>a</key><value>b</value></item></tagSet>{other}<groupId>{group}</groupId>\
         <isEgress>{is_egress}</isEgress><ipProtocol>{protocol}</ipProtocol><fromPort>{}</fromPort><toPort>{}</toPort>\
         </item>",
        ports.0, ports.1
    )
}

/// The groups of `network.yaml`, `database.yaml` and the service: what lets in, and what lets out.
fn usual() -> String {
    [
        item("sg-data", false, "tcp", (5433, 5433), "sg-clients"),
        item("sg-data", true, "-1", (-1, -1), "127.0.0.1/32"),
        item("sg-clients", true, "-1", (-1, -1), "127.0.0.1/32"),
        item("sg-tasks", true, "tcp", (443, 443), "0.0.0.0/0"),
        item("sg-tasks", true, "-1", (-1, -1), "10.0.0.0/16"),
    ]
    .concat()
}

async fn found(rules: &str, vpc: &str) -> Vec<String> {
    let rules = says(&format!("<securityGroupRuleSet>{rules}</securityGroupRuleSet>"));
    let world = World::of(USER, &[("DescribeSecurityGroupRules", rules)]).await;
    let database = database("db-1", &described("available")).unwrap();
    let groups = ["sg-tasks", "sg-clients"].map(str::to_owned).to_vec();
    let tasks = Tasks { groups, vpcs: BTreeSet::from([vpc.to_owned()]) };
    let all: BTreeSet<&String> = database.groups.iter().chain(&tasks.groups).collect();
    let rules = super::rules(&world.session(), &all).await.unwrap();
    let (_, form) = world.asked().pop().unwrap();
    assert_eq!((form["Filter.1.Name"].as_str(), form["Filter.1.Value.3"].as_str()), ("group-id", "sg-tasks"));
    lines(&[reaches(&database, &tasks, &rules)])
}

#[tokio::test]
async fn the_database_lets_in_a_group_of_the_tasks_in_its_own_network() {
    assert_eq!(found(&usual(), "vpc-1").await, ["ok db-1 is available, and lets in the service's tasks on port 5433"]);
    let same =
        "NetworkStack, or VpcId and ClientSecurityGroupId, must be the same for both environments in deploy.toml";
    assert_eq!(
        found(&usual(), "vpc-2").await,
        [format!("!! db-1 and the service's tasks are in different networks: vpc-1, and vpc-2 -> {same}")]
    );
    for (ingress, open_to) in [
        (item("sg-data", false, "tcp", (5433, 5433), "sg-others"), "sg-others"),
        (item("sg-data", false, "tcp", (5432, 5432), "sg-clients"), "nobody"),
        (item("sg-data", false, "udp", (5433, 5433), "sg-clients"), "nobody"),
        (item("sg-others", false, "tcp", (5433, 5433), "sg-clients"), "nobody"),
    ] {
        let rules = usual().replace(&item("sg-data", false, "tcp", (5433, 5433), "sg-clients"), &ingress);
        let reason = format!("port 5433 is open to {open_to}; the tasks are in sg-tasks, sg-clients");
        let expected = format!("!! db-1 does not let in the service's tasks: {reason} -> {same}");
        assert_eq!(found(&rules, "vpc-1").await, [expected], "{ingress}");
    }
    let ranges = usual().replace("sg-clients</groupId><userId>", "sg-others</groupId><userId>")
        + &item("sg-data", false, "tcp", (5000, 6000), "10.0.0.0/8");
    let unknown = "?? could not be checked: db-1 lets in ranges of addresses on port 5433";
    assert_eq!(found(&ranges, "vpc-1").await, [unknown]);
}

#[tokio::test]
async fn the_tasks_are_let_out_to_the_database() {
    let out = item("sg-tasks", true, "-1", (-1, -1), "10.0.0.0/16");
    let closed = usual().replace(&out, "");
    let [line] = found(&closed, "vpc-1").await.try_into().unwrap();
    let reason = "none of their security groups, sg-tasks, sg-clients, lets them out to port 5433";
    assert!(line.starts_with(&format!("!! the service's tasks do not reach db-1: {reason} -> ")), "{line}");
    let to_group = usual().replace(&out, &item("sg-tasks", true, "tcp", (5433, 5433), "sg-data"));
    assert!(found(&to_group, "vpc-1").await[0].starts_with("ok "));
    let elsewhere = usual().replace(&out, &item("sg-tasks", true, "tcp", (5433, 5433), "sg-others"));
    assert!(found(&elsewhere, "vpc-1").await[0].starts_with("!! "));
}

#[test]
fn a_database_that_is_not_available_is_reported() {
    let said = |status: &str| {
        let database = database("db-1", &described(status)).unwrap();
        lines(&state(&database, "eu-central-1").into_iter().collect::<Vec<_>>())
    };
    for status in ["available", "backing-up", "configuring-log-exports"] {
        assert_eq!(said(status), [""; 0], "{status}");
    }
    assert_eq!(said("upgrading"), ["?? db-1 is upgrading; until that has ended it takes no connections"]);
    assert_eq!(
        said("stopped"),
        ["!! db-1 is stopped: it takes no connections -> aws rds start-db-instance --region eu-central-1 \
          --db-instance-identifier db-1"]
    );
    assert_eq!(
        said("storage-full"),
        ["!! db-1 is storage-full: it takes no connections -> aws rds describe-events --region eu-central-1 \
          --source-type db-instance --source-identifier db-1"]
    );
    assert!(database("db-1", "<DBInstances/>").is_none());
}

#[test]
fn templates_agree_on_the_group_of_the_clients() {
    let database = |given: &[(&str, &str)]| planned(DATABASE, given);
    let service = |given: &[(&str, &str)]| planned(FARGATE, given);
    let said = |theirs: &PlannedResources, own: &PlannedResources| lines(&[will_reach("data", theirs, own)]).remove(0);
    let own = service(&[("NetworkStack", "net")]);
    for kind in ["INSTANCE", "AURORA_SERVERLESS"] {
        let theirs = database(&[("NetworkStack", "net"), ("Kind", kind)]);
        let expected = "ok data will let in the service's tasks, by net-ClientSecurityGroupId";
        assert_eq!(said(&theirs, &own), expected, "{kind}");
    }
    let line = said(&database(&[("NetworkStack", "other")]), &own);
    let reason = "it lets in other-ClientSecurityGroupId; the tasks will be in net-ClientSecurityGroupId";
    assert!(line.starts_with(&format!("!! data would not let in the service's tasks: {reason} -> ")), "{line}");
    let later = database(&[("VpcId", "vpc-1"), ("ClientSecurityGroupId", "{network.Clients}")]);
    assert_eq!(said(&later, &own), "?? could not be checked: data: whom it lets in is only known at AWS");
    let instance = planned("Resources: {Machine: {Type: AWS::EC2::Instance}}", &[]);
    let line = said(&database(&[("NetworkStack", "net")]), &instance);
    let reason = "which security groups the service is in is not in its template";
    assert_eq!(line, format!("?? could not be checked: data: {reason}"));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_of_its_call() {
    let world = World::of(USER, &[("DescribeSecurityGroupRules", refusal("UnauthorizedOperation"))]).await;
    let group = "sg-data".to_owned();
    let failure = rules(&world.session(), &BTreeSet::from([&group])).await.unwrap_err();
    let [line] = lines(&[CheckResult::unknown(&failure)]).try_into().unwrap();
    assert!(line.starts_with("?? could not be checked: ec2:DescribeSecurityGroupRules failed: "), "{line}");
}
