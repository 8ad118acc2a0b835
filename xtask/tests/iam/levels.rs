//! What the reading and the planning role must be able to do, and what they may not; and roles for one of many stacks.

use model::templates::bucket;

use super::super::roles::{EXECUTION, MANY, ONE, REGION, Roles, STACK};
use super::{Case, KEY, PASSED, ROLE, SECRET_KEY, TAG, Who, case, named, secret};

/// Attempts of readers and planners.
pub(crate) fn cases(roles: &Roles) -> Vec<Case> {
    let mut cases = reading(roles, Who::Reader);
    cases.extend(reading(roles, Who::Planner));
    cases.extend(writing(roles, Who::Reader));
    cases.extend(writing(roles, Who::Planner));
    cases.extend(publishing(roles, Who::Reader, false));
    cases.extend(publishing(roles, Who::Planner, true));
    cases
}

/// What both may see, and what neither may.
fn reading(roles: &Roles, who: Who) -> Vec<Case> {
    let of = |allowed, action, service, resource: &str| case(who, allowed, action, roles.arn(service, resource));
    let stack = format!("stack/{STACK}/1");
    let memory = format!("parameter/xtask/{STACK}");
    let mut cases = vec![
        case(who, true, "sts:GetCallerIdentity", "*".to_owned()),
        of(true, "ssm:GetParametersByPath", "ssm", &memory),
        of(true, "ecs:DescribeServices", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        of(true, "iam:GetRole", "iam", &format!("role/{STACK}-TaskRole-1")),
        of(true, "ec2:DescribeInstances", "ec2", "instance/*"),
        of(true, "logs:DescribeLogGroups", "logs", &format!("log-group:{STACK}-LogGroup-1")),
        of(true, "secretsmanager:DescribeSecret", "secretsmanager", "secret:OriginSecret-1"),
        of(true, "kms:DescribeKey", "kms", "key/1"),
        case(who, true, "s3:GetBucketLocation", format!("arn:aws:s3:::{}", bucket(&roles.account, REGION))),
        of(true, "ssm:DescribeParameters", "ssm", "*"),
        of(false, "ssm:DescribeParameters", "ssm", "*").with("aws:RequestedRegion", "us-east-1"),
        // No secret, wherever it stands.
        of(false, "kms:Decrypt", "kms", "key/2").with(SECRET_KEY, &roles.arn("ssm", &secret(STACK))),
        of(false, "ssm:GetParametersByPath", "ssm", &format!("parameter/secrets/{STACK}")),
        of(false, "secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1"),
        of(false, "secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1").with(TAG, STACK),
        of(false, "kms:Decrypt", "kms", "key/1").with(KEY, STACK),
        of(false, "cognito-idp:DescribeUserPoolClient", "cognito-idp", "userpool/1").with(TAG, STACK),
        case(who, false, "apigateway:GET", format!("arn:aws:apigateway:{REGION}::/apikeys/1")).with(TAG, STACK),
        of(false, "ssm:GetParameter", "ssm", "parameter/database/password"),
        // No line that the service or its machine has logged.
        of(false, "logs:FilterLogEvents", "logs", &format!("log-group:{STACK}-LogGroup-1")),
        of(false, "logs:GetLogEvents", "logs", &format!("log-group:{STACK}-LogGroup-1:log-stream:api")),
        of(false, "ec2:GetConsoleOutput", "ec2", "instance/i-1").with(TAG, STACK),
        // Nothing of another environment.
        of(false, "cloudformation:DescribeStacks", "cloudformation", "stack/another/1"),
        of(false, "ssm:GetParameter", "ssm", "parameter/xtask/rest-api-dev/lock"),
        of(false, "iam:GetRole", "iam", "role/another-1"),
        of(false, "ec2:DescribeInstances", "ec2", "instance/*").with("aws:RequestedRegion", "us-east-1"),
        case(who, false, "s3:GetObject", "arn:aws:s3:::data/object".to_owned()),
    ];
    for action in ["DescribeStacks", "DescribeStackEvents", "GetTemplate", "ListStackResources", "DescribeChangeSet"] {
        cases.push(of(true, named("cloudformation", action), "cloudformation", &stack));
    }
    for action in ["BatchGetImage", "DescribeImages", "DescribeRepositories"] {
        cases.push(of(true, named("ecr", action), "ecr", "repository/rest-api"));
        cases.push(of(false, named("ecr", action), "ecr", "repository/another"));
    }
    for action in ["GetParameter", "GetParameterHistory"] {
        cases.push(of(true, named("ssm", action), "ssm", &format!("{memory}/lock")));
    }
    for action in ["GetParameter", "GetParameterHistory", "GetParameters", "PutParameter", "DeleteParameter"] {
        cases.push(of(false, named("ssm", action), "ssm", &secret(STACK)));
    }
    cases
}

/// What changes something that runs, is remembered or decides who may do what: for neither.
fn writing(roles: &Roles, who: Who) -> Vec<Case> {
    let may_not = |action, service, resource: &str| case(who, false, action, roles.arn(service, resource));
    let (stack, execution) = (format!("stack/{STACK}/1"), roles.arn("iam", EXECUTION));
    let memory = format!("parameter/xtask/{STACK}/lock");
    let mut cases = vec![
        may_not("cloudformation:ExecuteChangeSet", "cloudformation", &stack),
        may_not("cloudformation:CancelUpdateStack", "cloudformation", &stack),
        may_not("ssm:PutParameter", "ssm", &memory),
        may_not("ssm:DeleteParameter", "ssm", &memory),
        may_not("ecr:BatchDeleteImage", "ecr", "repository/rest-api"),
        may_not("ecr:DeleteRepository", "ecr", "repository/rest-api"),
        may_not("ecs:UpdateService", "ecs", &format!("service/{STACK}-Cluster-1/Service-1")),
        may_not("ecs:ContinueServiceDeployment", "ecs", &format!("service-deployment/{STACK}-Cluster-1/Service-1/1")),
        may_not("ecs:RunTask", "ecs", &format!("task-definition/{STACK}:1"))
            .with("ecs:cluster", &roles.arn("ecs", &format!("cluster/{STACK}-Cluster-1"))),
        may_not("ecs:StopTask", "ecs", &format!("task/{STACK}-Cluster-1/1")),
        may_not("cognito-idp:AdminCreateUser", "cognito-idp", "userpool/1").with(TAG, STACK),
        may_not("ec2:TerminateInstances", "ec2", "instance/i-1").with(TAG, STACK),
        may_not("ec2:RunInstances", "ec2", "instance/*"),
        may_not("iam:CreateUser", "iam", "user/intruder"),
        may_not("iam:CreateRole", "iam", &format!("role/{STACK}-own")),
        may_not("iam:PutRolePolicy", "iam", "role/xtask/read"),
        may_not("sts:AssumeRole", "iam", EXECUTION),
    ];
    for action in ["DeleteStack", "RollbackStack", "ContinueUpdateRollback", "CreateStack", "UpdateStack"] {
        let action = named("cloudformation", action);
        cases.push(may_not(action, "cloudformation", &stack));
        cases.push(may_not(action, "cloudformation", &stack).with(ROLE, &execution));
    }
    cases
}

/// What only a planner may: publish an image and have a change set made, with the execution role and no other.
fn publishing(roles: &Roles, who: Who, may: bool) -> Vec<Case> {
    let of = |allowed, action, service, resource: &str| case(who, allowed, action, roles.arn(service, resource));
    let (stack, execution) = (format!("stack/{STACK}/1"), roles.arn("iam", EXECUTION));
    let mut cases = vec![
        case(who, may, "ecr:GetAuthorizationToken", "*".to_owned()),
        of(may, "cloudformation:CreateChangeSet", "cloudformation", &stack).with(ROLE, &execution),
        of(false, "cloudformation:CreateChangeSet", "cloudformation", &stack),
        of(false, "cloudformation:CreateChangeSet", "cloudformation", &stack)
            .with(ROLE, &roles.arn("iam", "role/administrator")),
        of(false, "cloudformation:CreateChangeSet", "cloudformation", "stack/another/1").with(ROLE, &execution),
        of(may, "cloudformation:DeleteChangeSet", "cloudformation", &stack),
        of(may, "iam:PassRole", "iam", EXECUTION).with(PASSED, "cloudformation.amazonaws.com"),
        of(false, "iam:PassRole", "iam", EXECUTION).with(PASSED, "ec2.amazonaws.com"),
        of(false, "iam:PassRole", "iam", "role/administrator").with(PASSED, "cloudformation.amazonaws.com"),
        // What shows the header by which a backend knows its API.
        of(may, "elasticloadbalancing:DescribeRules", "elasticloadbalancing", "listener-rule/app/x/1/2/3"),
        case(
            who,
            may,
            "apigateway:GET",
            format!("arn:aws:apigateway:{REGION}::/restapis/a/resources/b/methods/ANY/integration"),
        ),
    ];
    // A template that is too long for the call, of this stack.
    for (stack, allowed) in [(STACK, may), ("another", false), ("rest-api-production2", false)] {
        let template = format!("arn:aws:s3:::{}/{stack}/0.template", bucket(&roles.account, REGION));
        cases.push(case(who, allowed, "s3:PutObject", template.clone()));
        cases.push(case(who, allowed, "s3:GetObject", template));
    }
    for action in ["PutImage", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"] {
        cases.push(of(may, named("ecr", action), "ecr", "repository/rest-api"));
        cases.push(of(false, named("ecr", action), "ecr", "repository/another"));
    }
    cases
}

/// Attempts on one of many stacks, of [`Roles::many`]: on what is its own, and on what is another environment's.
pub(crate) fn of_one(roles: &Roles) -> Vec<Case> {
    let execution = roles.arn("iam", EXECUTION);
    let mut cases = Vec::new();
    let stacks = [
        (true, ONE),
        (true, "rest-api-preview-pr-13"),
        // What stands before their releases is none of theirs.
        (false, "bootstrap-rest-api-preview"),
        (false, "rest-api-previewing-pr-12"),
        (false, "rest-api-production"),
    ];
    for (own, stack) in stacks {
        let of = |who, action, service, resource: &str| case(who, own, action, roles.arn(service, resource));
        let arn = format!("stack/{stack}/1");
        for who in [Who::Reader, Who::Planner, Who::Pipeline] {
            cases.push(of(who, "cloudformation:DescribeStacks", "cloudformation", &arn));
            cases.push(of(who, "ssm:GetParameter", "ssm", &format!("parameter/xtask/{stack}/lock")));
            cases.push(of(who, "ssm:GetParametersByPath", "ssm", &format!("parameter/xtask/{stack}")));
        }
        cases.extend([
            of(Who::Planner, "cloudformation:CreateChangeSet", "cloudformation", &arn).with(ROLE, &execution),
            of(Who::Pipeline, "cloudformation:ExecuteChangeSet", "cloudformation", &arn),
            of(Who::Pipeline, "cloudformation:DeleteStack", "cloudformation", &arn).with(ROLE, &execution),
            of(Who::Pipeline, "ssm:PutParameter", "ssm", &format!("parameter/xtask/{stack}/lock")),
            of(Who::Pipeline, "logs:FilterLogEvents", "logs", &format!("log-group:{stack}-LogGroup-1")),
            of(Who::Pipeline, "secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1")
                .with(TAG, stack),
            of(Who::Pipeline, "ec2:GetConsoleOutput", "ec2", "instance/i-1").with(TAG, stack),
            of(Who::CloudFormation, "logs:CreateLogGroup", "logs", &format!("log-group:{stack}-LogGroup-1")),
            of(Who::CloudFormation, "iam:DeleteRole", "iam", &format!("role/{stack}-EC2Role-1")),
            of(Who::CloudFormation, "ec2:TerminateInstances", "ec2", "instance/i-1").with(TAG, stack),
            of(Who::CloudFormation, "kms:ScheduleKeyDeletion", "kms", "key/1").with(KEY, stack),
            of(Who::CloudFormation, "rds:DeleteDBInstance", "rds", "db:a").with(TAG, stack),
            of(Who::Pipeline, "kms:Decrypt", "kms", "key/1").with(KEY, stack),
            case(
                Who::Planner,
                own,
                "s3:PutObject",
                format!("arn:aws:s3:::{}/{stack}/0.template", bucket(&roles.account, REGION)),
            ),
            of(Who::CloudFormation, "ecs:DeleteService", "ecs", &format!("service/{stack}-Cluster-1/Service-1")),
            of(Who::Instance, "secretsmanager:GetSecretValue", "secretsmanager", "secret:OriginSecret-1")
                .with(TAG, stack),
        ]);
    }
    // The environment itself has no stack.
    let itself = roles.arn("cloudformation", &format!("stack/{MANY}/1"));
    cases.push(case(Who::Pipeline, false, "cloudformation:ExecuteChangeSet", itself));
    cases
}
