//! The roles of the templates, with their policies as AWS would get them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::resolve::Stack;
use super::template;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const STACK: &str = "rest-api-production";
/// The role that CloudFormation works with.
pub(crate) const EXECUTION: &str = "role/xtask/execution";
pub(crate) const BOUNDARY: &str = "policy/xtask/boundary";

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
        let subjects = "repo:owner/repo:environment:production,repo:owner@7/repo@70:environment:production";
        let given = [
            ("EnvironmentStack", STACK),
            ("RolePrefix", "rest-api-production-"),
            ("RepositoryName", "rest-api"),
            ("Subjects", subjects),
            ("RepositoryId", "70"),
            ("GitHubEnvironment", "production"),
            ("HostedZoneId", "Z1"),
        ];
        let before = stack("bootstrap.yaml", account, "rest-api-production-bootstrap", &given)?;
        let boundary = policy(&before, "PermissionsBoundary")?;
        let execution = Role {
            policies: [inside(&before, "ExecutionRole")?, vec![policy(&before, "RegionalPermissions")?]].concat(),
            ..role(&before, "ExecutionRole", None)?
        };
        let image = format!("{account}.dkr.ecr.{REGION}.amazonaws.com/rest-api@sha256:{}", "0".repeat(64));
        let arn = format!("arn:aws:iam::{account}:{BOUNDARY}");
        let given = [
            ("ContainerURI", image.as_str()),
            ("RepositoryName", "rest-api"),
            ("PermissionsBoundary", arn.as_str()),
            ("ExecuteCommand", "true"),
        ];
        let fargate = stack("api-backend-fargate.yaml", account, STACK, &given)?;
        let ec2 = stack("api-backend.yaml", account, STACK, &given[..3])?;
        let bounded = Some(&boundary);
        Ok(Self {
            account: account.to_owned(),
            deploy: role(&before, "DeployRole", None)?,
            execution,
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

/// A template with the names that its resources would have.
pub(crate) fn stack(file: &str, account: &str, name: &str, given: &[(&str, &str)]) -> Result<Stack> {
    let mut template = template::load(&template::directory().join(file))?;
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
        ("RegionalPermissions", format!("arn:aws:iam::{account}:policy/xtask/regional")),
        ("OriginSecret", format!("arn:aws:secretsmanager:{REGION}:{account}:secret:OriginSecret-1")),
    ];
    let own = own.into_iter().filter(|(id, _)| template["Resources"].get(id).is_some());
    let text = |(name, value): (&str, String)| (name.to_owned(), value);
    let parameters = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let names = names.into_iter().chain(own).map(text).collect();
    Ok(Stack { template, parameters, names, variables: BTreeMap::new() })
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
    Ok(Role { policies: inside(stack, id)?, boundary: boundary.cloned(), trust })
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
