//! `bootstrap` on an emulator, with the template as it is: made once, and left alone the second time.
//!
//! The emulator's CloudFormation does not know `AWS::IAM::OIDCProvider`, so the account has one before; that is what the
//! template's condition is for. The provider that a stack makes itself is not seen here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use requirements::Programs;
use serde_json::Value;

use super::{ACCOUNT, iam, template};
use crate::ministack::{Ministack, Names};
use crate::signed::Caller;

pub(super) fn test(programs: &Programs) -> Result<()> {
    let emulator = Ministack::start(programs, Names::Machine)?;
    made_once(&emulator).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

fn made_once(emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let folder = tempfile::tempdir()?;
    let settings = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
         template = \"infra/none.yaml\"\nendpoint = \"{endpoint}\"\n[environments.preview]\nregion = \"eu-central-1\"\n\
         stack = \"rest-api-preview\"\ntemplate = \"infra/none.yaml\"\nendpoint = \"{endpoint}\"\ninstances = true\n"
    );
    std::fs::write(folder.path().join("deploy.toml"), settings)?;
    std::fs::create_dir(folder.path().join("infra"))?;
    for name in ["infra/bootstrap.yaml", "infra/pipeline.yaml"] {
        std::fs::copy(template::directory().join("..").join(name), folder.path().join(name))?;
    }
    let root = Caller { endpoint, id: "test".to_owned(), secret: "test".to_owned(), session: None };
    let url = "https://token.actions.githubusercontent.com";
    let fields = [("Url", url), ("ClientIDList.member.1", "sts.amazonaws.com")];
    iam(&root, "CreateOpenIDConnectProvider", &fields)?;

    // Without GitHub there is one stack only.
    let alone = bootstrap(folder.path(), "dev", &[])?;
    ensure!(alone["change"] == "create" && alone["outputs"]["DeployRoleArn"].is_null(), "{alone}");
    let bucket = format!("xtask-templates-{ACCOUNT}-eu-central-1-an");
    ensure!(alone["outputs"]["TemplatesBucketName"] == bucket.as_str(), "{alone}");
    let first = bootstrap(folder.path(), "dev", &["--github", "octo/shop", "--api-gateway-logs"])?;
    ensure!(first["change"] == "create", "{first}");
    for (output, start) in [
        ("DeployRoleArn", format!("arn:aws:iam::{ACCOUNT}:role/xtask/")),
        ("ReadRoleArn", format!("arn:aws:iam::{ACCOUNT}:role/xtask/")),
        ("PlanRoleArn", format!("arn:aws:iam::{ACCOUNT}:role/xtask/")),
        ("ExecutionRoleArn", format!("arn:aws:iam::{ACCOUNT}:role/xtask/")),
        ("PermissionsBoundaryArn", format!("arn:aws:iam::{ACCOUNT}:policy/xtask/")),
        ("OidcProviderArn", format!("arn:aws:iam::{ACCOUNT}:oidc-provider/")),
        ("RepositoryUri", format!("{ACCOUNT}.dkr.ecr.")),
    ] {
        let value = first["outputs"][output].as_str().unwrap_or_default();
        ensure!(value.starts_with(&start), "{output} is {value}: {first}");
    }
    let repository = root.json(
        "ecr",
        "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        &serde_json::json!({"repositoryNames": ["rest-api"]}),
    )?;
    ensure!(repository.body.contains("\"IMMUTABLE\""), "tags cannot move: {repository:?}");

    // It finds the repository and the logging role that it made itself, and goes on to call them its own.
    let again = bootstrap(folder.path(), "dev", &["--github", "octo/shop", "--api-gateway-logs"])?;
    ensure!(again["change"] == "none", "{again}");
    let bare = bootstrap(folder.path(), "dev", &[])?;
    ensure!(bare["change"] == "none" && bare["outputs"] == first["outputs"], "{bare}");
    // Somebody else is trusted: that is a change.
    let other = bootstrap(folder.path(), "dev", &["--github", "octo/another"])?;
    ensure!(other["change"] == "update", "{other}");
    // What many instances share, beside it, with nothing made twice.
    let many = bootstrap(folder.path(), "preview", &["--github", "octo/shop"])?;
    ensure!(many["change"] == "create" && many["stack"] == "bootstrap-rest-api-preview", "{many}");
    let read = many["variables"]["AWS_READ_ROLE_ARN_PREVIEW"].as_str().unwrap_or_default();
    ensure!(read.contains(":role/xtask/") && first["outputs"]["ReadRoleArn"] != read, "{many}");
    Ok(())
}

fn bootstrap(folder: &Path, environment: &str, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args([&["bootstrap", environment, "--yes", "--json"], arguments].concat())
        .current_dir(folder)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_ENDPOINT_URL")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {said}"))
}
