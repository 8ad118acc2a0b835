//! An AWS emulator for one test: ministack as a process on loopback, gone without a trace when it is dropped.
//!
//! It runs ECS tasks as containers of the Docker engine. Each instance has a name that its containers carry as a label,
//! and a registry address that its images carry in their names: only those are removed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptions, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
};
use requirements::{MINISTACK, Programs, Requirement, UNSHARE, free_port};
use tempfile::TempDir;

use crate::conditions::{ENGINE, NAMESPACES};

/// The label that ministack puts on its own containers.
const OWNER_LABEL: &str = "ministack.instance";
const START: Duration = Duration::from_secs(60);
/// Stopping waits for tasks to end, five seconds each.
const STOP: Duration = Duration::from_secs(30);

/// How the emulator finds the machines that an API gateway calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As this machine does: a load balancer's name leads nowhere.
    Machine,
    /// By a hosts file of its own, on port 80, which is where load balancers listen. Takes root and Linux.
    Own,
}

/// A running emulator.
pub(crate) struct Ministack {
    process: Child,
    address: SocketAddrV4,
    /// What its containers are labelled with.
    label: String,
    folder: TempDir,
}

/// What it takes to run one.
pub(crate) fn needed(names: Names) -> &'static [Requirement] {
    match names {
        Names::Machine => &[MINISTACK, ENGINE],
        Names::Own => &[MINISTACK, ENGINE, UNSHARE, NAMESPACES],
    }
}

impl Ministack {
    /// Starts one on a free loopback port and waits until it answers.
    pub(crate) fn start(programs: &Programs, names: Names) -> Result<Self> {
        Self::launch(programs, names, false, &[])
    }

    /// Starts one that checks signatures and permissions.
    pub(crate) fn enforcing(programs: &Programs) -> Result<Self> {
        Self::launch(programs, Names::Machine, true, &[])
    }

    /// Starts one whose databases are at this address, and have this password.
    pub(crate) fn with_database(programs: &Programs, address: &str, password: &str) -> Result<Self> {
        Self::launch(programs, Names::Machine, false, &[("TEST_DATABASE", address), ("TEST_PASSWORD", password)])
    }

    fn launch(programs: &Programs, names: Names, enforcing: bool, vars: &[(&str, &str)]) -> Result<Self> {
        // Its tasks run there, and what it leaves there is removed in the end.
        programs.assert_named(ENGINE);
        let folder = tempfile::tempdir().context("cannot make a folder for the emulator")?;
        let address = free_address(names)?;
        let host = format!("suite-{}", std::process::id());
        let label = format!("{OWNER_LABEL}={host}:{}", address.port());
        let log = File::create(folder.path().join("log"))?;
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n")?;
        let mut command = match names {
            Names::Machine => programs.command(MINISTACK),
            Names::Own => {
                let mut command = programs.command(UNSHARE);
                // The mount is seen by this process alone.
                command.args(["--mount", "--propagation", "private", "sh", "-c"]);
                command.arg(r#"mount --bind "$1" /etc/hosts && exec "$2""#).arg("sh").arg(&hosts);
                command.arg(programs.path(MINISTACK));
                command
            }
        };
        // What it answers otherwise than AWS does, corrected.
        std::fs::write(folder.path().join("sitecustomize.py"), include_str!("ministack/sitecustomize.py"))?;
        command
            .envs(vars.iter().copied())
            .env("PYTHONPATH", folder.path())
            .env("BIND_HOST", address.ip().to_string())
            .env("GATEWAY_PORT", address.port().to_string())
            .env("MINISTACK_HOSTNAME", host)
            // Where its gateway asks for the keys of its own user pools.
            .env("MINISTACK_HOST", address.ip().to_string())
            .env("MINISTACK_REGION", "eu-central-1")
            .env("AUTH", if enforcing { "true" } else { "false" })
            // Nothing is shared with another instance, and nothing stays.
            .env("TMPDIR", folder.path())
            .env("STATE_DIR", folder.path().join("state"))
            .env("S3_DATA_DIR", folder.path().join("s3"))
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            // Gateway and load balancer share one event loop, and a refusal can make them wait for each other.
            .env("MINISTACK_APIGW_PROXY_TIMEOUT_SECONDS", "10")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for variable in ["http_proxy", "HTTP_PROXY", "AWS_ENDPOINT_URL", "AWS_PROFILE"] {
            command.env_remove(variable);
        }
        let process = command.spawn().context("cannot start ministack")?;
        let mut emulator = Self { process, address, label, folder };
        emulator.wait_until_it_answers()?;
        Ok(emulator)
    }

    /// Where its API and its registry are, as `HOST:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Makes a name lead to the emulator, for the emulator alone.
    pub(crate) fn resolve(&self, name: &str) -> Result<()> {
        // In place: the mount shows this very file, not whatever takes its name.
        let mut hosts = OpenOptions::new().append(true).open(self.folder.path().join("hosts"))?;
        writeln!(hosts, "{} {name}", self.address.ip()).context("cannot write the emulator's hosts file")
    }

    /// How many of its containers there are, running or not.
    pub(crate) fn containers(&self) -> Result<usize> {
        Ok(containers(&self.label)?.len())
    }

    /// The last lines that it logged.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                bail!("ministack ended at once ({status}):\n{}", self.log());
            }
            if answers(self.address).is_ok_and(|healthy| healthy) {
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        bail!("ministack does not answer on {} after {START:?}:\n{}", self.address, self.log())
    }

    /// Asks it to stop, and makes it when it does not.
    fn stop(&mut self) -> Result<()> {
        Command::new("kill").arg(self.process.id().to_string()).status()?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Ministack {
    /// What ministack leaves behind when it stops while a service wants tasks is removed here.
    fn drop(&mut self) {
        let stopped = self.stop();
        // A container that it was just making appears after its end.
        let removed = remove_containers(&self.label)
            .and_then(|()| {
                sleep(Duration::from_millis(1500));
                remove_containers(&self.label)
            })
            .and_then(|()| remove_images(&self.authority()));
        // Complaining during a panic would end the whole suite; the first message counts.
        if let Err(error) = stopped.and(removed)
            && !std::thread::panicking()
        {
            panic!("the emulator on {} left something behind: {error:#}", self.address);
        }
    }
}

fn answers(address: SocketAddrV4) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /_ministack/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start.ends_with(b"200"))
}

fn free_address(names: Names) -> Result<SocketAddrV4> {
    /// No two tests get the same.
    static NEXT: AtomicU8 = AtomicU8::new(1);
    match names {
        Names::Machine => Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port())),
        Names::Own => (1..=254)
            .map(|_| Ipv4Addr::new(127, 87, 65, NEXT.fetch_add(1, Ordering::Relaxed)))
            .map(|address| SocketAddrV4::new(address, 80))
            .find(|address| TcpListener::bind(address).is_ok())
            .context("port 80 is taken on every loopback address tried"),
    }
}

/// Runs something on the Docker engine that the environment names.
pub(crate) fn on_engine<T>(run: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let docker = Docker::connect_with_defaults()?;
    Ok(runtime.block_on(run(&docker))?)
}

/// The containers, running or not, that an instance made.
fn containers(label: &str) -> Result<Vec<String>> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = on_engine(async |docker| docker.list_containers(Some(options)).await)?;
    Ok(found.into_iter().filter_map(|container| container.id).collect())
}

fn remove_containers(label: &str) -> Result<()> {
    for id in containers(label)? {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        on_engine(async |docker| docker.remove_container(&id, Some(options)).await)?;
    }
    Ok(())
}

/// Removes the names under the emulator's registry, and the images that have no other name.
fn remove_images(registry: &str) -> Result<()> {
    let images = on_engine(async |docker| docker.list_images(None::<ListImagesOptions>).await)?;
    let names = images.into_iter().flat_map(|image| [image.repo_tags, image.repo_digests].concat());
    for name in names.filter(|name| name.starts_with(&format!("{registry}/"))) {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        // Removing a tag takes the digests of the same image along.
        match on_engine(async |docker| docker.remove_image(&name, Some(options), None).await) {
            Err(error) if !format!("{error:#}").contains("No such image") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
