//! What each action is allowed on, as IAM names it.

use std::collections::BTreeMap;

use config::deployment::{Environment, Service};

use super::{Condition, partition, role_prefix};
use crate::policy::PROVIDER;

/// What an action is allowed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
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
    /// Anything in the region: most kinds of resources know no name that somebody chooses.
    Region,
    /// What an API has around it, its own definition and its keys left out.
    Gateway,
    /// APIs with all that they are made of.
    RestApis,
    /// Roles and instance profiles that CloudFormation has named after the stack.
    Roles,
    /// What the smoke test may ask of an API: reading, at any stage, since nobody chooses an API's id either.
    Api,
}

fn only_where(operator: &'static str, key: &'static str, value: String) -> Condition {
    BTreeMap::from([(operator, BTreeMap::from([(key, value)]))])
}

/// Where the environment's resources are.
pub(super) struct Arns<'a> {
    pub(super) service: &'a Service,
    pub(super) environment: &'a Environment,
}

impl Arns<'_> {
    /// The resources, and the conditions where their names do not tell.
    pub(super) fn narrowed(&self, scope: Scope) -> (Vec<String>, Condition) {
        let stack = &self.environment.stacks();
        let of_stack = || self.arn("cloudformation", &format!("stack/{stack}/*"));
        let none = Condition::new();
        let of =
            |stack: &str| only_where("StringLike", "aws:ResourceTag/aws:cloudformation:stack-name", stack.to_owned());
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
            Scope::Region => {
                let here = only_where("StringEquals", "aws:RequestedRegion", self.environment.region.clone());
                (vec!["*".to_owned()], here)
            }
            Scope::Gateway => {
                (["/usageplans/*", "/vpclinks/*"].map(|kind| self.arn_of("apigateway", "", kind)).to_vec(), none)
            }
            Scope::RestApis => (vec![self.arn_of("apigateway", "", "/restapis/*")], none),
            Scope::Roles => {
                let name = role_prefix(self.environment);
                (["role", "instance-profile"].map(|kind| self.global("iam", &format!("{kind}/{name}*"))).to_vec(), none)
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
