//! Single options of the templates: what they refuse, and what they come to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use fancy_regex::Regex;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{render, rendered, template, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("options::what_does_not_go_together_is_refused", refusals),
        test("options::government_users_sign_in_at_the_host_that_is_there", sign_in),
        test("options::spare_capacity_is_there_only_where_it_is_asked_for", spare_capacity),
        test("options::the_listener_sends_requests_where_the_tasks_are", weights),
        test("options::the_stages_name_is_removed_and_nothing_else", rewrites),
    ]
}

fn rendering(file: &str, given: &[(&str, &str)]) -> Result<Value> {
    let image = format!("example.com/rest-api@sha256:{}", "0".repeat(64));
    let mut all: BTreeMap<String, String> = BTreeMap::from([("AWS::Region".to_owned(), "eu-central-1".to_owned())]);
    if file == "api-backend-fargate.yaml" {
        let always = [("ContainerURI", image.as_str()), ("RepositoryName", "rest-api"), ("NetworkStack", "network")];
        all.extend(always.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    all.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    render::render(&template::load(&template::directory().join(file))?, &all)
}

const FARGATE: &str = "api-backend-fargate.yaml";
const DATABASE: &str = "database.yaml";

fn refusals() -> Result<()> {
    let network = ("NetworkStack", "network");
    let own = ("VpcId", "vpc-0123456789abcdef0");
    let subnets = ("PrivateSubnetIds", "subnet-0a,subnet-0b");
    for (file, given, expected) in [
        ("users.yaml", &[("Mfa", "ON")][..], "Mfa ON needs SmokeScopes"),
        ("users.yaml", &[("SmokeScopes", "api/access, api/admin")], "SmokeScopes must not be"),
        ("network.yaml", &[("CommandEndpoint", "true")], "CommandEndpoint is for Egress ENDPOINTS"),
        (FARGATE, &[("ExecuteCommand", "true")], "ExecuteCommand needs ReadonlyRootFilesystem false"),
        (FARGATE, &[("Cpu", "256"), ("Memory", "4096")], "Fargate combines Cpu 256 with"),
        (FARGATE, &[("Cpu", "512"), ("Memory", "512")], "Fargate combines Cpu 512 with"),
        (FARGATE, &[("Cpu", "1024"), ("Memory", "1024")], "Fargate combines Cpu 1024 with"),
        (FARGATE, &[("Cpu", "2048"), ("Memory", "3072")], "Fargate combines Cpu 2048 with"),
        (FARGATE, &[("Cpu", "4096"), ("Memory", "4096")], "Fargate combines Cpu 4096 with"),
        (FARGATE, &[("ContainerUser", "nobody")], "ContainerUser must not be"),
        (DATABASE, &[], "a network is needed"),
        (DATABASE, &[network, own], "exclude each other"),
        (DATABASE, &[own, ("ClientSecurityGroupId", "sg-0a")], "VpcId needs PrivateSubnetIds"),
        (DATABASE, &[own, subnets], "VpcId needs ClientSecurityGroupId"),
        (DATABASE, &[network, ("DatabaseName", "1st")], "DatabaseName must not be"),
        (DATABASE, &[network, ("MasterUsername", "admin")], "MasterUsername must not be"),
        (DATABASE, &[network, ("MasterUsername", "pg_owner")], "MasterUsername must not be"),
        (DATABASE, &[network, ("MasterUsername", "a\"b")], "MasterUsername must not be"),
        (DATABASE, &[network, ("EngineVersion", "17.4")], "EngineVersion must not be"),
        (DATABASE, &[network, ("BackupRetentionPeriod", "0")], "BackupRetentionPeriod must not be"),
    ] {
        let refusal = rendering(file, given).err().map(|error| format!("{error:#}"));
        ensure!(refusal.as_ref().is_some_and(|refusal| refusal.contains(expected)), "{file} {given:?}: {refusal:?}");
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-cog.html>
fn sign_in() -> Result<()> {
    for (region, expected) in [("eu-central-1", ".auth.eu-central-1."), ("us-gov-west-1", ".auth-fips.us-gov-west-1.")]
    {
        let whole = rendering("users.yaml", &[("AWS::Region", region)])?;
        let address = whole["Outputs"]["SignInUrl"]["Value"].to_string();
        ensure!(address.contains(expected), "{region}: {address}");
    }
    Ok(())
}

fn spare_capacity() -> Result<()> {
    let (mut with, mut without) = (0, 0);
    for one in rendered::all()?.iter().filter(|one| one.file == FARGATE) {
        let asked = one.parameters["SpotPercent"] != "NONE";
        *if asked { &mut with } else { &mut without } += 1;
        // A new stack gets its service in a second update.
        for resource in ["Cluster", "Service"].iter().take(if one.parameters["Serves"] == "true" { 2 } else { 1 }) {
            let mentions = one.template["Resources"][resource].to_string().contains("FARGATE_SPOT");
            ensure!(
                mentions == asked,
                "{}: {resource} with SpotPercent {}",
                one.combination,
                one.parameters["SpotPercent"]
            );
        }
    }
    ensure!(with > 0 && without > 0, "{with} with, {without} without");
    Ok(())
}

fn weights() -> Result<()> {
    let body = template::load(&template::directory().join(FARGATE))?;
    let release = &body["Metadata"]["Release"]["Weights"];
    ensure!(
        release["Parameter"] == "LiveTargetGroup" && release["Rules"] == json!(["GatewayRule", "ProofRule"]),
        "{release}"
    );
    let values = release["Values"].as_object().context("no values")?;
    let allowed: Vec<&String> = values.keys().collect();
    let declared = body["Parameters"]["LiveTargetGroup"]["AllowedValues"].as_array().context("no values")?;
    ensure!(
        declared.len() == 2 && declared.iter().all(|one| allowed.iter().any(|name| one == name.as_str())),
        "{declared:?}"
    );
    for (value, live) in values {
        let whole = rendering(FARGATE, &[("LiveTargetGroup", value), ("ShiftReady", "true")])?;
        for rule in ["GatewayRule", "ProofRule"] {
            let actions = &whole["Resources"][rule]["Properties"]["Actions"];
            let groups = actions[0]["ForwardConfig"]["TargetGroups"].as_array().context("no target groups")?;
            let weight = |group: &Value| (group["TargetGroupArn"]["Ref"] == *live, group["Weight"].as_u64());
            let mut found: Vec<_> = groups.iter().map(weight).collect();
            found.sort_unstable();
            ensure!(found == [(false, Some(0)), (true, Some(1))], "{rule} with {value}: {actions}");
        }
    }
    Ok(())
}

/// The load balancer matches the path together with the query.
fn rewrites() -> Result<()> {
    let whole = rendering(FARGATE, &[("ShiftReady", "true")])?;
    for rule in ["GatewayRule", "ProofRule"] {
        let transforms = &whole["Resources"][rule]["Properties"]["Transforms"];
        let rewrite = &transforms[0]["UrlRewriteConfig"]["Rewrites"][0];
        let pattern = rewrite["Regex"].as_str().with_context(|| format!("{rule}: {transforms}"))?;
        let replacement = rewrite["Replace"].as_str().context("no replacement")?;
        for (sent, expected) in [
            ("/production", "/"),
            ("/production/", "/"),
            ("/production?name=a", "/?name=a"),
            ("/production/?name=a/b", "/?name=a/b"),
            ("/production/api/greeting", "/api/greeting"),
            ("/production/api/greeting?name=/production/?x", "/api/greeting?name=/production/?x"),
            ("/production/production/a", "/production/a"),
            ("/productions", "/productions"),
            ("/productions?a", "/productions?a"),
            ("/api/production", "/api/production"),
            ("/api?to=/production/a", "/api?to=/production/a"),
            ("/", "/"),
        ] {
            let got = Regex::new(pattern)?.replace(sent, replacement).into_owned();
            ensure!(got == expected, "{rule}: {sent} becomes {got}");
        }
    }
    Ok(())
}
