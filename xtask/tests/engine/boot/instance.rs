//! An instance that boots: the template's user data, run on this machine inside a sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use requirements::{BASH, CURL, DOCKER, NGINX, PYTHON, Programs, UNSHARE, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::images::PASSWORD;
use super::resolve::Stack;
use super::template;
use crate::registry::run;

pub(crate) const SECRET: &str = "3vQ8Zk1Lw0Xy7Rt5Np2Mb9Gc4Hd6JfAsUeToIiPqWzVxBnKm";
const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:OriginSecret-a1b2c3";
/// Secrets that AWS keeps for the container.
pub(crate) const STORED: Stored =
    Stored { key: "-----BEGIN-----\nnever'shown\"$1\n-----END-----", password: "0123456789-abcdefghi" };
const STUBS: [(&str, &str); 6] = [
    ("aws", include_str!("stubs/aws")),
    ("curl", include_str!("stubs/curl")),
    ("docker", include_str!("stubs/docker")),
    ("dnf", include_str!("stubs/dnf")),
    ("sandbox", include_str!("stubs/sandbox")),
    ("systemctl", include_str!("stubs/systemctl")),
];

pub(crate) struct Stored {
    pub(crate) key: &'static str,
    pub(crate) password: &'static str,
}

/// The template as it is in the repository.
pub(crate) fn own_template() -> Result<Value> {
    template::load(&template::directory().join("api-backend.yaml"))
}

/// A stack of a template like `infra/api-backend.yaml` in eu-central-1, with ports that are free here.
pub(crate) fn stack(template: Value, image: &str, parameters: &[(&str, &str)]) -> Result<Stack> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("boot-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let id = format!("arn:aws:cloudformation:eu-central-1:123456789012:stack/{name}/0a1b");
    let mut parameters = texts(parameters);
    parameters.insert("ContainerURI".to_owned(), image.to_owned());
    Ok(Stack {
        template,
        parameters,
        names: texts(&[
            ("AWS::Region", "eu-central-1"),
            ("AWS::StackName", &name),
            ("AWS::StackId", &id),
            ("LogGroup", "boot-LogGroup-x1"),
            ("OriginSecret", SECRET_ARN),
        ]),
        variables: texts(&[("GatewayPort", &free_port().to_string()), ("ServicePort", &free_port().to_string())]),
    })
}

/// The instance's user data, as the instance gets it.
pub(crate) fn user_data(stack: &Stack) -> Result<String> {
    let path = "/Resources/EC2LaunchTemplate/Properties/LaunchTemplateData/UserData/Fn::Base64";
    // Encoded here and decoded on the instance, so that the plain text is what arrives.
    stack.text(stack.template.pointer(path).with_context(|| format!("the template has no {path}"))?)
}

/// An instance whose user data has ended. Dropping it ends its nginx and removes its container and image.
pub(crate) struct Instance {
    sandbox: Child,
    state: TempDir,
    pub(crate) stack: Stack,
    programs: Programs,
}

impl Instance {
    pub(crate) fn boot(programs: &Programs, stack: Stack) -> Result<Self> {
        for called in [BASH, CURL, DOCKER, NGINX, PYTHON] {
            programs.assert_named(called);
        }
        let state = TempDir::new()?;
        let bin = state.path().join("bin");
        fs::create_dir(&bin)?;
        for (name, source) in STUBS {
            fs::write(bin.join(name), source)?;
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
        }
        fs::write(state.path().join("password"), PASSWORD)?;
        fs::write(state.path().join("secret"), SECRET)?;
        let parameter = json!({"Parameters": [{"Name": "/secrets/boot/KEY", "Value": STORED.key}]});
        fs::write(state.path().join("parameter.json"), parameter.to_string())?;
        let text = json!({"username": "api", "password": STORED.password}).to_string();
        fs::write(state.path().join("stored.json"), json!({"SecretString": text}).to_string())?;
        fs::write(state.path().join("user-data"), user_data(&stack)?)?;
        let path = std::env::var("PATH").context("PATH")?;
        let sandbox = programs
            .command(UNSHARE)
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(bin.join("sandbox"))
            // As cloud-init runs it: no home, hardly any environment.
            .env_clear()
            .envs(std::env::var("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)))
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("BOOT_STATE", state.path())
            .env("BOOT_PATH", &path)
            .env("BOOT_SECRET", SECRET_ARN)
            .stdin(Stdio::piped())
            .stderr(fs::File::create(state.path().join("sandbox.log"))?)
            .spawn()
            .context("cannot start unshare")?;
        let mut instance = Self { sandbox, state, stack, programs: programs.clone() };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !instance.path("exit").exists() {
            let ended = instance.sandbox.try_wait()?;
            let log = || instance.read("sandbox.log").unwrap_or_default() + &instance.output();
            ensure!(ended.is_none(), "the sandbox ended early: {}", log());
            ensure!(Instant::now() < deadline, "the user data does not end: {}", log());
            sleep(Duration::from_millis(50));
        }
        Ok(instance)
    }

    /// What the user data printed, which is what the console shows.
    pub(crate) fn output(&self) -> String {
        self.read("output").unwrap_or_default()
    }

    /// The one signal that was sent: status, instance, resource, stack.
    pub(crate) fn signal(&self) -> Result<String> {
        Ok(self.read("signals").with_context(|| format!("no signal was sent: {}", self.output()))?.trim().to_owned())
    }

    /// The boot log as CloudWatch gets it, a line an event.
    pub(crate) fn boot_log(&self) -> Result<Vec<String>> {
        let events: Vec<Value> = serde_json::from_str(&self.read("events.json")?)?;
        events.iter().map(|event| Ok(event["message"].as_str().context("no message")?.to_owned())).collect()
    }

    /// The engine's settings that the user data wrote.
    pub(crate) fn engine_settings(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.read("daemon.json")?)?)
    }

    pub(crate) fn container(&self) -> Result<Value> {
        let described = run(self.programs.command(DOCKER).args(["inspect", &self.container_name()]))?;
        let mut containers: Vec<Value> = serde_json::from_str(&described)?;
        containers.pop().context("no container")
    }

    /// Owner and mode of the file that holds the secret.
    pub(crate) fn secret_file(&self) -> Result<String> {
        self.read("secret-file")
    }

    /// The words of every call of `docker`, each ended by a zero byte.
    pub(crate) fn command_lines(&self) -> Result<String> {
        self.read("docker-words")
    }

    /// Files that the user data left behind in its temporary folder.
    pub(crate) fn leftovers(&self) -> Result<usize> {
        Ok(fs::read_dir(self.path("tmp"))?.count())
    }

    /// Asks nginx as the gateway does; the answer with its head.
    pub(crate) fn ask(&self, path: &str, headers: &str) -> Result<String> {
        let mut connection = TcpStream::connect(format!("127.0.0.1:{}", self.stack.variables["GatewayPort"]))?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: instance:8080\r\nConnection: close\r\n{headers}\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn container_name(&self) -> String {
        format!("{}-service", self.stack.names["AWS::StackName"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| format!("cannot read {name}"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The end of its input ends the sandbox, and the end of the sandbox all processes in it.
        drop(self.sandbox.stdin.take());
        self.sandbox.wait().expect("the sandbox was started");
        let image = &self.stack.parameters["ContainerURI"];
        for arguments in [["rm", "--force", &self.container_name()], ["rmi", "--force", image]] {
            // Neither exists when the boot failed early enough.
            self.programs.command(DOCKER).args(arguments).output().expect("docker was there before");
        }
    }
}
