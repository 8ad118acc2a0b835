//! The table of all actions that the tool calls, with their access levels.

use super::Level;
use super::scope::Scope;

/// Actions that go together. A `Sid` has letters and digits only.
pub(super) struct Grant {
    pub(super) sid: &'static str,
    /// The lowest level that has it.
    pub(super) level: Level,
    pub(super) scope: Scope,
    pub(super) actions: &'static [&'static str],
}

pub(super) const ALL: &[Grant] = &[
    Grant {
        sid: "WhoCalls",
        level: Level::Read,
        // Supports no resource. (AWS needs no permission for it; emulators that check permissions do.)
        scope: Scope::Any,
        actions: &["sts:GetCallerIdentity"],
    },
    Grant {
        sid: "Images",
        level: Level::Read,
        scope: Scope::Repository,
        actions: &["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy"],
    },
    Grant {
        sid: "Stack",
        level: Level::Read,
        scope: Scope::Stack,
        actions: &[
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ],
    },
    Grant {
        sid: "ChangeSets",
        level: Level::Read,
        scope: Scope::ChangeSets,
        actions: &["cloudformation:DescribeChangeSet", "cloudformation:DescribeEvents"],
    },
    Grant {
        sid: "Memory",
        level: Level::Read,
        scope: Scope::Parameters,
        actions: &["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath"],
    },
    Grant {
        sid: "Tasks",
        level: Level::Read,
        scope: Scope::Tasks,
        actions: &[
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
        ],
    },
    // What there is to know of a secret besides its value: supports no resource, or none that is known.
    Grant {
        sid: "SecretVersions",
        level: Level::Read,
        scope: Scope::Region,
        actions: &["secretsmanager:DescribeSecret", "ssm:DescribeParameters"],
    },
    Grant { sid: "TaskList", level: Level::Read, scope: Scope::Cluster, actions: &["ecs:ListTasks"] },
    // Policies cannot restrict task definitions.
    Grant { sid: "TaskDefinition", level: Level::Read, scope: Scope::Any, actions: &["ecs:DescribeTaskDefinition"] },
    // CloudFormation detects drift with the caller's permissions. AWS chooses most of the names.
    Grant { sid: "Configuration", level: Level::Read, scope: Scope::Region, actions: CONFIGURATION },
    Grant { sid: "GatewayConfiguration", level: Level::Read, scope: Scope::Gateway, actions: &["apigateway:GET"] },
    Grant {
        sid: "RoleConfiguration",
        level: Level::Read,
        scope: Scope::Roles,
        actions: &[
            "iam:GetInstanceProfile",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ],
    },
    // Integrations and the rules of a listener show the secret header between API and backend.
    Grant { sid: "Integrations", level: Level::Plan, scope: Scope::RestApis, actions: &["apigateway:GET"] },
    Grant {
        sid: "ListenerRules",
        level: Level::Plan,
        scope: Scope::Region,
        actions: &["elasticloadbalancing:DescribeRules"],
    },
    // Supports no resource either.
    Grant { sid: "SignIn", level: Level::Plan, scope: Scope::Any, actions: &["ecr:GetAuthorizationToken"] },
    Grant {
        sid: "Push",
        level: Level::Plan,
        // The engine makes these calls, with the token.
        scope: Scope::Repository,
        actions: &[
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ],
    },
    Grant {
        sid: "Proposals",
        level: Level::Plan,
        scope: Scope::ChangedChangeSets,
        actions: &[
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            // The stack's tags go with the change set.
            "cloudformation:TagResource",
        ],
    },
    Grant {
        sid: "Repository",
        level: Level::Release,
        scope: Scope::Repository,
        actions: &[
            "ecr:BatchDeleteImage",
            "ecr:CreateRepository",
            "ecr:DeleteRepository",
            "ecr:PutLifecyclePolicy",
            // The repository is created with a tag.
            "ecr:TagResource",
        ],
    },
    Grant {
        sid: "StackChanges",
        level: Level::Release,
        scope: Scope::ChangedStack,
        actions: &[
            "cloudformation:CancelUpdateStack",
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:DeleteStack",
            "cloudformation:RollbackStack",
        ],
    },
    // Support no resource. `destroy` asks the first of a stack with exports, `sweep` the second.
    Grant {
        sid: "Lists",
        level: Level::Release,
        scope: Scope::Any,
        actions: &["cloudformation:ListImports", "cloudformation:ListStacks"],
    },
    Grant {
        sid: "Execution",
        level: Level::Release,
        scope: Scope::ChangedChangeSets,
        actions: &["cloudformation:ExecuteChangeSet"],
    },
    Grant {
        sid: "MemoryChanges",
        level: Level::Release,
        scope: Scope::Parameters,
        actions: &["ssm:DeleteParameter", "ssm:DeleteParameters", "ssm:PutParameter"],
    },
    // Values are written, and never read.
    Grant {
        sid: "SecretChanges",
        level: Level::Release,
        scope: Scope::SecretValues,
        actions: &["ssm:DeleteParameter", "ssm:PutParameter"],
    },
    Grant {
        sid: "Logs",
        level: Level::Release,
        scope: Scope::LogGroups,
        actions: &["logs:FilterLogEvents", "logs:GetLogEvents"],
    },
    Grant {
        sid: "TaskChanges",
        level: Level::Release,
        scope: Scope::Tasks,
        actions: &["ecs:ContinueServiceDeployment", "ecs:StopTask"],
    },
    // Tasks of one command: `run`, and `before_release`.
    Grant { sid: "Commands", level: Level::Release, scope: Scope::Definitions, actions: &["ecs:RunTask"] },
    // Policies cannot restrict these two.
    Grant {
        sid: "CommandDefinitions",
        level: Level::Release,
        scope: Scope::Region,
        actions: &["ecs:DeregisterTaskDefinition", "ecs:RegisterTaskDefinition"],
    },
    Grant { sid: "CommandTags", level: Level::Release, scope: Scope::Commands, actions: &["ecs:TagResource"] },
    Grant { sid: "CommandRoles", level: Level::Release, scope: Scope::TaskRoles, actions: &["iam:PassRole"] },
    // The rest is called only if the stack has such a resource: a deployment that waits for its verification, an API
    // that requires authentication.
    Grant {
        sid: "ProofHeader",
        level: Level::Release,
        scope: Scope::Secrets,
        actions: &["secretsmanager:GetSecretValue"],
    },
    // Secrets Manager decrypts it with the caller's permission.
    Grant { sid: "ProofKey", level: Level::Release, scope: Scope::Keys, actions: &["kms:Decrypt"] },
    Grant { sid: "ApiKey", level: Level::Release, scope: Scope::ApiKeys, actions: &["apigateway:GET"] },
    Grant {
        sid: "SmokeUser",
        level: Level::Release,
        scope: Scope::UserPools,
        actions: &[
            "cognito-idp:AdminCreateUser",
            "cognito-idp:AdminDeleteUser",
            "cognito-idp:AdminInitiateAuth",
            "cognito-idp:AdminSetUserPassword",
            "cognito-idp:DescribeUserPoolClient",
        ],
    },
    Grant { sid: "SmokeTest", level: Level::Release, scope: Scope::Api, actions: &["execute-api:Invoke"] },
    Grant { sid: "Console", level: Level::Release, scope: Scope::Instances, actions: &["ec2:GetConsoleOutput"] },
    Grant {
        sid: "Provider",
        level: Level::Release,
        scope: Scope::Provider,
        actions: &["iam:GetOpenIDConnectProvider"],
    },
    Grant { sid: "ApiAccount", level: Level::Release, scope: Scope::ApiAccount, actions: &["apigateway:GET"] },
    // A template that is too long for the call. CloudFormation reads it with the caller's permission.
    Grant {
        sid: "TemplatesBucket",
        level: Level::Read,
        scope: Scope::TemplatesBucket,
        actions: &["s3:GetBucketLocation"],
    },
    Grant { sid: "Templates", level: Level::Plan, scope: Scope::Templates, actions: &["s3:GetObject", "s3:PutObject"] },
    // What `diff`, `drift` and the check of the image's scan read.
    Grant { sid: "Scan", level: Level::Read, scope: Scope::Repository, actions: &["ecr:DescribeImageScanFindings"] },
    // Public schemas, and the state of a detection, which only has an id.
    Grant {
        sid: "Types",
        level: Level::Read,
        scope: Scope::Any,
        actions: &[
            "cloudformation:BatchDescribeTypeConfigurations",
            "cloudformation:DescribeStackDriftDetectionStatus",
            "cloudformation:DescribeType",
        ],
    },
    Grant {
        sid: "Drift",
        level: Level::Read,
        scope: Scope::Stack,
        actions: &[
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift",
            // CloudFormation requires it too, for each resource.
            "cloudformation:DetectStackResourceDrift",
        ],
    },
];

/// Passing the execution role to CloudFormation, in an environment that has one.
pub(super) const PASS: Grant =
    Grant { sid: "PassTheExecutionRole", level: Level::Plan, scope: Scope::ExecutionRole, actions: &["iam:PassRole"] };

/// Encrypting with the customer's key, in an environment that has one.
pub(super) const ENCRYPT: Grant =
    Grant { sid: "SecretsKey", level: Level::Release, scope: Scope::SecretsKey, actions: &["kms:Encrypt"] };

/// What CloudFormation reads to detect drift, for the templates' resources whose names AWS chooses. Without the rules
/// of a listener, which show a secret header.
const CONFIGURATION: &[&str] = &[
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "application-autoscaling:ListTagsForResource",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetDashboard",
    "cloudwatch:ListTagsForResource",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeIamInstanceProfileAssociations",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstanceCreditSpecifications",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "ecs:DescribeClusters",
    "ecs:ListTagsForResource",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetDataProtectionPolicy",
    "logs:ListTagsForResource",
    "rds:DescribeDBClusterParameterGroups",
    "rds:DescribeDBClusterParameters",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBParameterGroups",
    "rds:DescribeDBParameters",
    "rds:DescribeDBSubnetGroups",
    "rds:ListTagsForResource",
    "ssm:DescribeAssociation",
    "ssm:ListAssociations",
];
