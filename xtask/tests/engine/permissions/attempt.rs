//! An attempt as a call: whatever has to be said to be understood, of things that need not be there.

use anyhow::Result;
use serde_json::{Value, json};

use super::cases::Case;
use super::is_beyond;
use crate::client::Answer;
use crate::signed::Caller;

/// Calls whose resource the emulator takes for another one, and so refuses what a policy about the right one allows. That
/// it refuses the rest counts all the same.
const MISTAKEN: [(&str, &str); 8] = [
    ("cloudformation:SignalResource", "it knows no resource here"),
    ("ecs:DescribeServices", "it knows no resource here"),
    ("ecs:DescribeTasks", "it knows no resource here"),
    ("ecs:StopTask", "it knows no resource here"),
    ("ecs:TagResource", "it knows no resource here"),
    ("logs:CreateLogStream", "it names the group without the end `:*` or `:log-stream:…`"),
    ("logs:PutLogEvents", "it names the group without the end `:*` or `:log-stream:…`"),
    ("ssm:GetParameters", "it puts the caller's account into the names of AWS's public parameters"),
];

/// Makes the call; `None` where the emulator does not check what decides, or does not know the call.
///
/// It knows no key of CloudFormation's or IAM's own (`cloudformation:RoleArn`, `iam:PassedToService`,
/// `iam:PermissionsBoundary`), no tags of things that are not there, and no permission to pass a role.
pub(super) fn make(caller: &Caller, case: &Case) -> Result<Option<Answer>> {
    if case.allowed && MISTAKEN.iter().any(|(action, _)| *action == case.action) {
        return Ok(None);
    }
    let Some((service, action)) = case.action.split_once(':').filter(|_| !is_beyond(case)) else { return Ok(None) };
    // arn:aws:SERVICE:REGION:ACCOUNT:KIND/NAME
    let resource = case.resource.splitn(6, ':').nth(5).unwrap_or_default();
    let name = resource.split_once(['/', ':']).map_or(resource, |(_, name)| name);
    let first = name.split('/').next().unwrap_or_default();
    let answer = match service {
        "cloudformation" => caller.form(service, &of_stack(action, first)),
        "sts" => caller.form(
            service,
            &[("Action", action), ("Version", "2011-06-15"), ("RoleArn", &case.resource), ("RoleSessionName", "suite")],
        ),
        "iam" if action != "PassRole" => {
            let last = name.rsplit('/').next().unwrap_or_default();
            caller.form(service, &of_identity(action, last, &case.resource))
        }
        "ec2" => caller.form(
            service,
            &[("Action", action), ("Version", "2016-11-15"), ("CidrBlock", "10.0.0.0/16"), ("InstanceId.1", "i-1")],
        ),
        "ecr" => caller.json(service, &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), &of_image(name)),
        "ssm" => caller.json(service, &format!("AmazonSSM.{action}"), &of_parameter(name)),
        "logs" => {
            let group = name.split(":log-stream:").next().unwrap_or_default();
            caller.json(service, &format!("Logs_20140328.{action}"), &of_log(group))
        }
        "ecs" => {
            let (cluster, last) = name.split_once('/').unwrap_or((name, ""));
            let input = json!({"cluster": cluster, "services": [last], "tasks": [last], "service": last});
            caller.json(service, &format!("AmazonEC2ContainerServiceV20141113.{action}"), &input)
        }
        "secretsmanager" => {
            caller.json(service, &format!("secretsmanager.{action}"), &json!({"SecretId": case.resource, "Name": name}))
        }
        _ => return Ok(None),
    };
    answer.map(Some)
}

fn of_stack<'a>(action: &'a str, stack: &'a str) -> [(&'a str, &'a str); 7] {
    [
        ("Action", action),
        ("Version", "2010-05-15"),
        ("StackName", stack),
        ("ChangeSetName", "xtask-1"),
        ("TemplateBody", "Resources: {Group: {Type: AWS::Logs::LogGroup}}"),
        ("LogicalResourceId", "EC2Instance"),
        ("UniqueId", "i-1"),
    ]
}

fn of_identity<'a>(action: &'a str, name: &'a str, arn: &'a str) -> [(&'a str, &'a str); 8] {
    [
        ("Action", action),
        ("Version", "2010-05-08"),
        ("RoleName", name),
        ("UserName", name),
        ("PolicyName", "more"),
        ("PolicyArn", arn),
        ("PolicyDocument", r#"{"Version":"2012-10-17","Statement":[]}"#),
        ("AssumeRolePolicyDocument", r#"{"Version":"2012-10-17","Statement":[]}"#),
    ]
}

fn of_image(repository: &str) -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    json!({
        "repositoryName": repository,
        "repositoryNames": [repository],
        "imageIds": [{"imageTag": "v1"}],
        "imageManifest": "{}",
        "imageTag": "v1",
        "layerDigest": digest,
        "layerDigests": [digest],
        "lifecyclePolicyText": "{}",
        "uploadId": "1",
        "partFirstByte": 0,
        "partLastByte": 1,
        "layerPartBlob": "eA==",
    })
}

fn of_parameter(name: &str) -> Value {
    let name = format!("/{name}");
    json!({"Name": name, "Names": [name], "Path": name, "Value": "x", "Type": "String", "Overwrite": true})
}

fn of_log(group: &str) -> Value {
    json!({
        "logGroupName": group,
        "logStreamName": "api",
        "logEvents": [{"timestamp": 1_767_323_045_000_i64, "message": "x"}],
        "retentionInDays": 7,
    })
}
