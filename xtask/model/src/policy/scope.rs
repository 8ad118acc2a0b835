//! The resources and conditions of each action.

use std::collections::BTreeMap;

use config::deployment::{Environment, Service};

use super::{Condition, partition, role_prefix};
use crate::policy::PROVIDER;
use crate::templates;

/// The resources that an action is allowed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Anything: the action supports no resource.
    Any,
    /// The environment's stack and those of its needs, also before their creation.
    Stack,
    /// These stacks, and change sets with this tool's names.
    ChangeSets,
    /// Of these stacks, only those that a release changes.
    ChangedStack,
    /// Those stacks, and change sets with this tool's names.
    ChangedChangeSets,
    /// The service's repository.
    Repository,
    /// The parameters with the stack's releases.
    Parameters,
    /// The parameters with the values of the container's secrets.
    SecretValues,
    /// The key that the environment names for them.
    SecretsKey,
    /// Log groups named after the stack.
    LogGroups,
    /// Services, their deployments and tasks, in clusters named after the stack.
    Tasks,
    /// Anything in such a cluster: the action supports no service.
    Cluster,
    /// Task definitions of the stack and of its commands, in such a cluster.
    Definitions,
    /// What one command makes: its task definition and its task.
    Commands,
    /// The stack's roles, passed to tasks and to no other service.
    TaskRoles,
    /// GitHub's identity provider: an account has one.
    Provider,
    /// API Gateway's settings of the account in a region.
    ApiAccount,
    /// The role that CloudFormation works with, passed to no other service.
    ExecutionRole,
    /// Instances that CloudFormation tagged with the stack's name, since AWS chooses theirs. So are the next two.
    Instances,
    Secrets,
    ApiKeys,
    /// Keys tagged with the stack's name by their template, since CloudFormation does not tag keys.
    Keys,
    /// User pools of the stack that the environment names for its users.
    UserPools,
    /// Anything in the region: AWS chooses the names of most resources.
    Region,
    /// Usage plans and VPC links.
    Gateway,
    /// APIs with all their parts.
    RestApis,
    /// Roles and instance profiles named after the stack.
    Roles,
    /// GET requests to any API and stage, since AWS chooses an API's id.
    Api,
    /// The bucket that the account's environments in a region share.
    TemplatesBucket,
    /// The stack's templates in it.
    Templates,
}

fn only_where(operator: &'static str, key: &'static str, value: String) -> Condition {
    BTreeMap::from([(operator, BTreeMap::from([(key, value)]))])
}

/// Makes ARNs of an environment's resources.
pub(super) struct Arns<'a> {
    pub(super) service: &'a Service,
    pub(super) environment: &'a Environment,
    pub(super) needs: Vec<&'a Environment>,
    /// Those of the needs that a release changes.
    pub(super) changed: &'a [&'a Environment],
}

impl<'a> Arns<'a> {
    /// ARNs of a kind of CloudFormation's for the environment and these of its needs, each once.
    fn of_each(&self, needs: &[&Environment], resource: impl Fn(&Environment) -> String) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for environment in [self.environment].into_iter().chain(needs.iter().copied()) {
            let own = Arns { service: self.service, environment, needs: Vec::new(), changed: &[] };
            let arn = own.arn("cloudformation", &resource(environment));
            if !all.contains(&arn) {
                all.push(arn);
            }
        }
        all
    }

    /// The resources, and conditions where their names are not enough.
    pub(super) fn narrowed(&self, scope: Scope) -> (Vec<String>, Condition) {
        let stack = &self.environment.stacks();
        let of_stacks = |needs: &[&Environment]| self.of_each(needs, |one| format!("stack/{}/*", one.stacks()));
        let of_sets = |needs: &[&Environment]| {
            [of_stacks(needs), self.of_each(needs, |_| "changeSet/xtask-*/*".to_owned())].concat()
        };
        let none = Condition::new();
        let of =
            |stack: &str| only_where("StringLike", "aws:ResourceTag/aws:cloudformation:stack-name", stack.to_owned());
        let account = || self.environment.account.as_deref().unwrap_or("*");
        let bucket = || {
            let region = &self.environment.region;
            format!("arn:{}:s3:::{}", partition(region), templates::bucket(account(), region))
        };
        let tagged = || of(stack);
        match scope {
            Scope::Any => (vec!["*".to_owned()], none),
            Scope::Stack => (of_stacks(&self.needs), none),
            Scope::ChangeSets => (of_sets(&self.needs), none),
            Scope::ChangedStack => (of_stacks(self.changed), none),
            Scope::ChangedChangeSets => (of_sets(self.changed), none),
            Scope::LogGroups => (vec![self.arn("logs", &format!("log-group:{stack}-*"))], none),
            Scope::Tasks => {
                let kinds = ["service", "service-deployment", "task"];
                (kinds.map(|kind| self.arn("ecs", &format!("{kind}/{stack}-*/*"))).to_vec(), none)
            }
            Scope::Cluster => {
                let cluster = self.arn("ecs", &format!("cluster/{stack}-*"));
                (vec!["*".to_owned()], only_where("ArnLike", "ecs:cluster", cluster))
            }
            Scope::Definitions => {
                let families = ["", "-run"].map(|end| self.arn("ecs", &format!("task-definition/{stack}{end}:*")));
                let cluster = self.arn("ecs", &format!("cluster/{stack}-*"));
                (families.to_vec(), only_where("ArnLike", "ecs:cluster", cluster))
            }
            Scope::Commands => {
                let made = [format!("task-definition/{stack}-run:*"), format!("task/{stack}-*/*")];
                (made.map(|one| self.arn("ecs", &one)).to_vec(), none)
            }
            Scope::TaskRoles => {
                let roles = self.global("iam", &format!("role/{}*", role_prefix(self.environment)));
                (vec![roles], only_where("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com".to_owned()))
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
            Scope::Secrets => (vec![self.arn("secretsmanager", "secret:*")], tagged()),
            Scope::Keys => {
                let tagged = only_where("StringLike", "aws:ResourceTag/xtask:stack", stack.to_owned());
                (vec![self.arn("kms", "key/*")], tagged)
            }
            // Their ARNs have no account.
            Scope::ApiKeys => (vec![self.arn_of("apigateway", "", "/apikeys/*")], tagged()),
            Scope::UserPools => {
                // Which output a reference stands for is not known here.
                let parameters = self.environment.with_outputs(|_| Some("*".to_owned())).parameters;
                let users = parameters.get("UsersStack").filter(|name| !name.is_empty());
                (vec![self.arn("cognito-idp", "userpool/*")], of(users.unwrap_or(stack)))
            }
            Scope::Api => (vec![self.arn("execute-api", "*/*/GET/*")], none),
            Scope::TemplatesBucket => (vec![bucket()], none),
            Scope::Templates => (vec![format!("{}/{stack}/*", bucket())], none),
            // Listing below a path needs the path itself.
            Scope::Parameters => {
                let path = format!("parameter/xtask/{stack}");
                (vec![self.arn("ssm", &path), self.arn("ssm", &format!("{path}/*"))], none)
            }
            Scope::SecretValues => (vec![self.arn("ssm", &format!("parameter/secrets/{stack}/*"))], none),
            Scope::SecretsKey => match self.environment.secrets_key.as_deref().unwrap_or_default() {
                arn if arn.starts_with("arn:") => (vec![arn.to_owned()], none),
                // A key's ARN does not follow from its alias.
                alias if alias.starts_with("alias/") => (
                    vec![self.arn("kms", "key/*")],
                    only_where("ForAnyValue:StringEquals", "kms:ResourceAliases", alias.to_owned()),
                ),
                id => (vec![self.arn("kms", &format!("key/{id}"))], none),
            },
            Scope::Provider => (vec![self.global("iam", &format!("oidc-provider/{PROVIDER}"))], none),
            // Its ARNs have no account.
            Scope::ApiAccount => {
                let (partition, region) = (partition(&self.environment.region), &self.environment.region);
                (vec![format!("arn:{partition}:apigateway:{region}::/account")], none)
            }
            Scope::ExecutionRole => {
                let host = "cloudformation.amazonaws.com".to_owned();
                (
                    self.environment.execution_role.iter().cloned().collect(),
                    only_where("StringEquals", "iam:PassedToService", host),
                )
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

    /// For a global service.
    fn global(&self, service: &str, resource: &str) -> String {
        let Environment { region, account, .. } = self.environment;
        format!("arn:{}:{service}::{}:{resource}", partition(region), account.as_deref().unwrap_or("*"))
    }
}
