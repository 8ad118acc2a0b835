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
    is("AWS::EC2::NatGateway", "{AvailabilityMode: zonal}", 32.85);
    let regional = "a regional NAT gateway is billed in each zone that AWS chooses";
    is_unknown("AWS::EC2::NatGateway", "{AvailabilityMode: regional}", "", regional);
    is("AWS::SecretsManager::Secret", "{}", 0.40);
    is("AWS::SecretsManager::Secret", "{ReplicaRegions: [{Region: eu-west-1}]}", 0.80);
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
    is_unknown("AWS::SSM::Parameter", "{Tier: Intelligent-Tiering}", "", "the tier depends on its value");
    let provisioned = "{ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}}";
    is_unknown("AWS::Lambda::Version", provisioned, "", "no price for provisioned concurrency");
    is_unknown("AWS::DynamoDB::Table", "{BillingMode: !ImportValue x}", "", "its billing mode is only known at AWS");
    for kind in ["AWS::EC2::VPNGateway", "AWS::CloudFront::AnycastIpList", "AWS::CloudFront::DistributionTenant"] {
        is_unknown(kind, "{}", "", "no price for this type");
    }
    let distribution = "AWS::CloudFront::Distribution";
    let served =
        |method: &str| format!("{{DistributionConfig: {{ViewerCertificate: {{SslSupportMethod: {method}}}}}}}");
    is(distribution, &served("sni-only"), 0.0);
    is(distribution, "{DistributionConfig: {Enabled: true}}", 0.0);
    is_unknown(distribution, &served("vip"), "", "no price for dedicated IP addresses");
}

/// Subnets in which an instance has no public address, or one.
const SUBNETS: &str = "  Private: {Type: AWS::EC2::Subnet, Properties: {MapPublicIpOnLaunch: false}}
  Public: {Type: AWS::EC2::Subnet, Properties: {MapPublicIpOnLaunch: Yes}}
";

fn instance(properties: &str) -> Result<f64, String> {
    charge("AWS::EC2::Instance", &format!("{{SubnetId: !Ref Private, {properties}}}"), SUBNETS)
}

#[test]
fn instances_cost_type_volume_and_address() {
    assert_eq!(instance("InstanceType: t3.micro"), Ok(8.23));
    let disk = |disk: &str| instance(&format!("InstanceType: t3.micro, BlockDeviceMappings: [{disk}]"));
    assert_eq!(disk("{Ebs: {VolumeSize: 10}}"), Ok(8.59));
    assert_eq!(disk("{Ebs: {VolumeSize: '10', VolumeType: gp3}}"), Ok(8.39));
    assert_eq!(disk("{DeviceName: /dev/sdf, Ebs: {VolumeSize: 10, VolumeType: gp3}}"), Ok(9.03), "beside its root");
    assert_eq!(disk("{DeviceName: /dev/xvda, Ebs: {VolumeSize: 10, VolumeType: gp3}}"), Ok(8.39));
    assert_eq!(instance("InstanceType: t3.micro, NetworkInterfaces: [{AssociatePublicIpAddress: 'true'}]"), Ok(11.88));
    let public = "{InstanceType: t3.micro, SubnetId: !Ref Public}";
    assert_eq!(charge("AWS::EC2::Instance", public, SUBNETS), Ok(11.88));
}

#[test]
fn what_decides_an_instance_and_is_not_understood_makes_it_unknown() {
    let unknown = |properties: &str| instance(properties).unwrap_err();
    assert_eq!(unknown("Tenancy: default"), "the instance type is not in the template");
    assert_eq!(unknown("InstanceType: !Ref Elsewhere"), "the instance type is only known at AWS");
    assert_eq!(unknown("InstanceType: p5.48xlarge"), "no price for p5.48xlarge");
    let micro = |properties: &str| unknown(&format!("InstanceType: t3.micro, {properties}"));
    let disk = |disk: &str| micro(&format!("BlockDeviceMappings: [{disk}]"));
    assert_eq!(disk("{Ebs: {VolumeType: io2}}"), "no price for a volume of type io2");
    assert_eq!(disk("{Ebs: {VolumeSize: !Ref Elsewhere}}"), "the size of a volume is only known at AWS");
    assert_eq!(disk("{Ebs: {VolumeType: gp3, Iops: 4000}}"), "no price for Iops of a volume");
    assert_eq!(disk("{DeviceName: /dev/sdf, Ebs: {}}"), "the size of a volume is that of its snapshot");
    assert_eq!(micro("BlockDeviceMappings: !Ref Elsewhere"), "which disks it has is only known at AWS");
    assert_eq!(micro("Tenancy: dedicated"), "no price for dedicated machines");
    assert_eq!(micro("LaunchTemplate: {LaunchTemplateName: there}"), "its launch template is not in this template");
    assert_eq!(micro("ImageId: '{{resolve:ssm:/aws/service/ami-windows-latest/x}}'"), "no price for Windows");
    let elsewhere = "whether it has a public address is not in the template";
    is_unknown("AWS::EC2::Instance", "{InstanceType: t3.micro}", "", elsewhere);
    is_unknown("AWS::EC2::Instance", "{InstanceType: t3.micro, SubnetId: !Ref Elsewhere}", "", elsewhere);
}

#[test]
fn a_launch_template_fills_in_what_the_instance_leaves_out() {
    let template = format!(
        "  Launch: {{Type: AWS::EC2::LaunchTemplate, Properties: {{LaunchTemplateData: {{InstanceType: \
         t4g.small}}}}}}\n{SUBNETS}"
    );
    let launch = "LaunchTemplate: {LaunchTemplateId: !Ref Launch}";
    let one = |properties: &str| {
        let properties = format!("{{{launch}, SubnetId: !Ref Private, {properties}}}");
        charge("AWS::EC2::Instance", &properties, &template)
    };
    assert_eq!(one("Tenancy: default"), Ok(12.90));
    assert_eq!(one("InstanceType: t3.micro"), Ok(8.23));
    let group = |properties: &str| {
        let properties = format!("{{{launch}, {properties}}}");
        charge("AWS::AutoScaling::AutoScalingGroup", &properties, &template)
    };
    let private = "VPCZoneIdentifier: [!Ref Private]";
    assert_eq!(group(&format!("{private}, MinSize: '1', DesiredCapacity: 3")), Ok(38.71));
    assert_eq!(group(&format!("{private}, MinSize: '2'")), Ok(25.81));
    assert_eq!(group("VPCZoneIdentifier: [!Ref Public], MinSize: '2'"), Ok(33.11));
    let reason = |properties: &str| group(properties).unwrap_err();
    assert_eq!(reason(private), "the number of instances is not in the template");
    assert_eq!(
        reason(&format!("{private}, MinSize: 1, DesiredCapacity: !Ref Elsewhere")),
        "the number of instances is only known at AWS"
    );
    let mixed = "VPCZoneIdentifier: [!Ref Private, !Ref Public], MinSize: '2'";
    assert_eq!(reason(mixed), "whether it has a public address depends on the subnet");
}

#[test]
fn volumes_cost_by_size_and_type() {
    is("AWS::EC2::Volume", "{Size: 100, VolumeType: gp3}", 8.0);
    is("AWS::EC2::Volume", "{Size: 100}", 10.0);
    is_unknown("AWS::EC2::Volume", "{SnapshotId: snap-1}", "", "the size of a volume is that of its snapshot");
}

#[test]
fn interface_endpoints_cost_in_each_subnet_and_gateway_endpoints_nothing() {
    let endpoint = "AWS::EC2::VPCEndpoint";
    is(endpoint, "{VpcEndpointType: Interface, SubnetIds: [!Ref A, !Ref B]}", 14.60);
    is(endpoint, "{VpcEndpointType: Gateway}", 0.0);
    is(endpoint, "{}", 0.0);
    let unknown = |properties: &str, reason: &str| is_unknown(endpoint, properties, "", reason);
    let interface = "VpcEndpointType: Interface, SubnetIds:";
    unknown(&format!("{{{interface} !Ref Elsewhere}}"), "the number of its subnets is only known at AWS");
    unknown("{VpcEndpointType: !Ref Elsewhere}", "its type is only known at AWS");
    unknown("{VpcEndpointType: GatewayLoadBalancer}", "no price for an endpoint of type GatewayLoadBalancer");
}

#[test]
fn load_balancers_that_face_the_internet_cost_addresses() {
    let balancer = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    is(balancer, "{Scheme: internal, Subnets: [!Ref A, !Ref B]}", 16.43);
    is(balancer, "{Subnets: [!Ref A, !Ref B]}", 23.73);
    is(balancer, "{Type: network, SubnetMappings: [{SubnetId: !Ref A}]}", 20.08);
    is(balancer, "{Type: network, SubnetMappings: [{SubnetId: !Ref A, AllocationId: !GetAtt E.AllocationId}]}", 16.43);
    is(balancer, "{Scheme: internal, Subnets: !Split [',', !ImportValue x]}", 16.43);
    is(balancer, "{Subnets: !Split [',', !ImportValue x]}", 23.73);
    let reserved = "{Scheme: internal, MinimumLoadBalancerCapacity: {CapacityUnits: 100}}";
    is_unknown(balancer, reserved, "", "no price for reserved capacity");
    is_unknown(balancer, "{Type: gateway}", "", "no price for a gateway load balancer");
    is_unknown(
        balancer,
        "{Type: network, Subnets: !Split [',', !ImportValue x]}",
        "",
        "the number of its subnets is only known at AWS",
    );
    is_unknown(balancer, "{Scheme: !ImportValue x}", "", "its scheme is only known at AWS");
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
    let strategy = |items: &str| service(&format!("CapacityProviderStrategy: [{items}], DesiredCount: 4"), small, "");
    let (on_demand, spot) = ("CapacityProvider: FARGATE, Weight", "CapacityProvider: FARGATE_SPOT, Weight");
    assert_eq!(strategy("{CapacityProvider: FARGATE_SPOT}"), Ok(10.81));
    assert_eq!(strategy(&format!("{{{on_demand}: 1}}, {{{spot}: 0}}")), Ok(36.04));
    assert_eq!(strategy(&format!("{{{on_demand}: '3'}}, {{{spot}: '1'}}")), Ok(29.73));
    assert_eq!(strategy(&format!("{{{on_demand}: 0}}, {{{spot}: 1}}")), Ok(10.81));
    assert_eq!(strategy(&format!("{{{on_demand}: 0, Base: 1}}, {{{spot}: 1}}")), Ok(17.12), "one is not on Spot");
    let windows = "{Cpu: 1024, Memory: 2048, RuntimePlatform: {OperatingSystemFamily: WINDOWS_SERVER_2022_CORE}}";
    let words = "{Cpu: 1 vCPU, Memory: 2 GB}";
    assert_eq!(service("LaunchType: FARGATE, DesiredCount: 3", words, ""), Ok(108.12));
    let fargate = |task: &str| service("LaunchType: FARGATE", task, "").unwrap_err();
    assert_eq!(fargate(windows), "no price for Windows tasks");
    assert_eq!(fargate("{}"), "the size of its tasks is not in the template");
    let disk = "{Cpu: 256, Memory: 512, EphemeralStorage: {SizeInGiB: 50}}";
    assert_eq!(fargate(disk), "no price for a disk of more than 20 GiB");
    let volumes = "LaunchType: EC2, VolumeConfigurations: [{Name: data, ManagedEBSVolume: {SizeInGiB: 100}}]";
    assert_eq!(service(volumes, small, ""), Err("no price for the volumes of its tasks".to_owned()));
    is_unknown("AWS::ECS::Service", "{LaunchType: FARGATE}", "", "its task definition is not in the template");
}

#[test]
fn where_tasks_run_is_known_or_the_price_is_not() {
    let task = "  Task: {Type: AWS::ECS::TaskDefinition, Properties: {NetworkMode: awsvpc, Cpu: 256, Memory: 512}}\n";
    let service = |properties: &str, more: &str| {
        charge("AWS::ECS::Service", &format!("{{TaskDefinition: !Ref Task, {properties}}}"), &format!("{task}{more}"))
    };
    let cluster = |properties: &str| format!("  Cluster: {{Type: AWS::ECS::Cluster, Properties: {properties}}}\n");
    let default = "{DefaultCapacityProviderStrategy: [{CapacityProvider: FARGATE, Weight: 1}]}";
    assert_eq!(service("Cluster: !Ref Cluster", &cluster(default)), Ok(9.01));
    assert_eq!(service("Cluster: !GetAtt Cluster.Arn, DesiredCount: 2", &cluster(default)), Ok(18.02));
    assert_eq!(service("Cluster: !Ref Cluster", &cluster("{}")), Ok(0.0), "instances are the default");
    let association = "  Association: {Type: AWS::ECS::ClusterCapacityProviderAssociations, Properties: {Cluster: !Ref \
                       Cluster, DefaultCapacityProviderStrategy: [{CapacityProvider: FARGATE_SPOT, Weight: 1}]}}\n";
    assert_eq!(service("Cluster: !Ref Cluster", &(cluster("{}") + association)), Ok(2.70));
    let outside = "the default capacity providers of its cluster are not in the template".to_owned();
    assert_eq!(service("Cluster: default", ""), Err(outside));
    let unknown = |properties: &str, more: &str| service(properties, more).unwrap_err();
    assert_eq!(unknown("LaunchType: !ImportValue x", ""), "its launch type is only known at AWS");
    assert_eq!(unknown("LaunchType: MANAGED_INSTANCES", ""), "no price for tasks of launch type MANAGED_INSTANCES");
    assert_eq!(
        unknown("LaunchType: FARGATE, DesiredCount: !ImportValue x", ""),
        "the number of its tasks is only known at AWS"
    );
    let strategy = |items: &str| format!("CapacityProviderStrategy: {items}");
    let own = "  Own: {Type: AWS::ECS::CapacityProvider}\n";
    assert_eq!(service(&strategy("[{CapacityProvider: !Ref Own}]"), own), Ok(0.0), "its instances are counted");
    is_unknown("AWS::ECS::CapacityProvider", "{ManagedInstancesProvider: {}}", "", "ECS chooses its instances");
    let both = strategy("[{CapacityProvider: !Ref Own, Weight: 1}, {CapacityProvider: FARGATE, Weight: 1}]");
    assert_eq!(unknown(&both, own), "its tasks are divided between Fargate and instances");
    let which = "which capacity providers it uses is only known at AWS";
    assert_eq!(unknown(&strategy("!ImportValue x"), ""), which);
    assert_eq!(unknown(&strategy("[{CapacityProvider: !ImportValue x}]"), ""), which);
}

#[test]
fn a_scalable_target_counts_for_the_service_that_it_names() {
    let others = |path: &str| {
        format!(
            "  Task: {{Type: AWS::ECS::TaskDefinition, Properties: {{Cpu: 256, Memory: 512}}}}\n  Target: {{Type: \
             AWS::ApplicationAutoScaling::ScalableTarget, Properties: {{ServiceNamespace: ecs, MinCapacity: 2, \
             ResourceId: {path}}}}}\n  Cluster: {{Type: AWS::ECS::Cluster}}\n"
        )
    };
    let service = |properties: &str, path: &str| {
        let properties = format!("{{TaskDefinition: !Ref Task, LaunchType: FARGATE, ServiceName: api{properties}}}");
        charge("AWS::ECS::Service", &properties, &others(path))
    };
    for own in ["!Sub 'service/${Cluster}/${It.Name}'", "!Join ['/', [service, !Ref Cluster, !GetAtt It.Name]]"] {
        assert_eq!(service("", own), Ok(18.02), "{own}");
        assert_eq!(service(", DesiredCount: 1", own), Ok(18.02), "no fewer than that: {own}");
        assert_eq!(service(", DesiredCount: 3", own), Ok(27.03), "{own}");
    }
    assert_eq!(service("", "service/main/api"), Ok(18.02));
    assert_eq!(service("", "!Sub 'service/${Cluster}/api'"), Ok(18.02));
    for other in ["service/main/other", "!Sub 'service/${Cluster}/${Other.Name}'", "!Sub 'service/${Cluster}/other'"] {
        assert_eq!(service("", other), Ok(9.01), "{other}");
    }
}

#[test]
fn alarms_cost_by_metric_and_period() {
    let alarm = "AWS::CloudWatch::Alarm";
    is(alarm, "{Period: 60}", 0.10);
    is(alarm, "{Period: 10}", 0.30);
    is(alarm, "{Metrics: [{Expression: a / b}, {MetricStat: {}}, {MetricStat: {}}]}", 0.20);
    is(alarm, "{Metrics: [{MetricStat: {Period: 10}}]}", 0.30);
    let unknown = "how many metrics it evaluates is only known at AWS";
    is_unknown(alarm, "{Metrics: [{Expression: SELECT MAX(a) FROM b}]}", "", unknown);
    is_unknown(alarm, "{Period: !ImportValue x}", "", "its period is only known at AWS");
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
fn databases_cost_class_storage_and_standby() {
    let database = |more: &str| {
        let given = "Engine: postgres, DBInstanceClass: db.t4g.micro, AllocatedStorage: '20', StorageType: gp3";
        charge("AWS::RDS::DBInstance", &format!("{{{given}{more}}}"), "")
    };
    let unknown = |more: &str| database(more).unwrap_err();
    assert_eq!(database(""), Ok(13.98));
    assert_eq!(database(", MultiAZ: false, BackupRetentionPeriod: 7"), Ok(13.98));
    assert_eq!(database(", MultiAZ: 'true'"), Ok(27.96));
    assert_eq!(unknown(", MultiAZ: !ImportValue x"), "whether it has a standby is only known at AWS");
    assert_eq!(unknown(", Iops: 12000"), "no price for Iops of a database");
    assert_eq!(unknown(", PerformanceInsightsRetentionPeriod: 31"), {
        "no price for PerformanceInsightsRetentionPeriod of a database"
    });
    let other = |given: &str, reason: &str| is_unknown("AWS::RDS::DBInstance", given, "", reason);
    other("{Engine: postgres}", "the instance class is not in the template");
    other("{DBInstanceClass: db.t4g.micro}", "its engine is not in the template");
    other("{Engine: mysql, DBInstanceClass: db.t4g.micro}", "no price for db.t4g.micro of mysql");
    other("{Engine: postgres, DBInstanceClass: db.m7g.large}", "no price for db.m7g.large");
    let storage = "no price for storage other than gp3 of a given size";
    other("{Engine: postgres, DBInstanceClass: db.t4g.micro, AllocatedStorage: '20'}", storage);
    other("{Engine: postgres, DBInstanceClass: db.t4g.micro, StorageType: gp3}", storage);
}

#[test]
fn aurora_costs_its_least_capacity() {
    let instance = |class: &str, cluster: &str| {
        let given =
            format!("{{Engine: aurora-postgresql, DBInstanceClass: {class}, DBClusterIdentifier: !Ref Cluster}}");
        let cluster = format!("  Cluster: {{Type: AWS::RDS::DBCluster, Properties: {{{cluster}}}}}\n");
        charge("AWS::RDS::DBInstance", &given, &cluster)
    };
    let least = |least: &str| format!("ServerlessV2ScalingConfiguration: {{MinCapacity: {least}, MaxCapacity: 4}}");
    assert_eq!(instance("db.serverless", &least("0")), Ok(0.0), "paused");
    assert_eq!(instance("db.serverless", &least("0.5")), Ok(43.80));
    assert_eq!(instance("db.serverless", &least("'2'")), Ok(175.20));
    let unknown = |class: &str, cluster: &str| instance(class, cluster).unwrap_err();
    assert_eq!(unknown("db.serverless", ""), "its least capacity is not in the template");
    assert_eq!(unknown("db.serverless", &least("!ImportValue x")), "its least capacity is only known at AWS");
    let optimized = format!("StorageType: aurora-iopt1, {}", least("1"));
    assert_eq!(unknown("db.serverless", &optimized), "no price for storage other than Aurora's standard");
    assert_eq!(unknown("db.r6g.large", ""), "no price for db.r6g.large of aurora-postgresql");
    let elsewhere = "{Engine: aurora-postgresql, DBInstanceClass: db.serverless, DBClusterIdentifier: there}";
    is_unknown("AWS::RDS::DBInstance", elsewhere, "", "its cluster is not in the template");
    is("AWS::RDS::DBCluster", "{Engine: aurora-postgresql}", 0.0);
    is_unknown("AWS::RDS::DBCluster", "{DBClusterInstanceClass: db.m6gd.large}", "", "no price for this type");
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
    let acl = "AWS::WAFv2::WebACL";
    is(acl, "{Rules: [{Name: a}, {Name: b}, {Name: c}]}", 8.0);
    let paid = "{Rules: [{Statement: {ManagedRuleGroupStatement: {Name: AWSManagedRulesBotControlRuleSet}}}]}";
    is_unknown(acl, paid, "", "no price for the rules of BotControl");
    is_unknown(acl, "{Rules: !ImportValue x}", "", "the number of its rules is only known at AWS");
}

#[test]
fn a_stage_costs_its_cache() {
    let stage = "AWS::ApiGateway::Stage";
    is(stage, "{}", 0.0);
    is(stage, "{CacheClusterEnabled: false, CacheClusterSize: '6.1'}", 0.0);
    is(stage, "{CacheClusterEnabled: true}", 14.60);
    is(stage, "{CacheClusterEnabled: true, CacheClusterSize: '118'}", 1387.0);
    is_unknown(stage, "{CacheClusterEnabled: true, CacheClusterSize: '7'}", "", "no price for a cache of 7 GB");
    let deployment = |enabled: &str| format!("{{StageDescription: {{CacheClusterEnabled: {enabled}}}}}");
    is("AWS::ApiGateway::Deployment", "{}", 0.0);
    is("AWS::ApiGateway::Deployment", &deployment("false"), 0.0);
    let created = "no price for the cache of a stage that a deployment creates";
    is_unknown("AWS::ApiGateway::Deployment", &deployment("true"), "", created);
    let open = "whether its stage has a cache is only known at AWS";
    is_unknown("AWS::ApiGateway::Deployment", &deployment("!ImportValue x"), "", open);
    is_unknown("AWS::ApiGateway::Deployment", "{StageDescription: !ImportValue x}", "", open);
}
