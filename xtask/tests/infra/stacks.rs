//! Stacks that take something from one another, by exports or by parameters.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::rendered::{self, Rendered};
use super::{render, template, test};

/// The Regions of which AWS says that a zone lacks Fargate or VPC links, and the zones that have both
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-vpc-links-v2.html>,
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html>).
const ZONES: [(&str, &[&str]); 8] = [
    ("us-east-1", &["use1-az1", "use1-az2", "use1-az4", "use1-az5", "use1-az6"]),
    ("us-west-1", &["usw1-az1", "usw1-az3"]),
    ("ap-east-1", &["ape1-az2", "ape1-az3"]),
    ("ap-northeast-1", &["apne1-az1", "apne1-az2", "apne1-az4"]),
    ("ap-northeast-2", &["apne2-az1", "apne2-az2", "apne2-az3"]),
    ("ca-central-1", &["cac1-az1", "cac1-az2"]),
    ("eu-west-3", &["euw3-az1", "euw3-az3"]),
    ("cn-north-1", &["cnn1-az1", "cnn1-az2"]),
];

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("stacks::what_one_imports_another_exports", exports),
        test("stacks::a_service_depends_on_what_its_tasks_need_of_the_network", dependencies),
        test("stacks::a_network_has_two_zones_with_everything", zones),
        test("stacks::a_service_has_one_network", networks),
        test("stacks::a_database_lets_in_the_clients_of_its_network", databases),
    ]
}

/// Which template a parameter `…Stack` names a stack of.
fn made_of(parameter: &str) -> Result<&'static str> {
    match parameter {
        "NetworkStack" => Ok("network.yaml"),
        "UsersStack" => Ok("users.yaml"),
        other => bail!("of which template is a stack that {other} names?"),
    }
}

fn body(file: &str) -> Result<Value> {
    template::load(&template::directory().join(file))
}

/// Every import in a value, as `${Parameter}-Name` or as what is left of it when the parameter is known.
fn imports<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            if let Some(import) = object.get("Fn::ImportValue") {
                found.extend(import.as_str().or_else(|| import["Fn::Sub"].as_str()));
            }
            object.values().for_each(|value| imports(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| imports(item, found)),
        _ => {}
    }
}

fn exports() -> Result<()> {
    let mut seen = BTreeSet::new();
    let files = ["api-backend-fargate.yaml", "api-backend.yaml", "database.yaml", "edge.yaml", "network.yaml"];
    for file in files.into_iter().chain(["users.yaml"]) {
        let template = body(file)?;
        let mut imported = BTreeSet::new();
        imports(&template, &mut imported);
        for import in imported {
            let (parameter, name) = import
                .strip_prefix("${")
                .and_then(|rest| rest.split_once("}-"))
                .with_context(|| format!("{file}: {import}"))?;
            let from = made_of(parameter)?;
            let export = format!("${{AWS::StackName}}-{name}");
            let found = &body(from)?["Outputs"][name]["Export"]["Name"]["Fn::Sub"];
            ensure!(*found == export.as_str(), "{file} imports {import}, and {from} exports {found} as {name}");
            seen.insert(from);
        }
    }
    ensure!(seen.len() == 2, "only stacks of {seen:?} are imported from");
    Ok(())
}

/// An export in use can neither change nor go, and a missing one fails at once. So each task depends on the export that says
/// that it can start, and with `ExecuteCommand` on the one that says that commands arrive.
/// Whether there is a service, which a new stack gets in its second update.
fn serves(rendered: &Rendered) -> bool {
    rendered.parameters["Serves"] == "true"
}

fn dependencies() -> Result<()> {
    let (mut seen, mut named) = (BTreeSet::new(), false);
    let fargate = rendered::all()?.iter().filter(|one| one.file == "api-backend-fargate.yaml");
    for Rendered { combination, parameters, template, .. } in fargate.filter(|one| serves(one)) {
        let mut service = BTreeSet::new();
        imports(&template["Resources"]["Service"], &mut service);
        let depends = |name: &str| service.contains(format!("example-network-{name}").as_str());
        let shared = parameters["NetworkStack"] == "example-network";
        let private = parameters["TaskSubnets"] == "PRIVATE";
        let commands = parameters["ExecuteCommand"] == "true";
        for (export, expected) in [
            ("PrivateEgressSubnetIds", shared && private),
            ("PublicSubnetIds", shared && !private),
            ("CommandAccess", shared && commands),
            ("ClientSecurityGroupId", shared),
        ] {
            ensure!(depends(export) == expected, "{combination}: {export} is imported, or is not: {service:?}");
        }
        ensure!(
            shared || service.is_empty(),
            "{combination}: a network of one's own needs no other stack: {service:?}"
        );
        // In a network of one's own the group of the clients is named.
        let group = parameters["ClientSecurityGroupId"].as_str();
        let groups = &template["Resources"]["Service"]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"];
        let groups = groups["SecurityGroups"].as_array().context("no security groups")?;
        let joins = groups.iter().any(|one| one == group);
        ensure!(joins != group.is_empty() && groups.len() == 1 + usize::from(shared || joins), "{groups:?}");
        named |= joins;
        seen.insert((shared, private, commands));
    }
    ensure!(seen.len() == 8 && named, "not every case is in the matrix: {seen:?}");
    Ok(())
}

fn zones() -> Result<()> {
    let network = body("network.yaml")?;
    let known = network["Mappings"]["Zones"].as_object().context("no zones")?;
    for (region, zones) in known {
        let given = BTreeMap::from([("AWS::Region".to_owned(), region.clone())]);
        let whole = render::render(&network, &given)?;
        let of = |subnet: &str, property: &str| whole["Resources"][subnet]["Properties"][property].clone();
        let subnets = ["PublicSubnetOne", "PublicSubnetTwo"];
        let Some((_, both)) = ZONES.iter().find(|(limited, _)| limited == region) else {
            ensure!(zones["First"] == "any" && zones["Second"] == "any", "{region}: AWS names no limit");
            let names = subnets.map(|subnet| of(subnet, "AvailabilityZone"));
            ensure!(names == [format!("{region}a"), format!("{region}b")], "{region}: {names:?}");
            continue;
        };
        let chosen = subnets.map(|subnet| of(subnet, "AvailabilityZoneId"));
        ensure!(chosen[0] != chosen[1], "{region}: {chosen:?}");
        for (subnet, zone) in subnets.iter().zip(&chosen) {
            let zone = zone.as_str().with_context(|| format!("{region}: {subnet} has no zone"))?;
            ensure!(both.contains(&zone), "{region}: {zone} lacks Fargate or VPC links");
            ensure!(of(subnet, "AvailabilityZone").is_null(), "{region}: {subnet} has its zone twice");
        }
    }
    for (region, _) in ZONES {
        ensure!(known.contains_key(region), "{region} is not known");
    }
    // By name they are the user's own.
    let given = [("AWS::Region", "us-east-1"), ("AvailabilityZones", "us-east-1b,us-east-1d")];
    let whole = render::render(&network, &given.map(|(name, value)| (name.to_owned(), value.to_owned())).into())?;
    let second = &whole["Resources"]["PublicSubnetTwo"]["Properties"];
    ensure!(second["AvailabilityZone"] == "us-east-1d" && second["AvailabilityZoneId"].is_null(), "{second}");
    Ok(())
}

fn networks() -> Result<()> {
    let fargate = body("api-backend-fargate.yaml")?;
    let image = format!("example.com/rest-api@sha256:{}", "0".repeat(64));
    let render = |more: &[(&str, &str)]| {
        let given = [("AWS::Region", "eu-central-1"), ("ContainerURI", &image), ("RepositoryName", "rest-api")];
        let given = given.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        render::render(&fargate, &given.collect())
    };
    let (id, range) = (("VpcId", "vpc-0123456789abcdef0"), ("VpcCidr", "10.1.0.0/16"));
    let private = ("PrivateSubnetIds", "subnet-0a,subnet-0b");
    let public = ("PublicSubnetIds", "subnet-0c,subnet-0d");
    let stack = ("NetworkStack", "example-network");
    let (internet, outside) = (("Connection", "INTERNET"), ("TaskSubnets", "PUBLIC"));
    for (given, expected) in [
        (&[][..], "a network is needed"),
        (&[stack, id, range, private], "exclude each other"),
        (&[id, private], "VpcId needs VpcCidr"),
        (&[id, range], "needs PrivateSubnetIds"),
        (&[id, range, public, outside], "needs PrivateSubnetIds"),
        (&[id, range, public, internet], "needs PrivateSubnetIds"),
        (&[id, range, private, internet], "needs PublicSubnetIds"),
        (&[id, range, private, outside], "needs PublicSubnetIds"),
        (&[id, range, ("PrivateSubnetIds", "subnet-0a")], "PrivateSubnetIds must not be"),
    ] {
        let refusal = render(given).err().map(|error| format!("{error:#}"));
        ensure!(refusal.as_ref().is_some_and(|refusal| refusal.contains(expected)), "{given:?}: {refusal:?}");
    }
    for given in [&[stack][..], &[id, range, private], &[id, range, public, internet, outside]] {
        render(given).with_context(|| format!("{given:?}"))?;
    }
    Ok(())
}

/// The same group that a service joins, so that neither has to know the other.
fn databases() -> Result<()> {
    let mut seen = BTreeSet::new();
    for Rendered { combination, parameters, template, .. } in
        rendered::all()?.iter().filter(|one| one.file == "database.yaml")
    {
        let shared = parameters["NetworkStack"] == "example-network";
        let taken = |name: &str| serde_json::json!({"Fn::ImportValue": format!("example-network-{name}")});
        let own = |name: &str| Value::from(parameters[name].as_str());
        let expected = if shared {
            [taken("VpcId"), taken("ClientSecurityGroupId")]
        } else {
            [own("VpcId"), own("ClientSecurityGroupId")]
        };
        let group = &template["Resources"]["SecurityGroup"]["Properties"];
        let source = &group["SecurityGroupIngress"][0]["SourceSecurityGroupId"];
        ensure!([&group["VpcId"], source] == [&expected[0], &expected[1]], "{combination}: {group}");
        let mut imported = BTreeSet::new();
        imports(&template["Resources"], &mut imported);
        let subnets = imported.contains("example-network-PrivateSubnetIds");
        ensure!(subnets == shared && (shared || imported.is_empty()), "{combination}: {imported:?}");
        seen.insert(shared);
    }
    ensure!(seen.len() == 2, "not every case is in the matrix: {seen:?}");
    Ok(())
}
