//! The user data of `infra/api-backend.yaml`, run: real engine, real registry, real nginx.
//!
//! Only `dnf`, `systemctl`, the metadata service and the AWS CLI are replaced. Nothing on the machine changes.

mod additions;
pub(crate) mod images;
mod instance;
#[path = "../infra/resolve.rs"]
pub(crate) mod resolve;
#[path = "../infra/template.rs"]
pub(crate) mod template;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{
    BASH, CURL, DOCKER, DOCKER_REGISTRY, HTPASSWD, NGINX, PYTHON, Programs, Requirement, SHELLCHECK, Suite, TAR,
    UNSHARE,
};
use tempfile::TempDir;

use self::images::PASSWORD;
use self::instance::{Instance, SECRET, own_template, stack, user_data};
use crate::conditions::{ENGINE, NAMESPACES};
use crate::registry::{Registry, run};

const REPORTED: &str = "i-0123456789abcdef0 EC2Instance arn:aws:cloudformation:eu-central-1:123456789012:stack/boot-";

/// What a boot takes, the programs that the user data calls included.
const NEEDED: [Requirement; 11] =
    [ENGINE, NAMESPACES, UNSHARE, BASH, CURL, DOCKER, DOCKER_REGISTRY, HTPASSWD, NGINX, PYTHON, TAR];

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    vec![
        suite.test("boot::a_healthy_container_serves_behind_the_header", &NEEDED, healthy),
        suite.test("boot::a_missing_image_fails_at_once", &NEEDED, missing_image),
        suite.test("boot::a_container_that_exits_fails_at_once", &NEEDED, exits),
        suite.test("boot::an_unhealthy_container_fails", &NEEDED, unhealthy),
        suite.test("boot::variables_and_secrets_arrive_and_nobody_else_sees_them", &NEEDED, additions::arrive),
        suite.test(
            "boot::a_command_before_that_fails_keeps_the_service_from_starting",
            &NEEDED,
            additions::a_command_that_fails,
        ),
        suite.test("boot::the_user_data_is_clean_for_shellcheck", &[SHELLCHECK], shellcheck),
    ]
}

fn healthy(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let image = images::push(programs, &registry, folder.path(), "serves")?;
    let settings = [("CorsOrigin", "https://app.example.com"), ("LogLevel", "warn"), ("TrustedProxies", "2")];
    let instance = Instance::boot(programs, stack(own_template()?, &image, &settings)?)?;
    let output = instance.output();
    ensure!(instance.signal()?.starts_with(&format!("SUCCESS {REPORTED}")), "{output}");

    for headers in ["", "X-Origin-Verify: guessed\r\n", "X-Origin-Verify:\r\n"] {
        let answer = instance.ask("/", headers)?;
        ensure!(answer.starts_with("HTTP/1.1 403 "), "with {headers:?}: {answer}");
    }
    let known = format!("X-Origin-Verify: {SECRET}\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n");
    let answer = instance.ask("/api/a%20b//c%2Fd?x=%2F&y=1", &known)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for expected in [
        "GET /api/a%20b//c%2Fd?x=%2F&y=1 HTTP/1.1\r\n",
        "Host: instance:8080\r\n",
        "X-Forwarded-For: 192.0.2.1, 127.0.0.1\r\n",
        "X-Forwarded-Proto: https\r\n",
    ] {
        ensure!(answer.contains(expected), "{expected:?} did not arrive: {answer}");
    }
    ensure!(!answer.to_lowercase().contains("x-origin-verify"), "the header reached the container: {answer}");

    let container = instance.container()?;
    let host = &container["HostConfig"];
    ensure!(host["ReadonlyRootfs"] == true && host["CapDrop"][0] == "ALL", "{host}");
    ensure!(host["RestartPolicy"]["Name"] == "unless-stopped", "{host}");
    ensure!(host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1", "{host}");
    let digest = image.split_once('@').context("no digest")?.1;
    let environment = container["Config"]["Env"].to_string();
    for variable in [
        &format!("IMAGE_DIGEST={digest}"),
        "API_CORS_ORIGINS=https://app.example.com",
        "API_DOCS=off",
        "API_LOG_FORMAT=json",
        "API_LOG_LEVEL=warn",
        "API_TRUSTED_PROXIES=2",
    ] {
        ensure!(environment.contains(&format!("\"{variable}\"")), "{variable} is missing: {environment}");
    }

    let settings = instance.engine_settings()?;
    ensure!(settings["log-driver"] == "awslogs" && settings["log-opts"]["mode"] == "non-blocking", "{settings}");
    ensure!(settings["log-opts"]["awslogs-stream"] == "i-0123456789abcdef0/service", "{settings}");
    ensure!(instance.boot_log()?.contains(&"boot: signalling SUCCESS".to_owned()), "{output}");
    ensure!(!output.contains(SECRET) && !output.contains(PASSWORD), "a secret was printed: {output}");
    ensure!(!container.to_string().contains(SECRET), "the container knows the secret");
    ensure!(instance.secret_file()? == "root 600\n", "others can read the secret: {}", instance.secret_file()?);
    ensure!(instance.leftovers()? == 0, "temporary files stay behind");
    Ok(())
}

fn missing_image(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let begun = Instant::now();
    let instance = Instance::boot(programs, stack(own_template()?, &images::missing(&registry), &[])?)?;
    failed(&instance, "the registry has no such image")?;
    ensure!(begun.elapsed() < Duration::from_secs(30), "a missing image was waited for");
    Ok(())
}

fn exits(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let image = images::push(programs, &registry, folder.path(), "exits")?;
    let begun = Instant::now();
    let instance = Instance::boot(programs, stack(own_template()?, &image, &[("StartupTimeout", "120")])?)?;
    failed(&instance, "the container is not running but exited, exit code 3")?;
    ensure!(instance.boot_log()?.contains(&"cannot reach the database".to_owned()), "no container log");
    ensure!(begun.elapsed() < Duration::from_secs(60), "a container that exited was waited for");
    Ok(())
}

fn unhealthy(programs: &Programs) -> Result<()> {
    let folder = TempDir::new()?;
    let registry = Registry::start(programs, folder.path(), PASSWORD)?;
    let image = images::push(programs, &registry, folder.path(), "unhealthy")?;
    let instance = Instance::boot(programs, stack(own_template()?, &image, &[("StartupTimeout", "5")])?)?;
    failed(&instance, "not healthy; the last answer was: 503")
}

/// The instance signalled failure and says why, on the console and in the boot log.
fn failed(instance: &Instance, reason: &str) -> Result<()> {
    let output = instance.output();
    ensure!(instance.signal()?.starts_with(&format!("FAILURE {REPORTED}")), "{output}");
    ensure!(output.contains(reason), "{reason:?} is missing: {output}");
    ensure!(instance.boot_log()?.iter().any(|line| line.contains(reason)), "the boot log has no {reason:?}");
    ensure!(!output.contains(PASSWORD) && !output.contains(SECRET), "a secret was printed: {output}");
    Ok(())
}

fn shellcheck(programs: &Programs) -> Result<()> {
    let image = format!("111111111111.dkr.ecr.eu-central-1.amazonaws.com/team/rest-api@sha256:{}", "0".repeat(64));
    let repository = "arn:aws:ecr:eu-west-1:222222222222:repository/team/rest-api";
    let relaxed = [
        ("ApiDocs", "true"),
        ("CorsOrigin", "https://app.example.com"),
        ("ReadOnlyRootFilesystem", "false"),
        ("DropCapabilities", "false"),
        ("RepositoryArn", repository),
    ];
    let plain = [&[][..], &relaxed].map(|parameters| user_data(&stack(own_template()?, &image, parameters)?));
    for user_data in plain.into_iter().chain([additions::linted(&image)]) {
        let user_data = user_data?;
        let length = user_data.len();
        ensure!(length * 10 <= 16_384 * 9, "user data has {length} bytes: EC2 takes 16384, and that is near");
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), user_data)?;
        run(programs.command(SHELLCHECK).args(["--norc", "--severity", "style"]).arg(file.path()))?;
    }
    Ok(())
}
