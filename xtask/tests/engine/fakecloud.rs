//! Both templates, whole, on fakecloud: opt-in, because installing that emulator takes longer than all other suites.
//!
//! `FAKECLOUD` names its program (`cargo install fakecloud --version 0.51.0 --locked`).

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::Support;
use crate::checkout::Checkout;
use crate::registry::{free_port, run};

const PROGRAM: &str = "FAKECLOUD";

pub(crate) fn trials(_: &Support) -> Vec<Trial> {
    // Not a counterpart that has to be there: chosen by its variable, wherever the suite runs.
    let chosen = Support { required: false };
    let missing =
        || std::env::var_os(PROGRAM).is_none().then(|| format!("opt-in: {PROGRAM} does not name its program"));
    vec![
        chosen.trial("fakecloud::the_ec2_stack_is_created_whole_and_then_left_alone", missing, whole),
        chosen.trial("fakecloud::the_default_fargate_stack_is_created_whole_and_its_tasks_run", missing, fargate),
    ]
}

struct Fakecloud {
    process: Child,
    port: u16,
    folder: TempDir,
    /// Networks on the engine that were there before.
    networks: BTreeSet<String>,
}

impl Fakecloud {
    fn start() -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let networks = networks()?;
        let log = File::create(folder.path().join("log"))?;
        let process = Command::new(std::env::var_os(PROGRAM).context("it was there a moment ago")?)
            .env("FAKECLOUD_ADDR", format!("127.0.0.1:{port}"))
            .env("FAKECLOUD_REGION", "eu-central-1")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let fakecloud = Self { process, port, folder, networks };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "it does not answer: {}", fakecloud.log());
            sleep(Duration::from_millis(100));
        }
        Ok(fakecloud)
    }

    /// The containers of images from its registry.
    fn tasks(&self) -> Result<Vec<String>> {
        let list = run(Command::new("docker").args(["ps", "--all", "--format", "{{.ID}} {{.Image}}"]))?;
        let own = format!(" 127.0.0.1:{}/", self.port);
        Ok(list.lines().filter_map(|line| line.split_once(&own).map(|(id, _)| id.to_owned())).collect())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Fakecloud {
    fn drop(&mut self) {
        self.process.kill().expect("it was started");
        self.process.wait().expect("it was started");
        // Its tasks outlive the stack, and the emulator.
        for id in self.tasks().unwrap_or_default() {
            let removed = run(Command::new("docker").args(["rm", "--force", "--volumes", &id]));
            assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
        }
        // Each subnet of a template becomes a network of the engine, which outlives the stack.
        for name in networks().unwrap_or_default().difference(&self.networks) {
            let removed = run(Command::new("docker").args(["network", "rm", name]));
            assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
        }
    }
}

fn networks() -> Result<BTreeSet<String>> {
    let list = run(Command::new("docker").args(["network", "ls", "--quiet", "--filter", "name=fakecloud-"]))?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn whole() -> Result<()> {
    let (checkout, fakecloud) = (Checkout::fresh()?, Fakecloud::start()?);
    let endpoint = format!("endpoint = \"http://127.0.0.1:{}\"\nstack = \"rest-api-dev\"", fakecloud.port);
    checkout.edit("deploy.toml", r#"stack = "rest-api-dev""#, &endpoint)?;
    let release = || checkout.xtask(&["release", "dev", "--yes", "--no-smoke"])?.well();

    let first = release().with_context(|| fakecloud.log())?;
    ensure!(first["change"] == "create", "{first}");
    let outputs = &first["outputs"];
    ensure!(outputs["InstanceId"].as_str().is_some_and(|id| id.starts_with("i-")), "{outputs}");
    ensure!(outputs["ApiGatewayURL"].as_str().is_some_and(|url| url.ends_with("/production")), "{outputs}");
    ensure!(outputs["ImageDigest"] == first["digest"], "{outputs}");
    let again = release()?;
    ensure!(again["change"] == "none" && again["pushed_bytes"] == 0, "{again}");

    let registry = format!("127.0.0.1:{}/rest-api", fakecloud.port);
    checkout.xtask(&["destroy", "dev", "--images", "--yes"])?.well()?;
    for id in run(Command::new("docker").args(["images", "--quiet", &registry]))?.lines() {
        run(Command::new("docker").args(["rmi", "--force", id]))?;
    }
    Ok(())
}

/// VPC link, NAT gateway, dashboard and all, with the defaults of all parameters but one.
fn fargate() -> Result<()> {
    let (checkout, fakecloud) = (Checkout::fresh()?, Fakecloud::start()?);
    let (stack, endpoint) = (r#"stack = "rest-api-production""#, format!("http://127.0.0.1:{}", fakecloud.port));
    checkout.edit("deploy.toml", stack, &format!("endpoint = \"{endpoint}\"\n{stack}"))?;
    checkout.edit("deploy.toml", "HealthCommand = \"CMD,/api,healthcheck\" # remove it", "# remove it")?;
    // The emulator cannot scale: it makes no number of a parameter's text.
    checkout.edit(
        "deploy.toml",
        "[environments.production.parameters]",
        "[environments.production.parameters]\nMaxTasks = 2",
    )?;
    // And it takes an empty list for one of something.
    let zones = "  HasZones: !Not [!Equals [!Select [0, !Ref AvailabilityZones], '']]";
    checkout.edit("infra/api-backend-fargate.yaml", zones, "  HasZones: !Equals [none, named]")?;
    checkout.commit("Move production")?;
    let release = || checkout.xtask(&["release", "production", "--yes", "--no-smoke"])?.well();
    let first = release().with_context(|| fakecloud.log())?;
    ensure!(first["change"] == "create", "{first}");

    // The stack is complete before the tasks run. Here each has a health check of its own, the image's.
    let healthy = || -> Result<usize> {
        let states = fakecloud
            .tasks()?
            .into_iter()
            .map(|id| run(Command::new("docker").args(["inspect", "--format", "{{.State.Health.Status}}", &id])));
        Ok(states.collect::<Result<Vec<String>>>()?.iter().filter(|state| state.trim() == "healthy").count())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while healthy()? != 2 {
        ensure!(Instant::now() < deadline, "two tasks were to run: {:?}\n{}", fakecloud.tasks()?, fakecloud.log());
        sleep(Duration::from_millis(500));
    }
    let again = release()?;
    ensure!(again["change"] == "none" && again["pushed_bytes"] == 0, "{again}");

    checkout.xtask(&["destroy", "production", "--images", "--yes"])?.well()?;
    for id in fakecloud.tasks()? {
        run(Command::new("docker").args(["rm", "--force", "--volumes", &id]))?;
    }
    for id in
        run(Command::new("docker").args(["images", "--quiet", &format!("127.0.0.1:{}/rest-api", fakecloud.port)]))?
            .lines()
    {
        run(Command::new("docker").args(["rmi", "--force", id]))?;
    }
    Ok(())
}
