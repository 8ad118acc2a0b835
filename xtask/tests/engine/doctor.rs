//! `doctor` on an emulator that enforces permissions: in an account that has everything, and in an empty one as a caller with
//! hardly any permission.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{Programs, Suite};
use serde_json::{Value, json};

use crate::boot::template;
use crate::checkout::keeps_to_the_schema;
use crate::ministack::{self, Ministack, Names};
use crate::permissions::{ACCOUNT, Role, iam, taken};
use crate::signed::Caller;

const ECS: &str = "AWSServiceRoleForECS";
const SCALING: &str = "AWSServiceRoleForApplicationAutoScaling_ECSService";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let name = "doctor::it_reports_what_a_role_and_an_account_lack_and_changes_neither";
    vec![suite.test(name, ministack::needed(Names::Machine), test)]
}

fn test(programs: &Programs) -> Result<()> {
    let emulator = Ministack::enforcing(programs)?;
    reports(&emulator).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

fn reports(emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let root = Caller { endpoint, id: "test".to_owned(), secret: "test".to_owned(), session: None };
    let folder = tempfile::tempdir()?;
    let execution = format!("arn:aws:iam::{ACCOUNT}:role/execution");
    let settings = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
         template = \"infra/api-backend-fargate.yaml\"\naccount = \"{ACCOUNT}\"\nexecution_role = \"{execution}\"\n\
         [environments.dev.parameters]\nNetworkStack = \"rest-api-network\"\n"
    );
    std::fs::write(folder.path().join("deploy.toml"), settings)?;
    std::fs::create_dir(folder.path().join("infra"))?;
    let file = "api-backend-fargate.yaml";
    std::fs::copy(template::directory().join(file), folder.path().join("infra").join(file))?;

    let narrow = role(json!([{"Effect": "Allow", "Action": ["iam:*", "sts:*", "ssm:*"], "Resource": "*"}]));
    let narrow = taken(&root, "narrow", &narrow)?;
    let poor = doctor(folder.path(), &narrow)?;
    let lacks = |name: &str| check(&poor, name).map(|check| check["detail"].as_str().unwrap_or_default().to_owned());
    let permissions = lacks("permissions")?;
    ensure!(
        permissions.contains("cloudformation:CreateChangeSet") && permissions.contains("ecr:PutImage"),
        "{permissions}"
    );
    ensure!(!permissions.contains("ssm:PutParameter"), "what is allowed is not missed: {permissions}");
    ensure!(lacks("execution role")?.starts_with(&format!("{execution} does not exist")), "{poor}");
    ensure!(lacks("service roles")?.contains(ECS), "{poor}");
    // CloudFormation may not even be asked, which hides none of the rest.
    ensure!(lacks("stack")?.contains("AccessDenied"), "{poor}");

    // The policy that is printed is what doctor asks for.
    let printed = xtask(folder.path(), &["iam-policy", "dev", "--json"], &narrow)?;
    let mut statements = printed["policy"]["Statement"].as_array().context("no policy")?.clone();
    for statement in statements.iter_mut().filter_map(Value::as_object_mut) {
        // The emulator's simulator knows no context, so that no condition would ever hold.
        statement.remove("Condition");
        if statement["Sid"] == "Memory" {
            // It asks for several parameters as if they were all.
            statement.insert("Resource".to_owned(), json!("*"));
        }
    }
    let whole = taken(&root, "whole", &role(statements.into()))?;
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "cloudformation.amazonaws.com"}},
    ]});
    let trust = trust.to_string();
    // The emulator names the roles that a service makes otherwise than AWS.
    for role in ["execution", ECS, SCALING, "AWSServiceRoleForElasticLoadBalancing", "AWSServiceRoleForAPIGateway"] {
        iam(&root, "CreateRole", &[("RoleName", role), ("AssumeRolePolicyDocument", &trust)])?;
    }
    let before = account(&root)?;
    let rich = doctor(folder.path(), &whole)?;
    for name in ["template", "parameters", "account", "credentials", "stack", "permissions", "execution role"] {
        ensure!(check(&rich, name)?["ok"] == true && check(&rich, name)?.get("note").is_none(), "{name}: {rich}");
    }
    ensure!(check(&rich, "service roles")?["ok"] == true, "{rich}");
    ensure!(account(&root)? == before, "doctor has changed the account");
    Ok(())
}

fn role(statements: Value) -> Role {
    let policies = vec![json!({"Version": "2012-10-17", "Statement": statements})];
    Role { trust: json!({"Statement": [{"Effect": "Allow"}]}), policies, boundary: None }
}

/// The check of this name.
fn check<'a>(object: &'a Value, name: &str) -> Result<&'a Value> {
    let checks = object["checks"].as_array().context("no checks")?;
    checks.iter().find(|check| check["name"] == name).with_context(|| format!("no check {name}: {object}"))
}

/// What there is of what a release, or a careless look, would make.
fn account(root: &Caller) -> Result<Vec<String>> {
    let mut there = Vec::new();
    for (service, version, action) in [
        ("cloudformation", "2010-05-15", "ListStacks"),
        ("iam", "2010-05-08", "ListRoles"),
        ("ec2", "2016-11-15", "DescribeVpcs"),
    ] {
        let answer = root.form(service, &[("Action", action), ("Version", version)])?;
        // Every answer has a number of its own.
        let lines = answer.body.split('<').filter(|part| !part.to_lowercase().starts_with("requestid"));
        there.push(lines.collect::<Vec<_>>().join("<"));
    }
    for (service, target) in
        [("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"), ("ssm", "AmazonSSM.DescribeParameters")]
    {
        there.push(root.json(service, target, &json!({}))?.body);
    }
    Ok(there)
}

fn doctor(folder: &Path, caller: &Caller) -> Result<Value> {
    xtask(folder, &["doctor", "dev", "--json"], caller)
}

fn xtask(folder: &Path, arguments: &[&str], caller: &Caller) -> Result<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(folder)
        .env("AWS_ENDPOINT_URL", &caller.endpoint)
        .env("AWS_ACCESS_KEY_ID", &caller.id)
        .env("AWS_SECRET_ACCESS_KEY", &caller.secret)
        .env("AWS_SESSION_TOKEN", caller.session.as_deref().unwrap_or_default())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let object: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {said}"))?;
    keeps_to_the_schema(&object)?;
    Ok(object)
}
