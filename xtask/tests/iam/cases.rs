//! What each role has to be able to do, and what none of them may: one table for evaluator and emulator.

#[path = "levels.rs"]
pub(crate) mod levels;

use std::collections::BTreeMap;

use super::evaluate::Request;
use super::roles::{BOUNDARY, CHANGED_NEED, EXECUTION, READ_NEED, REGION, Role, Roles, STACK};

/// Whose attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Reader,
    Planner,
    Pipeline,
    CloudFormation,
    Task,
    TaskExecution,
    Instance,
}

/// One attempt, and whether it has to succeed.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) who: Who,
    pub(crate) action: &'static str,
    pub(crate) resource: String,
    pub(crate) context: Vec<(&'static str, String)>,
    pub(crate) allowed: bool,
}

impl Case {
    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.context.push((key, value.to_owned()));
        self
    }

    pub(crate) fn request(&self) -> Request<'_> {
        let region = ("aws:RequestedRegion", REGION);
        let context = self.context.iter().map(|(key, value)| (*key, value.as_str()));
        let context: BTreeMap<&str, &str> = std::iter::once(region).chain(context).collect();
        Request { action: self.action, resource: &self.resource, context }
    }
}

impl Who {
    pub(crate) fn role(self, roles: &Roles) -> &Role {
        match self {
            Self::Reader => &roles.read,
            Self::Planner => &roles.plan,
            Self::Pipeline => &roles.deploy,
            Self::CloudFormation => &roles.execution,
            Self::Task => &roles.task,
            Self::TaskExecution => &roles.task_execution,
            Self::Instance => &roles.instance,
        }
    }
}

/// The tag by which CloudFormation marks what a stack made.
const TAG: &str = "aws:ResourceTag/aws:cloudformation:stack-name";
/// The one by which the templates mark their keys, since CloudFormation does not.
const KEY: &str = "aws:ResourceTag/xtask:stack";
/// Which parameter Systems Manager decrypts, and which secret Secrets Manager.
pub(crate) const SECRET_KEY: &str = "kms:EncryptionContext:PARAMETER_ARN";
pub(crate) const OTHER_KEY: &str = "kms:EncryptionContext:SecretARN";
const NEW_KEY: &str = "aws:RequestTag/xtask:stack";
/// CloudFormation's tag, on its way to what a stack is about to get.
const NEW: &str = "aws:RequestTag/aws:cloudformation:stack-name";
const ROLE: &str = "cloudformation:RoleArn";
const BOUNDED: &str = "iam:PermissionsBoundary";
const PASSED: &str = "iam:PassedToService";

/// A parameter with a secret of a stack's service.
pub(crate) fn secret(stack: &str) -> String {
    format!("parameter/secrets/{stack}/PASSWORD")
}

/// All attempts.
pub(crate) fn cases(roles: &Roles) -> Vec<Case> {
    let mut cases = pipeline(roles);
    cases.extend(levels::cases(roles));
    cases.extend(needs(roles));
    cases.extend(cloudformation(roles));
    cases.extend(databases(roles));
    cases.extend(services(roles));
    cases.extend(secrets(roles));
    cases
}

fn case(who: Who, allowed: bool, action: &'static str, resource: String) -> Case {
    Case { who, action, resource, context: Vec::new(), allowed }
}

fn pipeline(roles: &Roles) -> Vec<Case> {
    let may = |action, service, resource: &str| case(Who::Pipeline, true, action, roles.arn(service, resource));
    let may_not = |action, service, resource: &str| case(Who::Pipeline, false, action, roles.arn(service, resource));
    let any = |action| case(Who::Pipeline, true, action, "*".to_owned());
    let stack = format!("stack/{STACK}/1");
    let execution = roles.arn("iam", EXECUTION);
    let memory = format!("parameter/xtask/{STACK}");
    let mut cases = vec![
        any("ecr:GetAuthorizationToken"),
        any("sts:GetCallerIdentity"),
        may("iam:PassRole", "iam", EXECUTION).with(PASSED, "cloudformation.amazonaws.com"),
        may("ecs:DescribeServices", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        may("ecs:DescribeTasks", "ecs", &format!("task/{STACK}-Cluster-1/1")),
        case(
            Who::Pipeline,
            true,
            "ecs:ListTasks",
            roles.arn("ecs", &format!("container-instance/{STACK}-Cluster-1/1")),
        )
        .with("ecs:cluster", &roles.arn("ecs", &format!("cluster/{STACK}-Cluster-1"))),
        may("ec2:GetConsoleOutput", "ec2", "instance/i-1").with(TAG, STACK),
        may("logs:FilterLogEvents", "logs", &format!("log-group:{STACK}-LogGroup-1")),
        may("logs:GetLogEvents", "logs", &format!("log-group:{STACK}-LogGroup-1:log-stream:api")),
        // No identities, and no other role.
        may_not("iam:CreateUser", "iam", "user/intruder"),
        may_not("iam:CreateAccessKey", "iam", "user/intruder"),
        may_not("iam:CreateRole", "iam", &format!("role/{STACK}-own")),
        may_not("iam:AttachRolePolicy", "iam", EXECUTION),
        may_not("iam:PutRolePolicy", "iam", "role/xtask/deploy"),
        may_not("iam:PassRole", "iam", "role/administrator").with(PASSED, "cloudformation.amazonaws.com"),
        may_not("iam:PassRole", "iam", EXECUTION).with(PASSED, "ec2.amazonaws.com"),
        may_not("iam:CreatePolicyVersion", "iam", BOUNDARY),
        may_not("sts:AssumeRole", "iam", EXECUTION),
        may_not("sts:AssumeRole", "iam", "role/administrator"),
        // Nor what others have.
        may_not("ecr:DeleteRepository", "ecr", "repository/rest-api"),
        may_not("ecr:BatchDeleteImage", "ecr", "repository/rest-api"),
        may_not("ecr:PutImage", "ecr", "repository/another"),
        may_not("ecr:PutLifecyclePolicy", "ecr", "repository/rest-api"),
        may_not("ssm:GetParameter", "ssm", "parameter/xtask/rest-api-dev/lock"),
        may_not("ssm:PutParameter", "ssm", "parameter/xtask/rest-api-dev/lock"),
        may_not("ssm:GetParameter", "ssm", "parameter/database/password"),
        may_not("secretsmanager:GetSecretValue", "secretsmanager", "secret:database-1").with(TAG, "another"),
        may_not("logs:FilterLogEvents", "logs", "log-group:another-LogGroup-1"),
        may_not("ecs:DescribeTasks", "ecs", "task/another-Cluster-1/1"),
        may_not("ecs:UpdateService", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        may_not("ec2:GetConsoleOutput", "ec2", "instance/i-1").with(TAG, "another"),
        may_not("ec2:RunInstances", "ec2", "instance/*"),
        may_not("cloudformation:DescribeStacks", "cloudformation", "stack/another/1"),
        may_not("cloudformation:DeleteStack", "cloudformation", "stack/another/1").with(ROLE, &execution),
        may_not("cloudformation:DeleteStack", "cloudformation", &format!("stack/{STACK}-bootstrap/1"))
            .with(ROLE, &execution),
        may_not("cloudformation:CreateStack", "cloudformation", &stack).with(ROLE, &execution),
        may_not("cloudformation:UpdateStack", "cloudformation", &stack).with(ROLE, &execution),
        case(Who::Pipeline, false, "s3:ListAllMyBuckets", "*".to_owned()),
        case(Who::Pipeline, false, "s3:GetObject", "arn:aws:s3:::data/object".to_owned()),
    ];
    for action in ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:PutImage"] {
        cases.push(may(action, "ecr", "repository/rest-api"));
    }
    for action in ["ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"] {
        cases.push(may(action, "ecr", "repository/rest-api"));
    }
    for action in ["ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer"] {
        cases.push(may(action, "ecr", "repository/rest-api"));
    }
    for action in ["ssm:PutParameter", "ssm:GetParameter", "ssm:GetParameterHistory", "ssm:DeleteParameter"] {
        cases.push(may(action, "ssm", &format!("{memory}/lock")));
    }
    cases.push(may("ssm:GetParametersByPath", "ssm", &memory));
    for action in ["DescribeStacks", "DescribeStackEvents", "GetTemplate", "ListStackResources", "CancelUpdateStack"] {
        cases.push(may(named("cloudformation", action), "cloudformation", &stack));
    }
    for action in ["DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DescribeEvents"] {
        cases.push(may(named("cloudformation", action), "cloudformation", &stack));
    }
    cases.extend(commands(roles));
    // With the execution role, and with nothing else.
    for action in ["CreateChangeSet", "DeleteStack", "RollbackStack", "ContinueUpdateRollback"] {
        let action = named("cloudformation", action);
        cases.push(may(action, "cloudformation", &stack).with(ROLE, &execution));
        cases.push(may_not(action, "cloudformation", &stack));
        cases.push(may_not(action, "cloudformation", &stack).with(ROLE, &roles.arn("iam", "role/administrator")));
    }
    cases
}

/// Tasks of one command: of the stack's definitions, in its cluster, with its roles.
fn commands(roles: &Roles) -> Vec<Case> {
    let of =
        |allowed, action, service, resource: &str| case(Who::Pipeline, allowed, action, roles.arn(service, resource));
    let cluster = |name: &str| roles.arn("ecs", &format!("cluster/{name}-Cluster-1"));
    let run = |allowed, family: &str, name: &str| {
        of(allowed, "ecs:RunTask", "ecs", &format!("task-definition/{family}:1")).with("ecs:cluster", &cluster(name))
    };
    let own = format!("role/{STACK}-TaskRole-1");
    let mut cases = vec![
        run(true, STACK, STACK),
        run(true, &format!("{STACK}-run"), STACK),
        run(false, STACK, "another"),
        run(false, "another", STACK),
        run(false, &format!("{STACK}2"), STACK),
        of(true, "ecs:StopTask", "ecs", &format!("task/{STACK}-Cluster-1/1")),
        of(false, "ecs:StopTask", "ecs", "task/another-Cluster-1/1"),
        of(true, "ecs:TagResource", "ecs", &format!("task-definition/{STACK}-run:1")),
        of(false, "ecs:TagResource", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        of(true, "iam:PassRole", "iam", &own).with(PASSED, "ecs-tasks.amazonaws.com"),
        of(false, "iam:PassRole", "iam", &own).with(PASSED, "ec2.amazonaws.com"),
        of(false, "iam:PassRole", "iam", "role/another-TaskRole-1").with(PASSED, "ecs-tasks.amazonaws.com"),
    ];
    for action in ["RegisterTaskDefinition", "DeregisterTaskDefinition"] {
        let action = named("ecs", action);
        let of = |region: &str| case(Who::Pipeline, true, action, "*".to_owned()).with("aws:RequestedRegion", region);
        cases.push(of("eu-central-1"));
        cases.push(Case { allowed: false, ..of("us-east-1") });
    }
    cases
}

/// The stacks that the environment needs: all roles see both, and change only the one that agrees to it.
fn needs(roles: &Roles) -> Vec<Case> {
    let execution = roles.arn("iam", EXECUTION);
    let mut cases = Vec::new();
    for (stack, changes) in [(READ_NEED, false), (CHANGED_NEED, true)] {
        let arn = roles.arn("cloudformation", &format!("stack/{stack}/1"));
        let of = |who, allowed, action| case(who, allowed, named("cloudformation", action), arn.clone());
        for who in [Who::Reader, Who::Planner, Who::Pipeline] {
            let may_propose = changes && who != Who::Reader;
            let may_change = changes && who == Who::Pipeline;
            for action in ["DescribeStacks", "DescribeStackEvents", "GetTemplate", "DescribeChangeSet"] {
                cases.push(of(who, true, action));
            }
            cases.push(of(who, may_propose, "CreateChangeSet").with(ROLE, &execution));
            cases.push(of(who, may_propose, "DeleteChangeSet"));
            for action in ["ExecuteChangeSet", "CancelUpdateStack"] {
                cases.push(of(who, may_change, action));
            }
            for action in ["DeleteStack", "RollbackStack", "ContinueUpdateRollback"] {
                cases.push(of(who, may_change, action).with(ROLE, &execution));
            }
        }
    }
    cases
}

fn cloudformation(roles: &Roles) -> Vec<Case> {
    let may = |action, service, resource: &str| case(Who::CloudFormation, true, action, roles.arn(service, resource));
    let may_not =
        |action, service, resource: &str| case(Who::CloudFormation, false, action, roles.arn(service, resource));
    let (own, boundary) = (format!("role/{STACK}-TaskRole-1"), roles.arn("iam", BOUNDARY));
    let none = roles.arn("iam", "policy/AdministratorAccess");
    let bucket = "arn:aws:s3:::data".to_owned();
    // AWS's own role of a service; load balancing makes its own although no public schema says so.
    let linked = |allowed, service: &str| {
        let role = roles.arn("iam", &format!("role/aws-service-role/{service}/AWSServiceRole"));
        case(Who::CloudFormation, allowed, "iam:CreateServiceLinkedRole", role).with("iam:AWSServiceName", service)
    };
    vec![
        may("iam:CreateRole", "iam", &own).with(BOUNDED, &boundary),
        may("iam:PutRolePolicy", "iam", &own).with(BOUNDED, &boundary),
        may("iam:AttachRolePolicy", "iam", &own).with(BOUNDED, &boundary),
        may("iam:DeleteRole", "iam", &own),
        may("iam:PassRole", "iam", &own).with(PASSED, "ecs-tasks.amazonaws.com"),
        may("iam:PassRole", "iam", &own).with(PASSED, "ecs.amazonaws.com"),
        may("iam:PassRole", "iam", &own).with(PASSED, "ec2.amazonaws.com"),
        linked(true, "ecs.amazonaws.com"),
        linked(true, "ecs.application-autoscaling.amazonaws.com"),
        linked(true, "elasticloadbalancing.amazonaws.com"),
        linked(true, "ops.apigateway.amazonaws.com"),
        linked(true, "rds.amazonaws.com"),
        linked(true, "wafv2.amazonaws.com"),
        linked(false, "organizations.amazonaws.com"),
        may("ecs:CreateService", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        may("logs:CreateLogGroup", "logs", &format!("log-group:{STACK}-LogGroup-1")),
        may("logs:CreateLogGroup", "logs", &format!("log-group:aws-waf-logs-{STACK}")),
        may("cloudwatch:PutMetricAlarm", "cloudwatch", &format!("alarm:{STACK}-ErrorAlarm-1")),
        may("secretsmanager:CreateSecret", "secretsmanager", "secret:OriginSecret-1"),
        may("secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1").with(TAG, STACK),
        case(Who::CloudFormation, true, "kms:CreateKey", "*".to_owned()).with(NEW_KEY, STACK),
        may("kms:TagResource", "kms", "key/1").with(NEW_KEY, STACK),
        may("kms:TagResource", "kms", "key/1").with(KEY, STACK),
        may("kms:EnableKeyRotation", "kms", "key/1").with(KEY, STACK),
        may("kms:ScheduleKeyDeletion", "kms", "key/1").with(KEY, STACK),
        case(
            Who::CloudFormation,
            true,
            "cloudwatch:TagResource",
            format!("arn:aws:cloudwatch::{}:dashboard/{STACK}", roles.account),
        ),
        case(Who::CloudFormation, true, "cloudformation:ListExports", "*".to_owned()),
        may("ec2:CreateVpc", "ec2", "vpc/*"),
        may("elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing", "loadbalancer/app/rest-a-LoadB-1/1"),
        case(Who::CloudFormation, true, "apigateway:POST", format!("arn:aws:apigateway:{REGION}::/restapis")),
        case(
            Who::CloudFormation,
            true,
            "route53:ChangeResourceRecordSets",
            "arn:aws:route53:::hostedzone/Z1".to_owned(),
        ),
        case(
            Who::CloudFormation,
            true,
            "ssm:GetParameters",
            format!("arn:aws:ssm:{REGION}::parameter/aws/service/ami"),
        ),
        // Identities, and the roles that limit it.
        may_not("iam:CreateUser", "iam", "user/intruder"),
        may_not("iam:CreateRole", "iam", &own),
        may_not("iam:CreateRole", "iam", &own).with(BOUNDED, &none),
        may_not("iam:AttachRolePolicy", "iam", &own),
        may_not("iam:AttachRolePolicy", "iam", &own).with(BOUNDED, &none),
        may_not("iam:PutRolePolicy", "iam", EXECUTION).with(BOUNDED, &boundary),
        may_not("iam:PutRolePolicy", "iam", "role/another-1").with(BOUNDED, &boundary),
        may_not("iam:UpdateAssumeRolePolicy", "iam", "role/xtask/deploy"),
        may_not("iam:DeleteRolePermissionsBoundary", "iam", &own),
        may_not("iam:CreatePolicyVersion", "iam", BOUNDARY),
        may_not("iam:PassRole", "iam", "role/administrator").with(PASSED, "ecs-tasks.amazonaws.com"),
        may_not("iam:PassRole", "iam", &own).with(PASSED, "lambda.amazonaws.com"),
        may_not("sts:AssumeRole", "iam", "role/administrator"),
        // What others have.
        may_not("secretsmanager:GetSecretValue", "secretsmanager", "secret:database-1"),
        may_not("secretsmanager:GetSecretValue", "secretsmanager", "secret:database-1").with(TAG, "another"),
        case(
            Who::CloudFormation,
            false,
            "cloudwatch:TagResource",
            format!("arn:aws:cloudwatch::{}:dashboard/another", roles.account),
        ),
        case(Who::CloudFormation, false, "kms:CreateKey", "*".to_owned()),
        case(Who::CloudFormation, false, "kms:CreateKey", "*".to_owned()).with(NEW_KEY, "another"),
        may_not("kms:ScheduleKeyDeletion", "kms", "key/2"),
        may_not("kms:ScheduleKeyDeletion", "kms", "key/2").with(KEY, "another"),
        may_not("kms:PutKeyPolicy", "kms", "key/2").with(NEW_KEY, STACK),
        // Nobody else's key becomes the stack's, nor the stack's key somebody else's.
        may_not("kms:TagResource", "kms", "key/2"),
        may_not("kms:TagResource", "kms", "key/2").with(KEY, "another").with(NEW_KEY, STACK),
        may_not("kms:TagResource", "kms", "key/1").with(KEY, STACK).with(NEW_KEY, "another"),
        may_not("cognito-idp:DeleteUserPool", "cognito-idp", "userpool/1").with(TAG, "another"),
        may_not("ec2:TerminateInstances", "ec2", "instance/i-1").with(TAG, "another"),
        may_not("ecs:DeleteService", "ecs", "service/another-Cluster-1/Service-1"),
        may_not("logs:DeleteLogGroup", "logs", "log-group:another-LogGroup-1"),
        may_not("cloudwatch:DeleteAlarms", "cloudwatch", "alarm:another-1"),
        may_not("ecr:DeleteRepository", "ecr", "repository/rest-api"),
        may_not("cloudformation:DeleteStack", "cloudformation", "stack/another/1"),
        may_not("ssm:GetParameter", "ssm", "parameter/database/password"),
        case(Who::CloudFormation, false, "apigateway:PATCH", format!("arn:aws:apigateway:{REGION}::/account")),
        case(
            Who::CloudFormation,
            false,
            "route53:ChangeResourceRecordSets",
            "arn:aws:route53:::hostedzone/Z2".to_owned(),
        ),
        case(Who::CloudFormation, false, "s3:DeleteBucket", bucket.clone()),
        case(Who::CloudFormation, false, "s3:GetObject", bucket + "/object"),
        // Nor anything in another Region.
        may_not("ec2:CreateVpc", "ec2", "vpc/*").with("aws:RequestedRegion", "us-east-1"),
        may_not("elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing", "loadbalancer/app/x/1")
            .with("aws:RequestedRegion", "us-east-1"),
    ]
}

/// A database is of the environment's own stack or of the one beside it, and keeps its tag.
fn databases(roles: &Roles) -> Vec<Case> {
    let of = |allowed, action: &str, resource: &str| {
        case(Who::CloudFormation, allowed, named("rds", action), roles.arn("rds", resource))
    };
    let secret = || roles.arn("secretsmanager", "secret:Secret-1");
    let beside = format!("{STACK}-database");
    let mut cases = vec![
        // AWS's own groups have no tag, nor has the last snapshot before it is there.
        of(true, "CreateDBInstance", "og:default:postgres-17").with(NEW, &beside),
        of(true, "ModifyDBInstance", "og:default:postgres-17"),
        of(true, "ModifyDBInstance", "pg:default.aurora-postgresql17"),
        of(true, "CreateDBSnapshot", "snapshot:a"),
        of(true, "DeleteDBCluster", "cluster-snapshot:a"),
        of(true, "DescribeDBInstances", "db:another"),
        of(false, "DescribeDBInstances", "db:another").with("aws:RequestedRegion", "us-east-1"),
        of(false, "CreateDBInstance", "db:a"),
        of(false, "CreateDBInstance", "db:a").with(NEW, "another"),
        // An instance of another stack's cluster, and another stack's network.
        of(false, "CreateDBInstance", "cluster:a").with(NEW, &beside).with(TAG, "another"),
        of(false, "CreateDBInstance", "subgrp:a").with(NEW, &beside).with(TAG, "another"),
        of(false, "CopyDBSnapshot", "snapshot:a").with(TAG, STACK),
        of(false, "DeleteDBSnapshot", "snapshot:a").with(TAG, STACK),
        of(false, "RestoreDBInstanceFromDBSnapshot", "db:a").with(NEW, STACK),
    ];
    let stacks = [STACK, &beside, "another", "rest-api-dev-database", "rest-api-production-users"];
    for (stack, own) in stacks.iter().zip([true, true, false, false, false]) {
        let reads = ["GetSecretValue", "PutSecretValue", "DeleteSecret"];
        cases.extend(
            reads.map(|action| {
                case(Who::CloudFormation, own, named("secretsmanager", action), secret()).with(TAG, stack)
            }),
        );
        cases.push(of(own, "CreateDBInstance", "db:a").with(NEW, stack));
        cases.push(of(own, "CreateDBCluster", "cluster:a").with(NEW, stack));
        for (action, resource) in [
            ("AddTagsToResource", "db:a"),
            ("CreateDBSnapshot", "db:a"),
            ("DeleteDBCluster", "cluster:a"),
            ("DeleteDBInstance", "db:a"),
            ("DeleteDBSubnetGroup", "subgrp:a"),
            ("ModifyDBInstance", "db:a"),
            ("ModifyDBParameterGroup", "pg:a"),
            ("RebootDBInstance", "db:a"),
        ] {
            cases.push(of(own, action, resource).with(TAG, stack));
            cases.push(of(false, action, resource));
        }
    }
    cases
}

fn services(roles: &Roles) -> Vec<Case> {
    use Who::{Instance, Task, TaskExecution};
    let of = |who, allowed, action, service, resource: &str| case(who, allowed, action, roles.arn(service, resource));
    let group = format!("log-group:{STACK}-LogGroup-1:log-stream:api");
    let mut cases = vec![
        case(Task, true, "ssmmessages:OpenDataChannel", "*".to_owned()),
        of(Instance, true, "cloudformation:SignalResource", "cloudformation", &format!("stack/{STACK}/1")),
        of(Instance, true, "secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1").with(TAG, STACK),
        of(Instance, false, "secretsmanager:GetSecretValue", "secretsmanager", "secret:database-1")
            .with(TAG, "another"),
        of(Instance, false, "cloudformation:SignalResource", "cloudformation", "stack/another/1"),
        of(Task, false, "logs:PutLogEvents", "logs", &group),
        of(Task, false, "ecr:BatchGetImage", "ecr", "repository/rest-api"),
    ];
    for who in [TaskExecution, Instance] {
        cases.push(case(who, true, "ecr:GetAuthorizationToken", "*".to_owned()));
        cases.push(of(who, true, "ecr:BatchGetImage", "ecr", "repository/rest-api"));
        cases.push(of(who, true, "ecr:GetDownloadUrlForLayer", "ecr", "repository/rest-api"));
        cases.push(of(who, true, "logs:CreateLogStream", "logs", &group));
        cases.push(of(who, true, "logs:PutLogEvents", "logs", &group));
        cases.push(of(who, false, "ecr:BatchGetImage", "ecr", "repository/another"));
        cases.push(of(who, false, "ecr:PutImage", "ecr", "repository/rest-api"));
        cases.push(of(who, false, "logs:PutLogEvents", "logs", "log-group:another-LogGroup-1:log-stream:api"));
    }
    for who in [Task, TaskExecution, Instance] {
        cases.push(of(who, false, "iam:CreateUser", "iam", "user/intruder"));
        cases.push(of(who, false, "sts:AssumeRole", "iam", EXECUTION));
        cases.push(of(who, false, "ssm:GetParameter", "ssm", &format!("parameter/xtask/{STACK}/lock")));
        cases.push(of(who, false, "cloudformation:DeleteStack", "cloudformation", &format!("stack/{STACK}/1")));
        cases.push(case(who, false, "s3:GetObject", "arn:aws:s3:::data/object".to_owned()));
    }
    cases
}

/// Values of secrets: for the roles that start the container or its machine, as far as the template names them.
fn secrets(roles: &Roles) -> Vec<Case> {
    let of = |who, allowed, action, service, resource: &str| case(who, allowed, action, roles.arn(service, resource));
    let mut cases = Vec::new();
    for who in [Who::TaskExecution, Who::Instance] {
        let own = roles.arn("ssm", &secret(STACK));
        cases.extend([
            of(who, true, "ssm:GetParameters", "ssm", &secret(STACK)),
            // Which the template does not name.
            of(who, false, "ssm:GetParameters", "ssm", &format!("parameter/secrets/{STACK}/OTHER")),
            of(who, true, "kms:Decrypt", "kms", "key/2").with(SECRET_KEY, &own),
            of(who, false, "kms:Decrypt", "kms", "key/2"),
            of(who, false, "kms:Decrypt", "kms", "key/2").with(SECRET_KEY, &roles.arn("ssm", &secret("another"))),
            // What the template names and `bootstrap` was not run for.
            of(who, false, "ssm:GetParameters", "ssm", "parameter/unknown/KEY"),
            of(who, false, "ssm:PutParameter", "ssm", &secret(STACK)),
            // Elsewhere, by name.
            of(who, true, "ssm:GetParameters", "ssm", "parameter/shared/KEY"),
            of(who, true, "kms:Decrypt", "kms", "key/2").with(SECRET_KEY, &roles.arn("ssm", "parameter/shared/KEY")),
            of(who, true, "secretsmanager:GetSecretValue", "secretsmanager", "secret:team/db-a1B2c3"),
            of(who, true, "kms:Decrypt", "kms", "key/2")
                .with(OTHER_KEY, &roles.arn("secretsmanager", "secret:team/db-a1B2c3")),
            of(who, false, "kms:Decrypt", "kms", "key/2")
                .with(OTHER_KEY, &roles.arn("secretsmanager", "secret:another-a1B2c3")),
        ]);
    }
    for who in [Who::Pipeline, Who::CloudFormation, Who::Task] {
        for action in ["GetParameter", "GetParameters", "GetParameterHistory", "PutParameter", "DeleteParameter"] {
            cases.push(of(who, false, named("ssm", action), "ssm", &secret(STACK)));
        }
        cases.push(of(who, false, "ssm:GetParametersByPath", "ssm", &format!("parameter/secrets/{STACK}")));
        cases.push(of(who, false, "secretsmanager:GetSecretValue", "secretsmanager", "secret:team/db-a1B2c3"));
        cases.push(of(who, false, "ssm:GetParameters", "ssm", &secret("another")));
        for context in [secret(STACK), secret("another")] {
            cases.push(of(who, false, "kms:Decrypt", "kms", "key/2").with(SECRET_KEY, &roles.arn("ssm", &context)));
        }
    }
    cases
}

/// An action whose service several of a list share.
fn named(service: &str, action: &str) -> &'static str {
    Box::leak(format!("{service}:{action}").into_boxed_str())
}
