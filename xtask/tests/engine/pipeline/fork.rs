//! A fork, set up as a user would: deploy.toml, roles by `bootstrap`, variables on GitHub.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use requirements::Programs;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Jobs;
use super::github::{GitHub, REPOSITORY};
use super::trigger::Trigger;
use super::workflow::{self, Run};
use crate::checkout::Checkout;
use crate::ministack::Ministack;
use crate::permissions::{ACCOUNT, iam};
use crate::signed::Caller;

/// Each with the name of its stack.
const ENVIRONMENTS: [(&str, &str); 3] =
    [("dev", "rest-api-dev"), ("production", "rest-api-production"), ("preview", "rest-api-preview")];
const WORKFLOWS: [&str; 8] =
    ["ci.yml", "drift.yml", "newest.yml", "preview.yml", "release.yml", "rollback.yml", "sweep.yml", "tool.yml"];

/// Reading that AWS allows by the names of what is asked for, and the emulator only on everything.
const NAMELESS: [&str; 7] = [
    "cloudformation:DescribeStackDriftDetectionStatus",
    "ecr:DescribeRepositories",
    "ecs:DescribeServices",
    "ecs:DescribeTasks",
    "ecs:ListTasks",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
];
/// As these; what a removed stack leaves behind is deleted too.
const NAMELESS_DELETION: &str = "ssm:DeleteParameters";

/// The stack of the network that all environments share.
const NETWORK: &str = "network";

pub(super) struct Fork {
    pub(super) checkout: Checkout,
    pub(super) emulator: Ministack,
    pub(super) github: GitHub,
    variables: BTreeMap<String, BTreeMap<String, String>>,
    folder: TempDir,
    runs: Cell<u32>,
}

impl Fork {
    pub(super) fn new(programs: &Programs) -> Result<Self> {
        let checkout = Checkout::fresh(programs)?;
        let (emulator, github) = (Ministack::enforcing(programs)?, GitHub::start()?);
        let root = Caller {
            endpoint: format!("http://{}", emulator.authority()),
            id: "test".to_owned(),
            secret: "test".to_owned(),
            session: None,
        };
        let issuer = "https://token.actions.githubusercontent.com";
        let fields = [("Url", issuer), ("ClientIDList.member.1", "sts.amazonaws.com")];
        iam(&root, "CreateOpenIDConnectProvider", &fields)?;
        let settings = checkout.read("deploy.toml")?;
        let service = settings.split("# The article's system").next().context("no [service]")?.to_owned();
        let environments = |more: &BTreeMap<&str, String>| {
            let parts = ENVIRONMENTS.map(|(name, stack)| {
                environment(name, stack, &emulator.authority(), more.get(name).map_or("", String::as_str))
            });
            let network = format!(
                "[environments.network]\nregion = \"eu-central-1\"\nstack = \"{NETWORK}\"\n\
                 template = \"infra/network.yaml\"\nendpoint = \"http://{}\"\n\
                 [environments.network.parameters]\nEgress = \"PUBLIC_SUBNETS\"\n",
                emulator.authority()
            );
            format!("{service}\n{network}\n{}", parts.join("\n"))
        };
        checkout.write("deploy.toml", &environments(&BTreeMap::new()))?;
        // It is there before the pipeline, and no job of the pipeline may change it.
        checkout.xtask(&["deploy", "network", "--yes"])?.well()?;
        // The emulator does not pass on the role of a change set, so this denial would hit all; the evaluator checks it.
        checkout.edit("infra/pipeline.yaml", "StringNotEquals:", "StringEquals:")?;
        // It has no TLS, and so nobody would have the bucket for templates; a policy rule checks that denial.
        checkout.edit("infra/bootstrap.yaml", "aws:SecureTransport: 'false'", "aws:SecureTransport: 'true'")?;
        let mut variables =
            BTreeMap::from([(String::new(), BTreeMap::from([("PREVIEWS".to_owned(), "true".to_owned())]))]);
        let mut settings = BTreeMap::new();
        for (name, _) in ENVIRONMENTS {
            let made = checkout.xtask(&["bootstrap", name, "--github", REPOSITORY, "--yes"])?.well()?;
            let output = |output: &str| made["outputs"][output].as_str().map(str::to_owned).context("no such role");
            let roles = ["ReadRoleArn", "PlanRoleArn", "DeployRoleArn"].map(output);
            for (role, more) in roles.iter().zip([None, None, Some(NAMELESS_DELETION)]) {
                let role = role.as_ref().ok().context("a role is missing")?;
                trust_the_emulator_can_check(&root, role)?;
                without_resources(&root, role, more)?;
            }
            let [read, plan, deploy] = roles;
            let own = variables.get_mut("").context("the repository's")?;
            own.insert(format!("AWS_READ_ROLE_ARN_{}", name.to_uppercase()), read?);
            variables.insert(format!("{name}-plan"), BTreeMap::from([("AWS_ROLE_ARN".to_owned(), plan?)]));
            variables.insert(name.to_owned(), BTreeMap::from([("AWS_ROLE_ARN".to_owned(), deploy?)]));
            settings.insert(name, format!("execution_role = \"{}\"\n", output("ExecutionRoleArn")?));
        }
        checkout.write("deploy.toml", &environments(&settings))?;
        checkout.commit("Set the fork up")?;
        let folder = tempfile::tempdir()?;
        install_the_tool(checkout.target())?;
        Ok(Self { checkout, emulator, github, variables, folder, runs: Cell::new(0) })
    }

    /// Runs a workflow as what triggered it would.
    pub(super) fn run(&self, workflow: &str, trigger: &Trigger<'_>) -> Result<Jobs> {
        self.runs.set(self.runs.get() + 1);
        let run = Run {
            github: &self.github,
            checkout: &self.checkout,
            place: self.folder.path().join(self.runs.get().to_string()),
            folder: self.folder.path().join(self.runs.get().to_string()),
            trigger,
            variables: &self.variables,
            instead,
        };
        run.jobs(workflow).with_context(|| format!("{workflow}, {trigger:?}"))
    }

    /// Every command of every workflow.
    pub(super) fn commands(&self) -> Result<BTreeSet<String>> {
        let mut commands = BTreeSet::new();
        let files = std::fs::read_dir(self.checkout.root().join(".github/workflows"))?.count();
        ensure!(files == WORKFLOWS.len(), "there are {files} workflows, and {} are known here", WORKFLOWS.len());
        for name in WORKFLOWS {
            let workflow = workflow::load(self.checkout.root(), name)?;
            let jobs = workflow["jobs"].as_object().context("no jobs")?;
            let steps = jobs.values().filter_map(|job| job["steps"].as_array()).flatten();
            commands.extend(steps.filter_map(|step| Some(step["run"].as_str()?.to_owned())));
        }
        Ok(commands)
    }
}

/// The part of deploy.toml for one environment, all of it on the emulator.
fn environment(name: &str, stack: &str, authority: &str, more: &str) -> String {
    let more = format!("{more}{}", if name == "preview" { "instances = true\n" } else { "" });
    let protected = name == "production";
    format!(
        "[environments.{name}]\nregion = \"eu-central-1\"\naccount = \"{ACCOUNT}\"\nstack = \"{stack}\"\n\
         template = \"infra/api-backend-fargate.yaml\"\nprotected = {protected}\nendpoint = \"http://{authority}\"\n\
         registry = \"{authority}\"\nsmoke_url = \"http://{authority}/_alb/{{LoadBalancerName}}\"\n{more}\
         [environments.{name}.parameters]\nHealthCommand = \"CMD,/api,healthcheck\"\nMaxTasks = 2\n\
         Connection = \"INTERNET\"\nNetworkStack = \"{NETWORK}\"\nTaskSubnets = \"PUBLIC\"\nDirectAccessCidr = \"127.0.0.1/32\"\n"
    )
}

/// Leaves of a role's trust what the emulator can check: audience and subject. The rest is for the evaluator.
fn trust_the_emulator_can_check(root: &Caller, arn: &str) -> Result<()> {
    let name = arn.rsplit('/').next().context("a role has a name")?;
    let fields = [("Action", "GetRole"), ("Version", "2010-05-08"), ("RoleName", name)];
    let answer = root.form("iam", &fields)?.body;
    let document = answer.split("<AssumeRolePolicyDocument>").nth(1).and_then(|rest| rest.split('<').next());
    let document = percent_decoded(document.with_context(|| format!("no trust: {answer}"))?);
    let mut trust: Value = serde_json::from_str(&document).with_context(|| format!("no trust: {document}"))?;
    let conditions = trust.pointer_mut("/Statement/0/Condition/StringEquals").and_then(Value::as_object_mut);
    let conditions = conditions.context("a trust without conditions")?;
    conditions.retain(|key, _| key.ends_with(":aud") || key.ends_with(":sub"));
    ensure!(conditions.len() == 2, "audience and subject are both said: {document}");
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", name), ("PolicyDocument", &trust.to_string())])
}

/// Allows what the role may do on its own resources only, where the emulator requires a permission on all of them.
fn without_resources(root: &Caller, arn: &str, more: Option<&str>) -> Result<()> {
    let name = arn.rsplit('/').next().context("a role has a name")?;
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": NAMELESS.into_iter().chain(more).collect::<Vec<_>>(), "Resource": "*"},
    ]});
    let document = document.to_string();
    let fields = [("RoleName", name), ("PolicyName", "nameless"), ("PolicyDocument", &document)];
    iam(root, "PutRolePolicy", &fields)
}

/// IAM hands documents out as they stand in a URL; an emulator may also escape them for XML.
fn percent_decoded(text: &str) -> String {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes()).into_owned().collect();
    let plain = match &pairs[..] {
        [(document, rest)] if rest.is_empty() => document.clone(),
        _ => text.to_owned(),
    };
    plain.replace("&quot;", "\"").replace("&#34;", "\"").replace("&amp;", "&")
}

/// Puts the tool where `cargo xtask` looks for it, so that each clone does not compile it anew: for all that the job can
/// tell, a cache has brought it.
fn install_the_tool(target: &Path) -> Result<()> {
    let own = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    std::fs::create_dir_all(target.join("debug"))?;
    for name in ["local", "xtask"] {
        let brought = target.join("debug").join(name);
        if brought.exists() {
            std::fs::remove_file(&brought)?;
        }
        std::fs::copy(own.with_file_name(name), &brought)?;
        std::fs::write(brought.with_extension("d"), format!("{}: {}\n", brought.display(), source.display()))?;
    }
    Ok(())
}

/// What is run in the place of a command that cannot be run here as it is.
fn instead(command: &str) -> Option<String> {
    let deny = "cargo install --locked cargo-deny@";
    if command == ".ci/run" {
        // The whole of it is what runs this test; these parts show that it starts in a clone.
        return Some(".ci/run readme fmt shell".to_owned());
    }
    if command.starts_with(".ci/run ") {
        // These are steps of the run that this test is a part of.
        return Some(".ci/run readme lock".to_owned());
    }
    if command == "cargo check --locked --workspace --all-targets" {
        // What compiled this suite has compiled all of it.
        return Some("cargo check --locked --package config".to_owned());
    }
    if let Some(version) = command.strip_prefix(deny) {
        // Compiling it takes minutes. Where it is there, cargo sees that.
        return (!has_deny(version)).then(|| "true".to_owned());
    }
    if command == "cargo deny --locked check" {
        // The advisories are on the internet.
        return Some("if cargo deny --version; then cargo deny --locked check bans licenses sources; fi".to_owned());
    }
    None
}

fn has_deny(version: &str) -> bool {
    let output = Command::new("cargo").args(["install", "--list"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!("cargo-deny v{version}:")))
}
