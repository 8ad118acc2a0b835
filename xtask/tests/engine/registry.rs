//! The reference registry, as a process of its own, with a password as ECR has one.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use requirements::{DOCKER_REGISTRY, HTPASSWD, Programs, free_port};

/// The user of ECR's authorization tokens.
pub(crate) const USER: &str = "AWS";

pub(crate) struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    /// Starts one on a free loopback port that takes this password only, and keeps its files in `folder`.
    pub(crate) fn start(programs: &Programs, folder: &Path, password: &str) -> Result<Self> {
        let host = format!("127.0.0.1:{}", free_port());
        let users = run(programs.command(HTPASSWD).args(["-Bbn", "-C", "4", USER, password]))?;
        fs::write(folder.join("users"), users)?;
        let path = folder.display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {path}/registry}}}}\n\
             http: {{addr: '{host}'}}\nauth: {{htpasswd: {{realm: test, path: {path}/users}}}}\n"
        );
        fs::write(folder.join("registry.yml"), config)?;
        let process = programs
            .command(DOCKER_REGISTRY)
            .arg("serve")
            .arg(folder.join("registry.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("registry.log"))?)
            .spawn()
            .context("cannot start docker-registry")?;
        let registry = Self { process, host };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&registry.host).is_err() {
            ensure!(Instant::now() < deadline, "the registry does not answer");
            sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Where it is, as `HOST:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("the registry was started");
        self.process.wait().expect("the registry was started");
    }
}

/// Standard output of a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    let (answer, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}: {error}{answer}", output.status);
    Ok(answer.into_owned())
}
