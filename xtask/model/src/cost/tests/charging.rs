//! Every type that has a price, and every property that sets it.

use crate::cost::monthly;
use std::collections::BTreeMap;

/// The price of a resource in us-east-1, or why it is not known. `others` are in the same stack and not counted.
fn charge(kind: &str, properties: &str, others: &str) -> Result<f64, String> {
    let body = format!("Resources:\n  It:\n    Type: {kind}\n    Properties: {properties}\n{others}");
    let estimate = monthly(&body, &BTreeMap::new(), "us-east-1").unwrap();
    if let Some(unknown) = estimate.unknown.into_iter().find(|unknown| unknown.logical_id == "It") {
        return Err(unknown.reason);
    }
    let item = estimate.items.into_iter().find(|item| item.logical_id == "It");
    Ok((item.map_or(0.0, |item| item.monthly_usd) * 100.0).round() / 100.0)
}

#[track_caller]
fn is(kind: &str, properties: &str, expected: f64) {
    assert_eq!(charge(kind, properties, ""), Ok(expected), "{kind} {properties}");
}

#[track_caller]
fn is_unknown(kind: &str, properties: &str, others: &str, reason: &str) {
    assert_eq!(charge(kind, properties, others), Err(reason.to_owned()), "{kind} {properties}");
}

#[test]
fn types_with_a_fixed_price() {
    is("AWS::EC2::EIP", "{}", 3.65);
    is("AWS::EC2::NatGateway", "{}", 32.85);
    is("AWS::SecretsManager::Secret", "{}", 0.40);
    is("AWS::KMS::Key", "{}", 1.0);
    is("AWS::CloudWatch::CompositeAlarm", "{}", 0.50);
    is("AWS::CloudWatch::Dashboard", "{}", 3.0);
    is("AWS::Route53::HostedZone", "{}", 0.50);
}

#[test]
fn types_that_cost_by_use_or_nothing() {
    for kind in
        ["AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::EC2::Route", "AWS::Route53::RecordSet", "AWS::SSM::Parameter"]
    {
        is(kind, "{}", 0.0);
    }
    is("AWS::DynamoDB::Table", "{BillingMode: PAY_PER_REQUEST}", 0.0);
    is_unknown("AWS::DynamoDB::Table", "{}", "", "provisioned capacity");
    is_unknown("AWS::SSM::Parameter", "{Tier: Advanced}", "", "advanced tier");
    is_unknown("AWS::EC2::VPNGateway", "{}", "", "no price for this type");
}

#[test]
fn instances_cost_type_volume_and_address() {
    let instance = "AWS::EC2::Instance";
    is(instance, "{InstanceType: t3.micro}", 8.23);
    is(instance, "{InstanceType: t3.micro, BlockDeviceMappings: [{Ebs: {VolumeSize: 10}}]}", 8.59);
    is(instance, "{InstanceType: t3.micro, BlockDeviceMappings: [{Ebs: {VolumeSize: '10', VolumeType: gp3}}]}", 8.39);
    is(instance, "{InstanceType: t3.micro, NetworkInterfaces: [{AssociatePublicIpAddress: 'true'}]}", 11.88);
    let subnet = "  Net: {Type: AWS::EC2::Subnet, Properties: {MapPublicIpOnLaunch: true}}\n";
    assert_eq!(charge(instance, "{InstanceType: t3.micro, SubnetId: !Ref Net}", subnet), Ok(11.88));
    is_unknown(instance, "{}", "", "the instance type is not in the template");
    is_unknown(instance, "{InstanceType: p5.48xlarge}", "", "no price for p5.48xlarge");
    let disks = "{InstanceType: t3.micro, BlockDeviceMappings: [{Ebs: {VolumeType: io2}}]}";
    is_unknown(instance, disks, "", "no price for a volume of type io2");
}

#[test]
fn a_launch_template_fills_in_what_the_instance_leaves_out() {
    let template =
        "  Launch: {Type: AWS::EC2::LaunchTemplate, Properties: {LaunchTemplateData: {InstanceType: t4g.small}}}\n";
    let launch = "LaunchTemplate: {LaunchTemplateId: !Ref Launch}";
    assert_eq!(charge("AWS::EC2::Instance", &format!("{{{launch}}}"), template), Ok(12.90));
    assert_eq!(charge("AWS::EC2::Instance", &format!("{{{launch}, InstanceType: t3.micro}}"), template), Ok(8.23));
    let group = "AWS::AutoScaling::AutoScalingGroup";
    assert_eq!(charge(group, &format!("{{{launch}, MinSize: '1', DesiredCapacity: 3}}"), template), Ok(38.71));
    assert_eq!(charge(group, &format!("{{{launch}, MinSize: '2'}}"), template), Ok(25.81));
    is_unknown(group, &format!("{{{launch}}}"), template, "the number of instances is not in the template");
}

#[test]
fn volumes_cost_by_size_and_type() {
    is("AWS::EC2::Volume", "{Size: 100, VolumeType: gp3}", 8.0);
    is("AWS::EC2::Volume", "{Size: 100}", 10.0);
}

#[test]
fn interface_endpoints_cost_in_each_subnet_and_gateway_endpoints_nothing() {
    let endpoint = "AWS::EC2::VPCEndpoint";
    is(endpoint, "{VpcEndpointType: Interface, SubnetIds: [!Ref A, !Ref B]}", 14.60);
    is(endpoint, "{VpcEndpointType: Gateway}", 0.0);
    is(endpoint, "{}", 0.0);
}

#[test]
fn load_balancers_that_face_the_internet_cost_addresses() {
    let balancer = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    is(balancer, "{Scheme: internal, Subnets: [!Ref A, !Ref B]}", 16.43);
    is(balancer, "{Subnets: [!Ref A, !Ref B]}", 23.73);
    is(balancer, "{Type: network, SubnetMappings: [{SubnetId: !Ref A}]}", 20.08);
    is_unknown(balancer, "{Type: gateway}", "", "no price for a gateway load balancer");
}

#[test]
fn tasks_cost_by_size_number_processor_and_address() {
    let service = |properties: &str, task: &str, more: &str| {
        let task = format!("  Task: {{Type: AWS::ECS::TaskDefinition, Properties: {task}}}\n{more}");
        charge("AWS::ECS::Service", &format!("{{TaskDefinition: !Ref Task, {properties}}}"), &task)
    };
    let small = "{Cpu: '256', Memory: '512'}";
    assert_eq!(service("LaunchType: FARGATE", small, ""), Ok(9.01));
    assert_eq!(service("LaunchType: FARGATE, DesiredCount: 3", small, ""), Ok(27.03));
    let arm = "{Cpu: 256, Memory: 512, RuntimePlatform: {CpuArchitecture: ARM64}}";
    assert_eq!(service("LaunchType: FARGATE", arm, ""), Ok(7.21));
    let public = "NetworkConfiguration: {AwsvpcConfiguration: {AssignPublicIp: ENABLED}}";
    assert_eq!(service(&format!("LaunchType: FARGATE, DesiredCount: 2, {public}"), small, ""), Ok(25.32));
    assert_eq!(service("CapacityProviderStrategy: [{CapacityProvider: FARGATE}]", small, ""), Ok(9.01));
    assert_eq!(service("LaunchType: EC2", small, ""), Ok(0.0));
    let target = "  Target: {Type: AWS::ApplicationAutoScaling::ScalableTarget, Properties: {ServiceNamespace: ecs, \
                  MinCapacity: 2}}\n";
    assert_eq!(service("LaunchType: FARGATE", small, target), Ok(18.02));
    let strategy = |items: &str| service(&format!("CapacityProviderStrategy: [{items}], DesiredCount: 4"), small, "");
    let (on_demand, spot) = ("CapacityProvider: FARGATE, Weight", "CapacityProvider: FARGATE_SPOT, Weight");
    assert_eq!(strategy("{CapacityProvider: FARGATE_SPOT}"), Ok(10.81));
    assert_eq!(strategy(&format!("{{{on_demand}: 1}}, {{{spot}: 0}}")), Ok(36.04));
    assert_eq!(strategy(&format!("{{{on_demand}: '3'}}, {{{spot}: '1'}}")), Ok(29.73));
    assert_eq!(strategy(&format!("{{{on_demand}: 0}}, {{{spot}: 1}}")), Ok(10.81));
    let windows = "{Cpu: 1024, Memory: 2048, RuntimePlatform: {OperatingSystemFamily: WINDOWS_SERVER_2022_CORE}}";
    assert_eq!(service("LaunchType: FARGATE", windows, ""), Err("no price for Windows tasks".to_owned()));
    assert_eq!(
        service("LaunchType: FARGATE", "{}", ""),
        Err("the size of its tasks is not in the template".to_owned())
    );
    is_unknown("AWS::ECS::Service", "{LaunchType: FARGATE}", "", "its task definition is not in the template");
}

#[test]
fn alarms_cost_by_metric_and_period() {
    let alarm = "AWS::CloudWatch::Alarm";
    is(alarm, "{Period: 60}", 0.10);
    is(alarm, "{Period: 10}", 0.30);
    is(alarm, "{Metrics: [{Expression: a / b}, {MetricStat: {}}, {MetricStat: {}}]}", 0.20);
}

#[test]
fn target_tracking_costs_its_own_alarms() {
    let policy = "AWS::ApplicationAutoScaling::ScalingPolicy";
    is(policy, "{PolicyType: StepScaling}", 0.0);
    let tracked = "TargetTrackingScalingPolicyConfiguration: {PredefinedMetricSpecification: {}}";
    is(policy, &format!("{{{tracked}}}"), 0.20);
    let metrics = "CustomizedMetricSpecification: {Metrics: [{Expression: a}, {MetricStat: {}}, {MetricStat: {}}]}";
    is(policy, &format!("{{TargetTrackingScalingPolicyConfiguration: {{{metrics}}}}}"), 0.40);
}

#[test]
fn machine_clients_cost_and_container_insights_has_no_price() {
    let client = "AWS::Cognito::UserPoolClient";
    is(client, "{AllowedOAuthFlows: [code]}", 0.0);
    is(client, "{AllowedOAuthFlows: [client_credentials]}", 6.0);
    let cluster = |value: &str| format!("{{ClusterSettings: [{{Name: containerInsights, Value: {value}}}]}}");
    is("AWS::ECS::Cluster", "{}", 0.0);
    is("AWS::ECS::Cluster", &cluster("disabled"), 0.0);
    is_unknown("AWS::ECS::Cluster", &cluster("enhanced"), "", "Container Insights is billed by metric");
}

#[test]
fn web_acls_cost_by_rule() {
    is("AWS::WAFv2::WebACL", "{Rules: [{Name: a}, {Name: b}, {Name: c}]}", 8.0);
}

#[test]
fn a_stage_costs_its_cache() {
    let stage = "AWS::ApiGateway::Stage";
    is(stage, "{}", 0.0);
    is(stage, "{CacheClusterEnabled: false, CacheClusterSize: '6.1'}", 0.0);
    is(stage, "{CacheClusterEnabled: true}", 14.60);
    is(stage, "{CacheClusterEnabled: true, CacheClusterSize: '118'}", 1387.0);
    is_unknown(stage, "{CacheClusterEnabled: true, CacheClusterSize: '7'}", "", "no price for a cache of 7 GB");
}
