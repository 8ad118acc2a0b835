use super::*;

const TEMPLATE: &str = "
Metadata: {Release: {Proof: {Service: Service, Secret: S, Header: X-Proof, Rules: [Rule]}}}
Parameters:
  Word: {Type: String, NoEcho: true}
  Scales: {Type: String, Default: 'true'}
Conditions:
  Scales: !Equals [!Ref Scales, 'true']
Resources:
  Service: {Type: AWS::ECS::Service, Properties: {DesiredCount: 2}}
  Target: {Type: AWS::ApplicationAutoScaling::ScalableTarget, Condition: Scales}
  Rule: {Type: AWS::ElasticLoadBalancingV2::ListenerRule}
  Other: {Type: AWS::Any::Thing, Properties: {Text: !Sub 'x ${Word}', Ref: '{{resolve:secretsmanager:a}}', Items: [{A: b}]}}
";

fn judged(id: &str, kind: &str, path: &str, values: (&str, &str), scales: &str) -> Drift {
    let parameters = [("Word", HIDDEN), ("Scales", scales)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let differences =
        vec![ValueDifference { path: path.to_owned(), expected: values.0.to_owned(), actual: values.1.to_owned() }];
    let found =
        DriftedResource { logical_id: id.to_owned(), resource_type: kind.to_owned(), is_deleted: false, differences };
    DeployedTemplate::read(TEMPLATE, &parameters, "eu-central-1").classify(vec![found]).remove(0)
}

#[test]
fn expected_changes_do_not_count() {
    let rule = "AWS::ElasticLoadBalancingV2::ListenerRule";
    let weight = "/Actions/0/ForwardConfig/TargetGroups/0/Weight";
    for (id, kind, path, scales, counts) in [
        ("Rule", rule, weight, "true", false),
        ("Rule", rule, "/Actions/0/Type", "true", true),
        ("Another", rule, weight, "true", true),
        ("Service", "AWS::ECS::Service", "/DesiredCount", "true", false),
        ("Service", "AWS::ECS::Service", "/DesiredCount", "false", true),
        ("Service", "AWS::ECS::Service", "/PropagateTags", "true", true),
    ] {
        let drift = judged(id, kind, path, ("1", "0"), scales);
        assert_eq!(drift.counts(), counts, "{id} {path} {scales}: {drift}");
    }
    for (kind, path, versions, counts) in [
        ("AWS::RDS::DBInstance", "/EngineVersion", ("17", "17.6"), false),
        ("AWS::RDS::DBInstance", "/EngineVersion", ("\"17.4\"", "\"17.10\""), false),
        ("AWS::RDS::DBCluster", "/EngineVersion", ("17", "17.6"), false),
        ("AWS::RDS::DBInstance", "/EngineVersion", ("17", "18.1"), true),
        ("AWS::RDS::DBInstance", "/BackupRetentionPeriod", ("7", "7.0"), true),
        ("AWS::Any::Thing", "/EngineVersion", ("17", "17.6"), true),
    ] {
        assert_eq!(judged("Database", kind, path, versions, "true").counts(), counts, "{kind} {path} {versions:?}");
    }
    let drift = judged("Service", "AWS::ECS::Service", "/DesiredCount", ("2", "5"), "true");
    let text = "Service (AWS::ECS::Service) modified\n  /DesiredCount: 2 -> 5 (expected: auto scaling sets it)";
    assert_eq!(drift.to_string(), text);
}

#[test]
fn what_is_gone_counts() {
    let found = DriftedResource {
        logical_id: "Rule".to_owned(),
        resource_type: "AWS::ElasticLoadBalancingV2::ListenerRule".to_owned(),
        is_deleted: true,
        differences: Vec::new(),
    };
    let drift = DeployedTemplate::default().classify(vec![found]).remove(0);
    assert!(drift.counts());
    assert_eq!(drift.to_string(), "Rule (AWS::ElasticLoadBalancingV2::ListenerRule) deleted");
}

#[test]
fn values_that_may_be_secrets_are_not_shown() {
    for (path, actual) in [
        ("/Text", "\"x hunter2\""),
        ("/Ref", "\"hunter2\""),
        ("/DbPassword", "hunter2"),
        ("/ContainerDefinitions/0/Environment/0/Value", "hunter2"),
        ("/Conditions/0/HttpHeaderConfig/Values/0", "hunter2"),
        ("/Integration/RequestParameters", "{\"a\":\"hunter2\"}"),
        ("/Items/1", "{\"Name\":\"API_TOKEN\",\"Value\":\"hunter2\"}"),
    ] {
        let drift = judged("Other", "AWS::Any::Thing", path, ("a", actual), "true");
        let json = serde_json::to_string(&drift).unwrap();
        assert!(!format!("{drift} {json}").contains("hunter2") && drift.counts(), "{drift} {json}");
    }
    let shown = judged("Other", "AWS::Any::Thing", "/Items/0/A", ("b", "c\nd"), "true");
    assert!(shown.to_string().ends_with("/Items/0/A: b -> c d"), "{shown}");
    let long = judged("Other", "AWS::Any::Thing", "/Items/0/A", ("b", &"é".repeat(500)), "true");
    assert_eq!(long.properties[0].actual.as_ref().unwrap().chars().count(), LONGEST + 1);
}
