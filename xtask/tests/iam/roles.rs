//! The roles of the templates, with their policies as AWS would get them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use config::deployment::SecretReference;
use model::container::{Additions, Secret};
use model::template::Template;
use serde_json::Value;

use super::resolve::Stack;
use super::template;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const STACK: &str = "rest-api-production";
/// An environment of which there are many, and one of them.
pub(crate) const MANY: &str = "rest-api-preview";
pub(crate) const ONE: &str = "rest-api-preview-pr-12";
/// A stack that the environment needs and may not change, and one that it changes.
pub(crate) const READ_NEED: &str = "shared-network";
pub(crate) const CHANGED_NEED: &str = "rest-api-network";
/// The role that CloudFormation works with.
pub(crate) const EXECUTION: &str = "role/xtask/execution";
pub(crate) const BOUNDARY: &str = "policy/xtask/boundary";

/// Secrets of the container that `bootstrap` was run for, since they are not below the stack's own path.
const ELSEWHERE: [(&str, &str); 2] = [("ssm", "parameter/shared/KEY"), ("secretsmanager", "secret:team/db-a1B2c3")];

/// How the names of the template's own policies begin here.
const ATTACHED: &str = "arn:aws:iam::aws:policy/this-template/";

/// A role, ready to be made.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    /// Its policies, whether they are inside of it or attached.
    pub(crate) policies: Vec<Value>,
    pub(crate) boundary: Option<Value>,
    pub(crate) trust: Value,
}

/// All roles of one environment, in one account.
pub(crate) struct Roles {
    pub(crate) account: String,
    pub(crate) read: Role,
    pub(crate) plan: Role,
    pub(crate) deploy: Role,
    pub(crate) execution: Role,
    /// Of the Fargate template.
    pub(crate) task: Role,
    pub(crate) task_execution: Role,
    /// Of the EC2 template.
    pub(crate) instance: Role,
}

impl Roles {
    /// Those of an environment that may write into a zone, released from `owner/repo`, in either form of `sub`.
    pub(crate) fn of(account: &str) -> Result<Self> {
        Self::around(account, STACK, STACK, STACK)
    }

    /// Those of an environment of which there are many, with the tasks of one of them.
    pub(crate) fn many(account: &str) -> Result<Self> {
        Self::around(account, &format!("{MANY}-*"), MANY, ONE)
    }

    fn around(account: &str, stacks: &str, prefix: &str, name: &str) -> Result<Self> {
        let [before, pipeline] = before(account, stacks, &format!("{prefix}-"))?;
        let boundary = policy(&before, "PermissionsBoundary")?;
        let image = format!("{account}.dkr.ecr.{REGION}.amazonaws.com/rest-api@sha256:{}", "0".repeat(64));
        let arn = format!("arn:aws:iam::{account}:{BOUNDARY}");
        let given = [
            ("ContainerURI", image.as_str()),
            ("RepositoryName", "rest-api"),
            ("PermissionsBoundary", arn.as_str()),
            ("ExecuteCommand", "true"),
        ];
        let fargate = stack("api-backend-fargate.yaml", account, name, &given)?;
        let ec2 = stack("api-backend.yaml", account, name, &given[..3])?;
        let bounded = Some(&boundary);
        Ok(Self {
            account: account.to_owned(),
            read: role(&pipeline, "ReadRole", None)?,
            plan: role(&pipeline, "PlanRole", None)?,
            deploy: role(&pipeline, "DeployRole", None)?,
            execution: role(&before, "ExecutionRole", None)?,
            task: role(&fargate, "TaskRole", bounded)?,
            task_execution: role(&fargate, "ExecutionRole", bounded)?,
            instance: role(&ec2, "EC2Role", bounded)?,
        })
    }

    /// A name in this account and region.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        let region = if ["iam", "cloudfront", "sts"].contains(&service) { "" } else { REGION };
        format!("arn:aws:{service}:{region}:{}:{resource}", self.account)
    }
}

/// What an administrator deploys before an environment of these stacks, the roles of which have names that begin so: the
/// stacks of `bootstrap.yaml` and `pipeline.yaml`, released from `owner/repo`, in either form of `sub`.
pub(crate) fn before(account: &str, stacks: &str, prefix: &str) -> Result<[Stack; 2]> {
    let environment = [("EnvironmentStack", stacks), ("RolePrefix", prefix), ("RepositoryName", "rest-api")];
    let elsewhere = ELSEWHERE.map(|(service, name)| format!("arn:aws:{service}:{REGION}:{account}:{name}")).join(",");
    let own = [&environment[..], &[("HostedZoneId", "Z1"), ("SecretArns", &elsewhere)]].concat();
    let subjects = "repo:owner/repo:environment:production,repo:owner@7/repo@70:environment:production";
    let plans = subjects.replace(":production", ":production-plan");
    let looks = ["pull_request", "ref:refs/heads/main"];
    let looks = looks.map(|what| format!("repo:owner/repo:{what},repo:owner@7/repo@70:{what}")).join(",");
    let arns = |stacks: &[&str]| {
        let arn = |stack: &&str| format!("arn:aws:cloudformation:{REGION}:{account}:stack/{stack}/*");
        stacks.iter().map(arn).collect::<Vec<_>>().join(",")
    };
    let (changed, read) = (arns(&[stacks, CHANGED_NEED]), arns(&[stacks, READ_NEED, CHANGED_NEED]));
    let execution = format!("arn:aws:iam::{account}:{EXECUTION}");
    let github = [
        ("StackArns", changed.as_str()),
        ("ReadStackArns", read.as_str()),
        ("ExecutionRoleArn", execution.as_str()),
        ("Subjects", subjects),
        ("PlanSubjects", plans.as_str()),
        ("ReadSubjects", looks.as_str()),
        ("RepositoryId", "70"),
        ("GitHubEnvironment", "production"),
        ("PlanEnvironment", "production-plan"),
    ];
    Ok([
        stack("bootstrap.yaml", account, "rest-api-production-bootstrap", &own)?,
        stack("pipeline.yaml", account, "rest-api-production-pipeline", &[&environment[..], &github].concat())?,
    ])
}

/// A template with the names that its resources would have.
pub(crate) fn stack(file: &str, account: &str, name: &str, given: &[(&str, &str)]) -> Result<Stack> {
    let path = template::directory().join(file);
    let mut template = template::load(&path)?;
    if template["Metadata"]["Release"].get("Container").is_some() {
        let file = Template::read(file, std::fs::read_to_string(&path)?)?;
        template = template::read(&file.with_container(&secrets(account, name))?.body)?;
    }
    for (id, resource) in template["Resources"].clone().as_object().context("resources")? {
        let arn = match (id.as_str(), resource["Type"].as_str().unwrap_or_default()) {
            ("ExecutionRole", "AWS::IAM::Role") if file == "bootstrap.yaml" => {
                format!("arn:aws:iam::{account}:{EXECUTION}")
            }
            (_, "AWS::IAM::Role") => format!("arn:aws:iam::{account}:role/{name}-{id}-1"),
            (_, "AWS::Logs::LogGroup") => format!("arn:aws:logs:{REGION}:{account}:log-group:{name}-{id}-1:*"),
            _ => continue,
        };
        replace(&mut template, &serde_json::json!({"Fn::GetAtt": [id, "Arn"]}), &arn);
    }
    let names = [
        ("AWS::AccountId", account.to_owned()),
        ("AWS::Partition", "aws".to_owned()),
        ("AWS::Region", REGION.to_owned()),
        ("AWS::StackName", name.to_owned()),
        ("AWS::StackId", format!("arn:aws:cloudformation:{REGION}:{account}:stack/{name}/1")),
        ("AWS::URLSuffix", "amazonaws.com".to_owned()),
    ];
    let own = [
        ("PermissionsBoundary", format!("arn:aws:iam::{account}:{BOUNDARY}")),
        ("ConfigurationPermissions", format!("{ATTACHED}ConfigurationPermissions")),
        ("DatabasePermissions", format!("{ATTACHED}DatabasePermissions")),
        ("NetworkPermissions", format!("{ATTACHED}NetworkPermissions")),
        ("PublishPermissions", format!("{ATTACHED}PublishPermissions")),
        ("ReadPermissions", format!("{ATTACHED}ReadPermissions")),
        ("RegionalPermissions", format!("{ATTACHED}RegionalPermissions")),
        ("OriginSecret", format!("arn:aws:secretsmanager:{REGION}:{account}:secret:OriginSecret-1")),
    ];
    let own = own.into_iter().filter(|(id, _)| template["Resources"].get(id).is_some());
    let text = |(name, value): (&str, String)| (name.to_owned(), value);
    let parameters = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let names = names.into_iter().chain(own).map(text).collect();
    Ok(Stack { template, parameters, names, variables: BTreeMap::new() })
}

/// The secrets of a stack's container: one of its own, one that `bootstrap` does not know, and those of [`ELSEWHERE`], all
/// with a customer's key.
fn secrets(account: &str, name: &str) -> Additions {
    let key = format!("arn:aws:kms:{REGION}:{account}:key/2");
    let arns = ELSEWHERE.map(|(service, name)| format!("arn:aws:{service}:{REGION}:{account}:{name}"));
    let own = [format!("/secrets/{name}/PASSWORD"), "/unknown/KEY".to_owned()];
    let secret = |(number, text): (usize, &String)| {
        let reference = SecretReference::parse(text).expect("a reference");
        (format!("SECRET_{number}"), Secret { reference, version: None, key: Some(key.clone()) })
    };
    Additions { secrets: own.iter().chain(&arns).enumerate().map(secret).collect(), ..Additions::default() }
}

fn replace(value: &mut Value, what: &Value, with: &str) {
    if value == what {
        *value = with.into();
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, what, with)),
        Value::Object(object) => object.values_mut().for_each(|item| replace(item, what, with)),
        _ => {}
    }
}

fn role(stack: &Stack, id: &str, boundary: Option<&Value>) -> Result<Role> {
    let properties = &stack.template["Resources"][id]["Properties"];
    let trust = &properties["AssumeRolePolicyDocument"];
    let trust = stack.resolve(trust)?.with_context(|| format!("{id} trusts nobody"))?;
    let asked = stack.resolve(&properties["PermissionsBoundary"])?.filter(|arn| !arn.is_null());
    anyhow::ensure!(asked.is_some() == boundary.is_some(), "{id} has the boundary {asked:?}");
    let mut policies = inside(stack, id)?;
    let attached = stack.resolve(&properties["ManagedPolicyArns"])?.unwrap_or_default();
    for arn in attached.as_array().into_iter().flatten().filter_map(Value::as_str) {
        // The others are AWS's own.
        if let Some(id) = arn.strip_prefix(ATTACHED) {
            policies.push(policy(stack, id)?);
        }
    }
    Ok(Role { policies, boundary: boundary.cloned(), trust })
}

/// The documents that are inside a role.
fn inside(stack: &Stack, id: &str) -> Result<Vec<Value>> {
    let policies = stack.resolve(&stack.template["Resources"][id]["Properties"]["Policies"])?.unwrap_or_default();
    let policies = policies.as_array().cloned().unwrap_or_default();
    Ok(policies.into_iter().map(|mut policy| policy["PolicyDocument"].take()).collect())
}

fn policy(stack: &Stack, id: &str) -> Result<Value> {
    let document = &stack.template["Resources"][id]["Properties"]["PolicyDocument"];
    stack.resolve(document)?.with_context(|| format!("{id} has no document"))
}
