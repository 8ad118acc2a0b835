//! What all cases share: emulator, microburst, registry and service; and what each has: folder, access key and stack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use requirements::Programs;
use serde_json::Value;
use tempfile::TempDir;

use super::microburst::Microburst;
use super::service::Service;
use crate::checkout::keeps_to_the_schema;
use crate::ministack::{Ministack, Names};
use crate::registry::Registry;

/// Longest that a run without a fault may take. Docker alone repeats an upload that failed for 50 s.
pub(crate) const UNDISTURBED: Duration = Duration::from_secs(180);
/// Must never be seen.
const SECRET: &str = "wJalrXUtnFEMI-marker-of-the-key";
const SESSION: &str = "IQoJb3JpZ2luX2VjE-marker-of-the-session";
/// All that there is to compile.
const SOURCE: &str = "crates/api/main.rs";
/// What the emulator's token says; the registry takes no other.
const PASSWORD: &str = "ministack-auth-token";

pub(crate) struct Setup {
    pub(crate) emulator: String,
    pub(crate) service: Service,
    pub(crate) registry: Registry,
    pub(crate) microburst: Microburst,
    /// Goes last, and keeps the emulator's images from staying.
    pub(crate) ministack: Ministack,
    folder: TempDir,
}

impl Setup {
    pub(crate) fn set(programs: &Programs) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the suite")?;
        let ministack = Ministack::start(programs, Names::Machine)?;
        let emulator = format!("http://{}", ministack.authority());
        let microburst = Microburst::start(programs, folder.path(), &emulator)?;
        let registry = Registry::start(programs, folder.path(), PASSWORD)?;
        let service = Service::start(&emulator)?;
        Ok(Self { emulator, service, registry, microburst, ministack, folder })
    }
}

/// What one case has for itself.
pub(crate) struct Place {
    folder: PathBuf,
    pub(crate) stack: String,
    /// Name of the repository.
    pub(crate) service: String,
    /// Whether the images on the engine go with it.
    owns_images: bool,
    pub(crate) key: String,
}

/// How a run of the tool ended.
pub(crate) struct Run {
    /// `None` where it was killed.
    pub(crate) code: Option<i32>,
    /// The one object; null where it was killed.
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Place {
    /// Prepares a folder as a repository has it, with stand-ins for cargo, rustc and git.
    ///
    /// What it has built goes with it where no other place builds for the same service.
    pub(crate) fn new(setup: &Setup, number: usize, service: &str, owns_images: bool, registry: &str) -> Result<Self> {
        let (stack, key) = (format!("faults-{number}"), format!("AKIDFAULT{number:04}"));
        let folder = setup.folder.path().join(&stack);
        let place = Self { folder, stack, service: service.to_owned(), owns_images, key };
        let Self { folder, stack, .. } = &place;
        for inner in ["bin", "infra", "docker/ca", "home", "crates/api"] {
            fs::create_dir_all(folder.join(inner))?;
        }
        let (endpoint, port) = (setup.microburst.url(), setup.service.port());
        place.write(
            "deploy.toml",
            &format!(
                "[service]\nname = \"{service}\"\nsmoke_path = \"/api/greeting\"\nsmoke_contains = \"Hello, World!\"\n\
                 version_path = \"/version\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"{stack}\"\n\
                 template = \"infra/backend.yaml\"\nendpoint = \"{endpoint}\"\nregistry = \"{registry}\"\n"
            ),
        )?;
        place.write(
            "infra/backend.yaml",
            &format!(
                "Parameters:\n  ContainerURI: {{Type: String}}\nResources:\n  Running:\n    Type: AWS::SSM::Parameter\n    \
                 Properties: {{Name: !Sub '/faults/${{AWS::StackName}}', Type: String, Value: !Ref ContainerURI}}\n\
                 Outputs:\n  ApiGatewayURL: {{Value: !Sub 'http://127.0.0.1:{port}/${{AWS::StackName}}'}}\n"
            ),
        )?;
        let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/Dockerfile");
        fs::copy(dockerfile, folder.join("docker/Dockerfile"))?;
        // The Dockerfile copies the folder, which has to have something.
        fs::write(folder.join("docker/ca/README.md"), "")?;
        let api = folder.join("api");
        // What cargo has read for the binary, as it writes it beside it.
        place.write("api.d", &format!("{}: {}\n", api.display(), folder.join(SOURCE).display()))?;
        let artifact = r#"{"reason":"compiler-artifact","target":{"name":"api"},"executable":"API"}"#;
        let artifact = artifact.replace("API", &api.to_string_lossy());
        // A tree of one package, or what was built.
        let tree = r"0\tapi v0.1.0 (/api)\tMIT\t\n";
        place.program("cargo", &format!("case \"$1\" in tree) printf '{tree}' ;; *) echo '{artifact}' ;; esac"))?;
        place.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"api\"\nversion = \"0.1.0\"\n")?;
        // What the compiler has read, as cargo reports it.
        place.write("api.d", &format!("{}: {}\n", api.display(), folder.join(SOURCE).display()))?;
        place.program("rustc", &format!("test \"$1\" = -vV && echo rustc || echo {}", folder.display()))?;
        place.program(
            "git",
            &format!(
                "case \"$1\" in\nrev-parse) echo 0123456789abcdef0123456789abcdef01234567 ;;\nls-files) printf \
                 '{SOURCE}\\0' ;;\nesac"
            ),
        )?;
        place.content(0, 0)?;
        Ok(place)
    }

    /// Writes the source and what it compiles to; the layer is large enough to be cut.
    pub(crate) fn content(&self, source: u64, seed: u64) -> Result<()> {
        self.write(SOURCE, &format!("// {source}\n"))?;
        // Numbers that do not repeat (xorshift), so that the layer stays large when it is compressed.
        let mut state = seed + 0x9E37_79B9_7F4A_7C15;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let bytes: Vec<u8> = words.take(128 * 1024).flatten().collect();
        fs::write(self.folder.join("api"), bytes).context("cannot write the service")
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(path), text).with_context(|| format!("cannot write {path}"))
    }

    fn program(&self, name: &str, script: &str) -> Result<()> {
        let path = self.folder.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// Starts the tool; [`Place::end`] waits for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Child> {
        let file = |name: &str| fs::File::create(self.folder.join(name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).arg("--json").current_dir(&self.folder).env_clear();
        command.env("PATH", self.folder.join("bin")).env("HOME", self.folder.join("home"));
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_SESSION_TOKEN", SESSION).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(std::env::var_os("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        command.stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        command.spawn().context("cannot start the release tool")
    }

    /// Waits for the tool, no longer than `deadline`, and checks what no run may do.
    pub(crate) fn end(&self, mut tool: Child, deadline: Duration) -> Result<Run> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = tool.try_wait()? {
                break status;
            }
            if begun.elapsed() > deadline {
                tool.kill()?;
                tool.wait()?;
                bail!("still at work after {deadline:?}: {}", self.said("stderr")?);
            }
            sleep(Duration::from_millis(20));
        };
        self.ended(status)
    }

    fn ended(&self, status: ExitStatus) -> Result<Run> {
        let (stdout, stderr) = (self.said("stdout")?, self.said("stderr")?);
        for secret in [SECRET, SESSION, PASSWORD] {
            ensure!(!stdout.contains(secret) && !stderr.contains(secret), "{secret} is shown: {stdout}{stderr}");
        }
        ensure!(!stderr.contains("panicked"), "a panic: {stderr}");
        let Some(code) = status.code() else { return Ok(Run { code: None, json: Value::Null, stderr }) };
        let json: Value = serde_json::from_str(&stdout).with_context(|| format!("not one object: {stdout}{stderr}"))?;
        keeps_to_the_schema(&json)?;
        ensure!(json["ok"] == (code == 0), "exit {code} with {json}");
        Ok(Run { code: Some(code), json, stderr })
    }

    fn said(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join(name))?).into_owned())
    }

    /// Runs the tool to a good end.
    pub(crate) fn well(&self, arguments: &[&str], deadline: Duration) -> Result<Value> {
        let run = self.end(self.start(arguments)?, deadline)?;
        ensure!(run.code == Some(0), "{arguments:?} ended with {:?}: {}\n{}", run.code, run.json, run.stderr);
        Ok(run.json)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.owns_images {
            // However the case ended.
            drop(self.well(&["destroy", "--local", "--images", "--yes"], UNDISTURBED));
        }
    }
}
