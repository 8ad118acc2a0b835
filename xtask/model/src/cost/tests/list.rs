//! The price list of `infra/README.md`: every line of it, computed from the templates.

use std::path::Path;

use super::{infra, infra_with_unknown};
use crate::cost::difference;

type Parameters = &'static [(&'static str, &'static str)];

const FARGATE: &str = "api-backend-fargate.yaml";
const NETWORK: &str = "network.yaml";
const DATABASE: &str = "database.yaml";

/// The cost of whole stacks.
const SUMS: &[(&str, Parameters)] = &[
    ("api-backend.yaml", &[]),
    ("api-backend.yaml", &[("Architecture", "arm64")]),
    (NETWORK, &[]),
    (NETWORK, &[("Egress", "NAT_GATEWAY_PER_ZONE")]),
    (NETWORK, &[("Egress", "ENDPOINTS")]),
    (NETWORK, &[("Egress", "PUBLIC_SUBNETS")]),
    (DATABASE, &[]),
    (DATABASE, &[("Kind", "AURORA_SERVERLESS")]),
    (FARGATE, &[]),
    (FARGATE, &[("TaskSubnets", "PUBLIC")]),
    (FARGATE, &[("TaskSubnets", "PUBLIC"), ("Connection", "INTERNET")]),
    (
        FARGATE,
        &[
            ("TaskSubnets", "PUBLIC"),
            ("Architecture", "arm64"),
            ("MinTasks", "1"),
            ("MaxTasks", "1"),
            ("SpotPercent", "100"),
            ("Dashboard", "false"),
        ],
    ),
    ("users.yaml", &[]),
    ("edge.yaml", &[]),
    ("bootstrap.yaml", &[]),
    ("pipeline.yaml", &[]),
];

/// The cost that an option adds to the defaults, and the resource that a plan names first for it.
const OPTIONS: &[(&str, Parameters, &str)] = &[
    (NETWORK, &[("Egress", "NAT_GATEWAY_PER_ZONE")], "NatGatewayTwo"),
    (NETWORK, &[("Egress", "ENDPOINTS")], "NatGateway"),
    (NETWORK, &[("Egress", "ENDPOINTS"), ("CommandEndpoint", "true")], "NatGateway"),
    (NETWORK, &[("Egress", "PUBLIC_SUBNETS")], "NatGateway"),
    (NETWORK, &[("FlowLogs", "ALL")], ""),
    (DATABASE, &[("InstanceClass", "db.t4g.small")], "Database"),
    (DATABASE, &[("StorageGigabytes", "100")], "Database"),
    (DATABASE, &[("MultiAz", "true")], "Database"),
    (DATABASE, &[("Kind", "AURORA_SERVERLESS")], "Database"),
    (DATABASE, &[("Kind", "AURORA_SERVERLESS"), ("MinCapacity", "0.5")], "ClusterInstance"),
    (FARGATE, &[("Architecture", "arm64")], "Service"),
    (FARGATE, &[("Cpu", "512"), ("Memory", "1024")], "Service"),
    (FARGATE, &[("MinTasks", "3")], "Service"),
    (FARGATE, &[("MaxTasks", "2")], "RequestScaling"),
    (FARGATE, &[("SpotPercent", "50")], "Service"),
    (FARGATE, &[("SpotPercent", "100")], "Service"),
    (FARGATE, &[("Strategy", "BLUE_GREEN")], "ProofSecret"),
    (FARGATE, &[("Strategy", "LINEAR")], "ProofSecret"),
    (FARGATE, &[("Strategy", "CANARY")], "ProofSecret"),
    (FARGATE, &[("ShiftReady", "true")], "ProofSecret"),
    (FARGATE, &[("TaskSubnets", "PUBLIC")], "Service"),
    (FARGATE, &[("Connection", "INTERNET")], "LoadBalancer"),
    (FARGATE, &[("CustomerManagedKey", "true")], "Key"),
    (FARGATE, &[("Dashboard", "false")], "SignalsDashboard"),
    (FARGATE, &[("Authorizer", "COGNITO"), ("UsersStack", "users")], ""),
    (FARGATE, &[("Authorizer", "IAM")], ""),
    (FARGATE, &[("ApiKey", "true")], ""),
    (FARGATE, &[("CorsOrigin", "https://app.example.com")], ""),
    (FARGATE, &[("AccessLogs", "true")], ""),
    (FARGATE, &[("Tracing", "true")], ""),
    (FARGATE, &[("ExecuteCommand", "true"), ("ReadonlyRootFilesystem", "false")], ""),
    ("users.yaml", &[("SmokeScopes", "api/access")], "MachineClient"),
    ("edge.yaml", &[("Waf", "true")], "Firewall"),
    ("edge.yaml", &[("CloudFront", "ON")], "CdnSecret"),
    ("edge.yaml", &[("CloudFront", "CACHE")], "CdnSecret"),
    ("edge.yaml", &[("Waf", "true"), ("CloudFront", "ON")], "Firewall"),
    ("edge.yaml", &[("DomainName", "api.example.com")], ""),
];

const REGIONS: [&str; 2] = ["us-east-1", "eu-central-1"];

#[test]
fn the_price_list_agrees_with_the_templates() {
    // What is free, or in the first list already, is in no list.
    let free = |price: &str| price.trim_start_matches(['+', '-']) == "0.00";
    let sums = SUMS.iter().filter_map(|(file, parameters)| {
        let [american, german] = REGIONS.map(|region| format!("{:.2}", infra(file, parameters, region).total(&[])));
        let listed = !free(&american) || *file == NETWORK;
        listed.then(|| format!("| `{file}`{} | {american} | {german} |", named(parameters)))
    });
    let options = OPTIONS.iter().filter_map(|(file, parameters, _)| {
        let [american, german] = REGIONS.map(|region| format!("{:+.2}", added(file, parameters, region)));
        let listed = !free(&american) && !SUMS.contains(&(*file, *parameters));
        listed.then(|| format!("| `{file}`{} | {american} | {german} |", named(parameters)))
    });
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for table in [sums.collect::<Vec<_>>().join("\n"), options.collect::<Vec<_>>().join("\n")] {
        assert!(readme.contains(&table), "infra/README.md should have these lines:\n{table}");
    }
}

#[test]
fn a_plan_shows_the_cost_of_each_option() {
    for (file, parameters, first) in OPTIONS {
        let (before, after) = (infra(file, &[], "us-east-1"), infra(file, parameters, "us-east-1"));
        let change = difference(Some(&before), &after);
        let named = change.items.first().map_or("", |item| item.resource.as_str());
        assert_eq!(named, *first, "{file} {parameters:?}: {change}");
        let says = if first.is_empty() { "no change of the fixed monthly cost" } else { first };
        assert!(change.to_string().contains(says), "{file} {parameters:?}: {change}");
    }
}

#[test]
fn resources_billed_by_metric_are_named() {
    let watched = infra_with_unknown(FARGATE, &[("ContainerInsights", "enhanced")], "us-east-1");
    let change = difference(Some(&infra(FARGATE, &[], "us-east-1")), &watched).to_string();
    assert!(change.ends_with("; without Cluster (AWS::ECS::Cluster), of unknown price"), "{change}");
}

/// The cost that the parameters add to the defaults.
fn added(file: &str, parameters: Parameters, region: &str) -> f64 {
    difference(Some(&infra(file, &[], region)), &infra(file, parameters, region)).difference_usd
}

fn named(parameters: Parameters) -> String {
    parameters.iter().map(|(name, value)| format!(", `{name}: {value}`")).collect()
}
