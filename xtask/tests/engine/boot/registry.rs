//! The reference registry with a password, as ECR has one, and images made on the spot in it.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

pub(crate) const PASSWORD: &str = "password-that-no-output-shows";

pub(crate) struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let host = format!("127.0.0.1:{}", free_port()?);
        let users = run(Command::new("htpasswd").args(["-Bbn", "-C", "4", "AWS", PASSWORD]))?;
        fs::write(folder.join("users"), users)?;
        let path = folder.display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {path}/registry}}}}\n\
             http: {{addr: '{host}'}}\nauth: {{htpasswd: {{realm: test, path: {path}/users}}}}\n"
        );
        fs::write(folder.join("registry.yml"), config)?;
        let process = Command::new("docker-registry")
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

    /// A reference by digest to an image that this registry does not have.
    pub(crate) fn missing_image(&self) -> String {
        format!("{}/boot/rest-api@sha256:{}", self.host, "0".repeat(64))
    }

    /// Makes an image of the test service in the given mode, pushes it, forgets it locally; answers with its digest.
    pub(crate) fn push(&self, folder: &Path, mode: &str) -> Result<String> {
        let tagged = format!("{}/boot/rest-api:{mode}", self.host);
        let docker = || {
            let mut docker = Command::new("docker");
            docker.env("DOCKER_CONFIG", folder.join("docker"));
            docker
        };
        run(Command::new("rustc")
            .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
            .arg(folder.join("service"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/boot/service.rs")))?;
        run(Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(folder.join("image.tar")).arg("service"))?;
        run(docker()
            .args(["import", "--change", &format!(r#"ENTRYPOINT ["/service","{mode}"]"#), "--change", "USER 65532"])
            .arg(folder.join("image.tar"))
            .arg(&tagged))?;
        let mut login = docker()
            .args(["login", "--username", "AWS", "--password-stdin", &self.host])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        login.stdin.take().context("a pipe")?.write_all(PASSWORD.as_bytes())?;
        ensure!(login.wait()?.success(), "cannot sign in to the registry");
        run(docker().args(["push", "--quiet", &tagged]))?;
        let digest = run(docker().args(["inspect", "--format", "{{index .RepoDigests 0}}", &tagged]))?;
        run(docker().args(["rmi", &tagged]))?;
        Ok(digest.trim().to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("the registry was started");
        self.process.wait().expect("the registry was started");
    }
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Standard output of a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    let (answer, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}: {error}{answer}", output.status);
    Ok(answer.into_owned())
}
