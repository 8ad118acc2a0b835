//! The IAM policy of the calls that this tool makes itself, as narrow as IAM can say it.
//!
//! What CloudFormation does on behalf of the caller, to create what a template names, is not in here: only the template
//! knows that. A test compares the actions with the calls in the sources.

use std::collections::BTreeMap;

use config::deployment::{Environment, Service};
use serde::Serialize;

use crate::trust::PROVIDER;

/// What an action is allowed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Anything: the action knows no resource.
    Any,
    /// The environment's stack, also before there is one.
    Stack,
    /// The stack and the change sets that this tool names.
    ChangeSets,
    /// The service's repository.
    Repository,
    /// What is remembered of the stack's releases.
    Parameters,
    /// Log groups that CloudFormation has named after the stack.
    LogGroups,
    /// Services, their deployments and tasks, of clusters that CloudFormation has named after the stack.
    Tasks,
    /// Anything in such a cluster: the action knows no service.
    Cluster,
    /// GitHub's identity provider, of which an account has one.
    Provider,
    /// What API Gateway has for the whole account in a region.
    ApiAccount,
    /// The role that CloudFormation works with, handed to nobody else.
    ExecutionRole,
    /// Instances that CloudFormation has tagged with the stack's name: theirs nobody chooses. So are the next three.
    Instances,
    /// Secrets, and the keys that some are encrypted with.
    Secrets,
    ApiKeys,
    /// Those of the stack that the environment's users are in.
    UserPools,
    /// What the smoke test may ask of an API: reading, at any stage, since nobody chooses an API's id either.
    Api,
}

/// Actions that go together. A `Sid` has letters and digits only.
struct Grant {
    sid: &'static str,
    scope: Scope,
    actions: &'static [&'static str],
}

const GRANTS: &[Grant] = &[
    Grant {
        sid: "WhoCalls",
        // Neither a caller's identity nor a registry's token belongs to a resource. (AWS answers the first one without
        // any permission; emulators that check permissions do not.)
        scope: Scope::Any,
        actions: &["ecr:GetAuthorizationToken", "sts:GetCallerIdentity"],
    },
    Grant {
        sid: "Repository",
        scope: Scope::Repository,
        actions: &[
            "ecr:BatchDeleteImage",
            "ecr:BatchGetImage",
            "ecr:CreateRepository",
            "ecr:DeleteRepository",
            "ecr:DescribeImages",
            "ecr:DescribeRepositories",
            "ecr:PutLifecyclePolicy",
            // The repository is created with a tag.
            "ecr:TagResource",
        ],
    },
    Grant {
        sid: "Push",
        // The engine asks these of the registry, with the token.
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
        sid: "Stack",
        scope: Scope::Stack,
        actions: &[
            "cloudformation:CancelUpdateStack",
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
            "cloudformation:RollbackStack",
        ],
    },
    Grant {
        sid: "ChangeSets",
        scope: Scope::ChangeSets,
        actions: &[
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeEvents",
            "cloudformation:ExecuteChangeSet",
            // The stack's tags go with the change set.
            "cloudformation:TagResource",
        ],
    },
    Grant {
        sid: "Memory",
        scope: Scope::Parameters,
        actions: &[
            "ssm:DeleteParameter",
            "ssm:DeleteParameters",
            "ssm:GetParameter",
            "ssm:GetParameterHistory",
            "ssm:GetParameters",
            "ssm:GetParametersByPath",
            "ssm:PutParameter",
        ],
    },
    Grant { sid: "Logs", scope: Scope::LogGroups, actions: &["logs:FilterLogEvents", "logs:GetLogEvents"] },
    Grant {
        sid: "Tasks",
        scope: Scope::Tasks,
        actions: &[
            "ecs:ContinueServiceDeployment",
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
        ],
    },
    Grant { sid: "TaskList", scope: Scope::Cluster, actions: &["ecs:ListTasks"] },
    // Task definitions cannot be told apart by a policy.
    Grant { sid: "TaskDefinition", scope: Scope::Any, actions: &["ecs:DescribeTaskDefinition"] },
    // The rest is asked only where the stack has such a thing: a deployment that waits for its proof, an API that wants
    // to know who asks.
    Grant { sid: "ProofHeader", scope: Scope::Secrets, actions: &["kms:Decrypt", "secretsmanager:GetSecretValue"] },
    Grant { sid: "ApiKey", scope: Scope::ApiKeys, actions: &["apigateway:GET"] },
    Grant {
        sid: "SmokeUser",
        scope: Scope::UserPools,
        actions: &[
            "cognito-idp:AdminCreateUser",
            "cognito-idp:AdminDeleteUser",
            "cognito-idp:AdminInitiateAuth",
            "cognito-idp:AdminSetUserPassword",
            "cognito-idp:DescribeUserPoolClient",
        ],
    },
    Grant { sid: "SmokeTest", scope: Scope::Api, actions: &["execute-api:Invoke"] },
    Grant { sid: "Console", scope: Scope::Instances, actions: &["ec2:GetConsoleOutput"] },
    Grant { sid: "Provider", scope: Scope::Provider, actions: &["iam:GetOpenIDConnectProvider"] },
    Grant { sid: "ApiAccount", scope: Scope::ApiAccount, actions: &["apigateway:GET"] },
    Grant { sid: "Scan", scope: Scope::Repository, actions: &["ecr:DescribeImageScanFindings"] },
];

/// What whoever has an execution role may do besides: hand it to CloudFormation.
const PASS: Grant = Grant { sid: "PassTheExecutionRole", scope: Scope::ExecutionRole, actions: &["iam:PassRole"] };

/// Partitions by how the names of their regions begin; all others are `aws`.
const PARTITIONS: [(&str, &str); 5] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eusc-", "aws-eusc"),
];

/// An IAM policy document
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: &'static [&'static str],
    resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Condition,
}

/// Values by condition key, by operator.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, String>>;

/// The policy for releases of `service` to `environment`.
pub(crate) fn policy(service: &Service, environment: &Environment) -> Policy {
    let place = Place { service, environment };
    let statement = |grant: &Grant| {
        let (resource, condition) = place.narrowed(grant.scope);
        Statement { sid: grant.sid, effect: "Allow", action: grant.actions, resource, condition }
    };
    let pass = environment.execution_role.is_some().then_some(&PASS);
    Policy { version: "2012-10-17", statement: GRANTS.iter().chain(pass).map(statement).collect() }
}

fn only_where(operator: &'static str, key: &'static str, value: String) -> Condition {
    BTreeMap::from([(operator, BTreeMap::from([(key, value)]))])
}

/// Where the environment's resources are.
struct Place<'a> {
    service: &'a Service,
    environment: &'a Environment,
}

impl Place<'_> {
    fn narrowed(&self, scope: Scope) -> (Vec<String>, Condition) {
        let stack = &self.environment.stack;
        let of_stack = || self.arn("cloudformation", &format!("stack/{stack}/*"));
        let none = Condition::new();
        let of =
            |stack: &str| only_where("StringEquals", "aws:ResourceTag/aws:cloudformation:stack-name", stack.to_owned());
        let tagged = || of(stack);
        match scope {
            Scope::Any => (vec!["*".to_owned()], none),
            Scope::Stack => (vec![of_stack()], none),
            Scope::ChangeSets => (vec![of_stack(), self.arn("cloudformation", "changeSet/xtask-*/*")], none),
            Scope::LogGroups => (vec![self.arn("logs", &format!("log-group:{stack}-*"))], none),
            Scope::Tasks => {
                let kinds = ["service", "service-deployment", "task"];
                (kinds.map(|kind| self.arn("ecs", &format!("{kind}/{stack}-*/*"))).to_vec(), none)
            }
            Scope::Cluster => {
                let cluster = self.arn("ecs", &format!("cluster/{stack}-*"));
                (vec!["*".to_owned()], only_where("ArnLike", "ecs:cluster", cluster))
            }
            Scope::Instances => (vec![self.arn("ec2", "instance/*")], tagged()),
            Scope::Secrets => (vec![self.arn("kms", "key/*"), self.arn("secretsmanager", "secret:*")], tagged()),
            // Their names have no account.
            Scope::ApiKeys => (vec![self.arn_of("apigateway", "", "/apikeys/*")], tagged()),
            Scope::UserPools => {
                let users = self.environment.parameters.get("UsersStack").filter(|name| !name.is_empty());
                (vec![self.arn("cognito-idp", "userpool/*")], of(users.unwrap_or(stack)))
            }
            Scope::Api => (vec![self.arn("execute-api", "*/*/GET/*")], none),
            // A list of what lies below a path is asked of the path itself.
            Scope::Parameters => {
                let path = format!("parameter/xtask/{stack}");
                (vec![self.arn("ssm", &path), self.arn("ssm", &format!("{path}/*"))], none)
            }
            Scope::Provider => (vec![self.global("iam", &format!("oidc-provider/{PROVIDER}"))], none),
            // Its ARNs have no account.
            Scope::ApiAccount => {
                let (partition, region) = (partition(&self.environment.region), &self.environment.region);
                (vec![format!("arn:{partition}:apigateway:{region}::/account")], none)
            }
            Scope::ExecutionRole => {
                let role = self.environment.execution_role.clone().unwrap_or_default();
                let host = "cloudformation.amazonaws.com".to_owned();
                (vec![role], only_where("StringEquals", "iam:PassedToService", host))
            }
            Scope::Repository => (vec![self.arn("ecr", &format!("repository/{}", self.service.name))], none),
        }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        self.arn_of(service, self.environment.account.as_deref().unwrap_or("*"), resource)
    }

    fn arn_of(&self, service: &str, account: &str, resource: &str) -> String {
        let region = &self.environment.region;
        format!("arn:{}:{service}:{region}:{account}:{resource}", partition(region))
    }

    /// Of a service that is in no region.
    fn global(&self, service: &str, resource: &str) -> String {
        let Environment { region, account, .. } = self.environment;
        format!("arn:{}:{service}::{}:{resource}", partition(region), account.as_deref().unwrap_or("*"))
    }
}

/// The partition that a region is in.
pub(crate) fn partition(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, name)| name)
}
