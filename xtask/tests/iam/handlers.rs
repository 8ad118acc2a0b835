//! What CloudFormation calls to create, read, update and delete a resource of each type that the templates have, as the
//! types' public schemas name it (October 2026).

/// Types with the actions of their handlers, by service.
pub(crate) const HANDLERS: &[(&str, &str)] = &[
    ("AWS::ApiGateway::ApiKey", "apigateway: DELETE GET PATCH POST PUT"),
    ("AWS::ApiGateway::Authorizer", "apigateway: DELETE GET PATCH POST; iam: PassRole"),
    ("AWS::ApiGateway::BasePathMapping", "apigateway: DELETE GET PATCH POST"),
    ("AWS::ApiGateway::Deployment", "apigateway: DELETE GET PATCH POST PUT"),
    ("AWS::ApiGateway::DomainName", "apigateway: DELETE GET PATCH POST PUT"),
    ("AWS::ApiGateway::GatewayResponse", "apigateway: DELETE GET PUT"),
    ("AWS::ApiGateway::Method", "apigateway: DELETE GET PUT; iam: PassRole"),
    ("AWS::ApiGateway::Resource", "apigateway: DELETE GET PATCH POST"),
    (
        "AWS::ApiGateway::RestApi",
        "apigateway: DELETE GET PATCH POST PUT UpdateRestApiPolicy; iam: PassRole; s3: GetObject",
    ),
    ("AWS::ApiGateway::Stage", "apigateway: DELETE GET PATCH POST PUT"),
    ("AWS::ApiGateway::UsagePlan", "apigateway: DELETE GET PATCH POST PUT"),
    ("AWS::ApiGateway::UsagePlanKey", "apigateway: DELETE GET POST"),
    (
        "AWS::ApiGatewayV2::VpcLink",
        "apigateway: DELETE GET PATCH POST TagResource unTagResource; iam: CreateServiceLinkedRole \
         DeleteServiceLinkedRole GetServiceLinkedRoleDeletionStatus",
    ),
    (
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "application-autoscaling: DeleteScheduledAction DeregisterScalableTarget DescribeScalableTargets \
         DescribeScheduledActions ListTagsForResource PutScheduledAction RegisterScalableTarget TagResource \
         UntagResource; cloudwatch: DeleteAlarms DescribeAlarms PutMetricAlarm; iam: CreateServiceLinkedRole \
         PassRole; lambda: DeleteProvisionedConcurrencyConfig GetProvisionedConcurrencyConfig \
         PutProvisionedConcurrencyConfig",
    ),
    (
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "application-autoscaling: DeleteScalingPolicy DescribeScalingPolicies PutScalingPolicy; cloudwatch: \
         GetMetricData",
    ),
    (
        "AWS::CloudFront::CachePolicy",
        "cloudfront: CreateCachePolicy DeleteCachePolicy GetCachePolicy UpdateCachePolicy",
    ),
    (
        "AWS::CloudFront::Distribution",
        "cloudfront: CreateConnectionGroup CreateDistribution CreateDistributionWithTags DeleteDistribution \
         GetConnectionGroup GetDistribution GetDistributionConfig GetVpcOrigin ListTagsForResource \
         TagResource UntagResource UpdateDistribution UpdateDistributionWithStagingConfig",
    ),
    (
        "AWS::CloudFront::Function",
        "cloudfront: CreateFunction DeleteFunction DescribeFunction GetFunction ListTagsForResource \
         PublishFunction TagResource UntagResource UpdateFunction",
    ),
    (
        "AWS::CloudWatch::Alarm",
        "cloudwatch: DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource",
    ),
    (
        "AWS::CloudWatch::Dashboard",
        "cloudwatch: DeleteDashboards GetDashboard ListTagsForResource PutDashboard TagResource UntagResource",
    ),
    (
        "AWS::Cognito::UserPool",
        "cognito-idp: AddCustomAttributes CreateUserPool DeleteUserPool DescribeUserPool GetUserPoolMfaConfig \
         ListTagsForResource SetUserPoolMfaConfig TagResource UntagResource UpdateUserPool; iam: \
         CreateServiceLinkedRole PassRole; kms: CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey \
         GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo",
    ),
    (
        "AWS::Cognito::UserPoolClient",
        "cognito-idp: CreateUserPoolClient DeleteUserPoolClient DescribeUserPoolClient \
         ListUserPoolClientSecrets UpdateUserPoolClient; iam: CreateServiceLinkedRole DeleteRolePolicy \
         PassRole PutRolePolicy",
    ),
    (
        "AWS::Cognito::UserPoolDomain",
        "cloudfront: updateDistribution; cognito-idp: CreateUserPoolDomain DeleteUserPoolDomain \
         DescribeUserPoolDomain UpdateUserPoolDomain; kms: CreateGrant Decrypt DescribeKey Encrypt \
         GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo",
    ),
    (
        "AWS::Cognito::UserPoolResourceServer",
        "cognito-idp: CreateResourceServer DeleteResourceServer DescribeResourceServer UpdateResourceServer",
    ),
    (
        "AWS::DynamoDB::Table",
        "dynamodb: CreateTable DeleteResourcePolicy DeleteTable DescribeContinuousBackups \
         DescribeContributorInsights DescribeImport DescribeKinesisStreamingDestination DescribeTable \
         DescribeTimeToLive DisableKinesisStreamingDestination EnableKinesisStreamingDestination \
         GetResourcePolicy ImportTable ListTagsOfResource PutResourcePolicy TagResource UntagResource \
         UpdateContinuousBackups UpdateContributorInsights UpdateKinesisStreamingDestination UpdateTable \
         UpdateTimeToLive",
    ),
    (
        "AWS::EC2::EIP",
        "ec2: AcceptAddressTransfer AllocateAddress AssociateAddress CreateTags DeleteTags DescribeAddresses \
         DisassociateAddress ReleaseAddress",
    ),
    (
        "AWS::EC2::Instance",
        "ec2: AssociateIamInstanceProfile AttachVolume CreateTags DeleteTags \
         DescribeIamInstanceProfileAssociations DescribeInstanceAttribute \
         DescribeInstanceCreditSpecifications DescribeInstances DescribeKeyPairs \
         DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeNetworkInterfaces \
         DescribeSecurityGroups DescribeSubnets DescribeVolumes DescribeVpcs DetachVolume \
         DisassociateIamInstanceProfile ModifyInstanceAttribute ModifyInstanceCreditSpecification \
         ModifyInstanceMaintenanceOptions ModifyInstanceMetadataOptions ModifyInstancePlacement \
         ModifyPrivateDnsNameOptions MonitorInstances ReplaceIamInstanceProfileAssociation RunInstances \
         StartInstances StopInstances TerminateInstances UnmonitorInstances; iam: PassRole; ssm: \
         CreateAssociation DeleteAssociation DescribeAssociation ListAssociations",
    ),
    (
        "AWS::EC2::InternetGateway",
        "ec2: CreateInternetGateway CreateTags DeleteInternetGateway DeleteTags DescribeInternetGateways",
    ),
    (
        "AWS::EC2::LaunchTemplate",
        "ec2: CreateLaunchTemplate CreateLaunchTemplateVersion CreateTags DeleteLaunchTemplate DeleteTags \
         DescribeLaunchTemplates",
    ),
    (
        "AWS::EC2::NatGateway",
        "ec2: AssignPrivateNatGatewayAddress AssociateNatGatewayAddress CreateNatGateway CreateTags \
         DeleteNatGateway DeleteTags DescribeNatGateways DisassociateNatGatewayAddress \
         UnassignPrivateNatGatewayAddress",
    ),
    ("AWS::EC2::Route", "ec2: CreateRoute DeleteRoute DescribeNetworkInterfaces DescribeRouteTables ReplaceRoute"),
    ("AWS::EC2::RouteTable", "ec2: CreateRouteTable CreateTags DeleteRouteTable DeleteTags DescribeRouteTables"),
    (
        "AWS::EC2::SecurityGroup",
        "ec2: AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags \
         DeleteSecurityGroup DeleteTags DescribeInstances DescribeSecurityGroups RevokeSecurityGroupEgress \
         RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress \
         UpdateSecurityGroupRuleDescriptionsIngress",
    ),
    (
        "AWS::EC2::Subnet",
        "ec2: AssociateSubnetCidrBlock CreateSubnet CreateTags DeleteSubnet DeleteTags DescribeNetworkAcls \
         DescribeSubnets DisassociateSubnetCidrBlock ModifySubnetAttribute",
    ),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        "ec2: AssociateRouteTable DescribeRouteTables DescribeSubnets DisassociateRouteTable \
         ReplaceRouteTableAssociation",
    ),
    (
        "AWS::EC2::VPC",
        "ec2: CreateTags CreateVpc CreateVpcEncryptionControl DeleteTags DeleteVpc DescribeNetworkAcls \
         DescribeSecurityGroups DescribeVpcAttribute DescribeVpcEncryptionControls DescribeVpcs \
         ModifyVpcAttribute ModifyVpcTenancy",
    ),
    (
        "AWS::EC2::VPCEndpoint",
        "ec2: CreateTags CreateVpcEndpoint DeleteTags DeleteVpcEndpoints DescribeSecurityGroups \
         DescribeSubnets DescribeVpcEndpoints DescribeVpcs ModifyVpcEndpoint; vpc-lattice: \
         CreateServiceNetworkVpcEndpointAssociation DescribeServiceNetworkVpcEndpointAssociation; vpce: \
         AllowMultiRegion",
    ),
    (
        "AWS::EC2::VPCGatewayAttachment",
        "ec2: AttachInternetGateway AttachVpnGateway DescribeInternetGateways DescribeVpnGateways \
         DetachInternetGateway DetachVpnGateway",
    ),
    (
        "AWS::ECS::Cluster",
        "ecs: CreateCluster DeleteCluster DescribeClusters ListTagsForResource PutAccountSetting \
         PutAccountSettingDefault PutClusterCapacityProviders TagResource UntagResource UpdateCluster \
         UpdateClusterSettings; iam: CreateServiceLinkedRole; kms: DescribeKey",
    ),
    (
        "AWS::ECS::Service",
        "ecs: CreateService DeleteService DescribeServiceDeployments DescribeServices ListServiceDeployments \
         ListTagsForResource StopServiceDeployment TagResource UntagResource UpdateService; iam: PassRole",
    ),
    (
        "AWS::ECS::TaskDefinition",
        "ecs: DeregisterTaskDefinition DescribeTaskDefinition ListTagsForResource RegisterTaskDefinition \
         TagResource UntagResource; iam: GetRole PassRole",
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        "cognito-idp: DescribeUserPoolClient; elasticloadbalancing: AddTags CreateListener DeleteListener \
         DescribeListenerAttributes DescribeListeners DescribeTags ModifyListener ModifyListenerAttributes \
         RemoveTags",
    ),
    (
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "cognito-idp: DescribeUserPoolClient; elasticloadbalancing: AddTags CreateRule DeleteRule \
         DescribeRules DescribeTags ModifyRule RemoveTags SetRulePriorities",
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "ec2: DescribeIpamPools; elasticloadbalancing: AddTags CreateLoadBalancer DeleteLoadBalancer \
         DescribeCapacityReservation DescribeLoadBalancerAttributes DescribeLoadBalancers DescribeTags \
         ModifyCapacityReservation ModifyIpPools ModifyLoadBalancerAttributes RemoveTags SetIpAddressType \
         SetSecurityGroups SetSubnets",
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "ec2: DescribeVpcs; elasticloadbalancing: AddTags CreateTargetGroup DeleteTargetGroup \
         DeregisterTargets DescribeTags DescribeTargetGroupAttributes DescribeTargetGroups \
         DescribeTargetHealth ModifyTargetGroup ModifyTargetGroupAttributes RegisterTargets RemoveTags",
    ),
    (
        "AWS::IAM::InstanceProfile",
        "iam: AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile \
         PassRole RemoveRoleFromInstanceProfile",
    ),
    (
        "AWS::IAM::Role",
        "iam: AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy \
         DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies \
         PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole \
         UpdateRoleDescription",
    ),
    (
        "AWS::KMS::Key",
        "kms: CreateKey DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation GetKeyPolicy \
         GetKeyRotationStatus ListResourceTags PutKeyPolicy ScheduleKeyDeletion TagResource UntagResource \
         UpdateKeyDescription",
    ),
    (
        "AWS::Logs::LogGroup",
        "firehose: TagDeliveryStream; logs: AssociateKmsKey CreateLogDelivery CreateLogGroup \
         DeleteDataProtectionPolicy DeleteIndexPolicy DeleteLogGroup DeleteResourcePolicy \
         DeleteRetentionPolicy DescribeIndexPolicies DescribeLogGroups DescribeResourcePolicies \
         DisassociateKmsKey GetDataProtectionPolicy ListTagsForResource PutBearerTokenAuthentication \
         PutDataProtectionPolicy PutIndexPolicy PutLogGroupDeletionProtection PutResourcePolicy \
         PutRetentionPolicy TagResource UntagResource; s3: REST.PUT.OBJECT",
    ),
    (
        "AWS::Route53::RecordSet",
        "route53: ChangeResourceRecordSets GetChange GetHostedZone ListHostedZones ListResourceRecordSets",
    ),
    (
        "AWS::SecretsManager::Secret",
        "secretsmanager: CreateSecret DeleteSecret DescribeSecret GetRandomPassword GetSecretValue \
         RemoveRegionsFromReplication ReplicateSecretToRegions TagResource UntagResource UpdateSecret",
    ),
    (
        "AWS::WAFv2::LoggingConfiguration",
        "firehose: ListDeliveryStreams; iam: CreateServiceLinkedRole DescribeOrganization; logs: \
         CreateLogDelivery DeleteLogDelivery DescribeLogGroups DescribeResourcePolicies PutResourcePolicy; \
         s3: GetBucketPolicy PutBucketPolicy; wafv2: DeleteLoggingConfiguration GetLoggingConfiguration \
         PutLoggingConfiguration",
    ),
    (
        "AWS::WAFv2::WebACL",
        "payments: GetConnectedAccount; wafv2: CreateWebACL DeleteWebACL GetWebACL ListTagsForResource \
         TagResource UntagResource UpdateWebACL",
    ),
    (
        "AWS::WAFv2::WebACLAssociation",
        "amplify: AssociateWebACL DisassociateWebACL GetWebACLForResource; apigateway: SetWebACL; apprunner: \
         AssociateWebAcl DescribeWebAclForService DisassociateWebAcl; appsync: AssociateWebACL \
         DisassociateWebACL GetWebACLForResource SetWebACL; bedrock-agentcore: GatewayAssociateWebACL \
         GatewayDisassociateWebACL GatewayGetWebACLForResource; cognito-idp: AssociateWebACL \
         DisassociateWebACL GetWebACLForResource; ec2: AssociateVerifiedAccessInstanceWebAcl \
         DescribeVerifiedAccessInstanceWebAclAssociations DisassociateVerifiedAccessInstanceWebAcl \
         GetVerifiedAccessInstanceWebAcl; elasticloadbalancing: CreateWebACLAssociation \
         DeleteWebACLAssociation GetLoadBalancerWebACL SetWebACL; wafv2: AssociateWebACL DisassociateWebACL \
         GetPermissionPolicy GetWebACL GetWebACLForResource PutPermissionPolicy",
    ),
];
