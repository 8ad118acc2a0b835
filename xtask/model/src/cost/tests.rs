use std::path::Path;

use super::*;

mod charging;
mod list;
pub mod matrix;

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// An estimate of one of the repository's own templates.
fn infra(file: &str, pairs: &[(&str, &str)], region: &str) -> Estimate {
    let estimate = infra_with_unknown(file, pairs, region);
    assert_eq!(estimate.unknown, [], "every type of {file} has a price or is free");
    estimate
}

fn infra_with_unknown(file: &str, pairs: &[(&str, &str)], region: &str) -> Estimate {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra").join(file);
    let mut given = parameters(pairs);
    given.insert("ContainerURI".to_owned(), format!("example.com/rest-api@sha256:{}", "0".repeat(64)));
    given.insert("NetworkStack".to_owned(), "network".to_owned());
    monthly(&std::fs::read_to_string(path).unwrap(), &given, region).unwrap()
}

#[track_caller]
fn costs(estimate: &Estimate, expected: f64) {
    let total = estimate.total(&[]);
    assert!((total - expected).abs() < 0.005, "{total:.2} instead of {expected}: {:#?}", estimate.items);
}

#[test]
fn an_instance_costs_itself_its_disk_and_its_address() {
    let file = "api-backend.yaml";
    costs(&infra(file, &[], "us-east-1"), 12.70);
    costs(&infra(file, &[], "eu-central-1"), 14.05);
    costs(&infra(file, &[("Architecture", "arm64")], "us-east-1"), 11.24);
    costs(&infra(file, &[("InstanceType", "t3.small"), ("VolumeSize", "30")], "us-east-1"), 21.73);
    let estimate = infra(file, &[], "us-east-1");
    let instance = estimate.item("EC2Instance").unwrap();
    assert_eq!(instance.what, "t3.micro, 12 GB gp3, public IPv4 address");
    assert_eq!(instance.resource_type, "AWS::EC2::Instance");
}

#[test]
fn a_service_costs_its_tasks() {
    let file = "api-backend-fargate.yaml";
    let fixed = |tasks| infra(file, &[("MinTasks", tasks), ("MaxTasks", tasks)], "us-east-1");
    assert_eq!(fixed("2").item("Service").unwrap().what, "2 × Fargate 0.25 vCPU 0.5 GB x86_64");
    assert_eq!(fixed("3").item("Service").unwrap().what, "3 × Fargate 0.25 vCPU 0.5 GB x86_64");
    let spot = infra(file, &[("SpotPercent", "75")], "us-east-1");
    let expected = "2 × Fargate 0.25 vCPU 0.5 GB x86_64, 75 % of them on Spot";
    assert_eq!(spot.item("Service").unwrap().what, expected);
}

#[test]
fn a_region_without_prices_is_marked_approximate() {
    let estimate = infra("api-backend.yaml", &[], "ap-southeast-2");
    costs(&estimate, infra("api-backend.yaml", &[], "eu-central-1").total(&[]));
    assert_eq!(
        estimate.basis,
        "on-demand list prices of eu-central-1 (approximate for ap-southeast-2) as of 2026-11, 730 h, without traffic"
    );
    assert!(difference(None, &estimate).to_string().starts_with("approximately 14 USD a month (+14: "));
}

#[test]
fn a_new_stack_costs_all_of_it() {
    let created = difference(None, &infra("api-backend-fargate.yaml", &[], "us-east-1"));
    insta::assert_snapshot!(
        created,
        @"about 38 USD a month (+38: Service +18.02, LoadBalancer +16.43, SignalsDashboard +3.00, …)"
    );
    assert_eq!((created.before_usd, created.difference_usd), (0.0, created.after_usd));
}

#[test]
fn a_change_names_what_costs_more_and_less() {
    let endpoints = infra("network.yaml", &[("Egress", "ENDPOINTS")], "us-east-1");
    let nat = infra("network.yaml", &[], "us-east-1");
    insta::assert_snapshot!(
        difference(Some(&endpoints), &nat),
        @"about 36 USD a month (-7.30: NatGateway +32.85, ImageEndpoint -14.60, LogEndpoint -14.60, …)"
    );
    insta::assert_snapshot!(
        difference(Some(&nat), &endpoints),
        @"about 44 USD a month (+7.30: NatGateway -32.85, ImageEndpoint +14.60, LogEndpoint +14.60, …)"
    );
    let small = infra("api-backend.yaml", &[("VolumeSize", "13")], "us-east-1");
    insta::assert_snapshot!(
        difference(Some(&infra("api-backend.yaml", &[], "us-east-1")), &small),
        @"about 13 USD a month (+0.08: EC2Instance +0.08)"
    );
}

#[test]
fn no_change_is_said() {
    let estimate = infra("api-backend.yaml", &[], "us-east-1");
    let other = infra("api-backend.yaml", &[("ContainerPort", "9000")], "us-east-1");
    let same = difference(Some(&estimate), &other);
    assert_eq!(same.to_string(), "no change of the fixed monthly cost (about 13 USD)");
    assert_eq!((same.difference_usd, same.items.len()), (0.0, 0));
}

#[test]
fn the_plan_has_the_difference_as_one_object() {
    let none = infra("network.yaml", &[("Egress", "PUBLIC_SUBNETS")], "us-east-1");
    let nat = infra("network.yaml", &[], "us-east-1");
    let object = serde_json::to_value(difference(Some(&none), &nat)).unwrap();
    assert_eq!(
        object,
        serde_json::json!({
            "before_usd": 0.0,
            "after_usd": 36.5,
            "difference_usd": 36.5,
            "items": [
                {"resource": "NatGateway", "what": "NAT gateway", "before_usd": 0.0, "after_usd": 32.85},
                {"resource": "NatAddress", "what": "public IPv4 address", "before_usd": 0.0, "after_usd": 3.65},
            ],
            "basis": "on-demand list prices of us-east-1 as of 2026-11, 730 h, without traffic",
        })
    );
}

#[test]
fn what_aws_expands_has_no_price() {
    let body = "
Transform: [AWS::LanguageExtensions, Mine]
Resources:
  Secret: {Type: AWS::SecretsManager::Secret}
  Fn::ForEach::Secrets: [Name, [a, b], {'${Name}': {Type: AWS::SecretsManager::Secret}}]
";
    let estimate = monthly(body, &BTreeMap::new(), "us-east-1").unwrap();
    costs(&estimate, 0.40);
    let expected = "without Mine (a macro), Fn::ForEach::Secrets (a loop), of unknown price";
    assert!(difference(None, &estimate).to_string().ends_with(expected), "{}", difference(None, &estimate));
}

#[test]
fn resources_without_a_price_are_named() {
    let body = "
Parameters: {Ami: {Type: String}}
Conditions: {Odd: !Equals [!Ref AWS::AccountId, '1']}
Resources:
  Database: {Type: AWS::DocDB::DBCluster}
  Secret: {Type: AWS::SecretsManager::Secret}
  Perhaps: {Type: AWS::KMS::Key, Condition: Odd}
";
    let estimate = monthly(body, &BTreeMap::new(), "us-east-1").unwrap();
    costs(&estimate, 0.40);
    let difference = difference(None, &estimate);
    insta::assert_snapshot!(
        difference,
        @"about 0 USD a month (+0.40: Secret +0.40); without Perhaps (AWS::KMS::Key), Database (AWS::DocDB::DBCluster), of unknown price"
    );
    let object = serde_json::to_value(&difference).unwrap();
    assert_eq!(object["unknown"][1]["resource"], "Database");
    assert_eq!(object["unknown"][1]["reason"], "no price for this type");
    assert!(monthly("a: [", &BTreeMap::new(), "us-east-1").is_err());
}

#[test]
fn what_is_unknown_on_one_side_is_neither_saved_nor_added() {
    let body = |mode: &str| {
        format!(
            "Resources:\n  Key: {{Type: AWS::KMS::Key}}\n  Stage: {{Type: AWS::ApiGateway::Stage, Properties: \
             {{CacheClusterEnabled: {mode}}}}}\n"
        )
    };
    let (known, unknown) = (body("true"), body("!ImportValue x"));
    let none = BTreeMap::new();
    for (before, after) in [(&known, &unknown), (&unknown, &known)] {
        let change = change(Some((before, &none)), (after, &none), "us-east-1").unwrap();
        assert_eq!((change.before_usd, change.after_usd, change.difference_usd), (1.0, 1.0, 0.0), "{after}");
        assert_eq!(change.items, []);
        assert_eq!(change.unknown.iter().map(|one| one.logical_id.as_str()).collect::<Vec<_>>(), ["Stage"]);
    }
    let without = "Resources: {Key: {Type: AWS::KMS::Key}}";
    let removed = change(Some((&unknown, &none)), (without, &none), "us-east-1").unwrap();
    insta::assert_snapshot!(
        removed,
        @"no change of the fixed monthly cost (about 1 USD); without Stage (AWS::ApiGateway::Stage), of unknown price"
    );
    assert_eq!(change(Some(("a: [", &none)), (without, &none), "us-east-1"), None, "what it costs now is not nothing");
}
