//! A folder with a repository's settings and fakes of the programs beside the tool, and the finished tool run in it
//! with no environment but what a case gives.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const DEPLOY_TOML: &str = r#"[service]
name = "rest-api"
smoke_path = "/api/greeting"
smoke_contains = '"content":"Hello, World!"'
version_path = "/version"

[environments.dev]
region = "eu-central-1"
stack = "rest-api-dev"
template = "infra/backend.yaml"

[environments.production]
region = "eu-central-1"
stack = "rest-api-production"
template = "infra/backend.yaml"
protected = true
"#;

const TEMPLATE: &str = "\
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 80}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";

/// The compiler, the linker's friends and git, as far as the tool asks them.
const PROGRAMS: [(&str, &str); 4] = [
    ("cc", "exit 1"),
    (
        "cargo",
        r#"case $1 in tree) printf '0\tapi v0.1.0 (/api)\tMIT\t\n' ;; *) echo '{"reason":"compiler-artifact","target":{"name":"api"},"executable":"FOLDER/api"}' ;; esac"#,
    ),
    (
        "git",
        "case $1 in rev-parse) echo 0123456789abcdef0123456789abcdef01234567 ;; ls-files) printf 'crates/api/src/main.rs\\0' ;; esac",
    ),
    ("rustc", "echo FOLDER"),
];

/// Where one case runs.
pub(crate) struct Sandbox {
    folder: TempDir,
    vars: BTreeMap<&'static str, String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap(), vars: BTreeMap::new() };
        let path = sandbox.path();
        sandbox.write("deploy.toml", DEPLOY_TOML);
        sandbox.write("infra/backend.yaml", TEMPLATE);
        sandbox.write("docker/Dockerfile", "FROM scratch\n");
        sandbox.write("api", "a program");
        sandbox.write("crates/api/src/main.rs", "fn main() {}\n");
        sandbox.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"api\"\nversion = \"0.1.0\"\n");
        let folder = path.to_str().unwrap();
        sandbox.write("api.d", &format!("{folder}/api: {folder}/crates/api/src/main.rs\n"));
        for (name, script) in PROGRAMS {
            let script = script.replace("FOLDER", path.to_str().unwrap());
            sandbox.program(name, &script);
        }
        let bin = path.join("bin").to_str().unwrap().to_owned();
        sandbox
            .with("PATH", &bin)
            .with("HOME", path.join("home").to_str().unwrap())
            // No case may reach the engine of the machine.
            .with("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            // Else the SDK asks a link-local address for credentials.
            .with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Sets a variable of the tool's environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.vars.insert(name, value.to_owned());
        self
    }

    /// Takes a variable away again.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.vars.remove(name);
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// A program on the tool's path.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = format!("bin/{name}");
        self.write(&path, &format!("#!/bin/sh\n{script}\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(self.folder.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Runs the tool without a terminal.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.start(arguments))
    }

    /// Runs the tool with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ended {
        self.end(self.start_with(arguments, input))
    }

    /// As [`Sandbox::start`], with this on its standard input.
    pub(crate) fn start_with(&self, arguments: &[&str], input: &[u8]) -> Child {
        let mut child = self.command().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // One that refuses without reading may have ended.
        child.stdin.take().unwrap().write_all(input).ok();
        child
    }

    /// Starts the tool; `end` waits for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command().args(arguments).spawn().unwrap()
    }

    /// The tool, without a terminal.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.current_dir(self.path()).env_clear().envs(&self.vars);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn end(&self, child: Child) -> Ended {
        let output = child.wait_with_output().unwrap();
        let ended = Ended {
            code: output.status.code().expect("the tool ends by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            folder: self.path(),
        };
        for sign in ["panicked at", "RUST_BACKTRACE"] {
            assert!(!ended.stderr.contains(sign) && !ended.stdout.contains(sign), "{}", ended.stderr);
        }
        ended
    }

    /// Every file below the folder whose content holds `text`.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text) {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// How the tool ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: PathBuf,
}

impl Ended {
    /// Exit code and both streams, without what differs from run to run, and without the phases before a stack is touched
    /// where they went well: `a_first_release_and_then_one_with_nothing_to_do` shows those.
    pub(crate) fn snapshot(&self) -> String {
        let is_last = |line: &str| ["ok preflight ", "ok name "].iter().any(|phase| line.starts_with(phase));
        let lines: Vec<&str> = self.stderr.split_inclusive('\n').collect();
        let rest = &lines[lines.iter().rposition(|line| is_last(line)).map_or(0, |at| at + 1)..].concat();
        self.shown(rest)
    }

    /// As [`Ended::snapshot`], with every phase.
    pub(crate) fn whole(&self) -> String {
        self.shown(&self.stderr)
    }

    fn shown(&self, stderr: &str) -> String {
        let mut text = format!("exit {}\n", self.code);
        for (name, stream) in [("stdout", self.stdout.as_str()), ("stderr", stderr)] {
            if !stream.is_empty() {
                text.push_str(&format!("--- {name}\n{}\n", redact(stream, &self.folder).trim_end()));
            }
        }
        text
    }

    /// The one object on stdout, which agrees with the exit code.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.trim_end().lines().count(), 1, "one object is one line: {}", self.stdout);
        self.object(&self.stdout)
    }

    /// The lines before the one object, each of them valid by this definition of the schema; and the object.
    pub(crate) fn lines(&self, definition: &str) -> (Vec<Value>, Value) {
        let (lines, last) = self.stdout.trim_end().rsplit_once('\n').unwrap_or(("", &self.stdout));
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().for_each(|line| crate::schema::check_line(definition, line));
        (lines, self.object(last))
    }

    fn object(&self, text: &str) -> Value {
        let object: Value = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("not one JSON object ({error}): {text:?}\n{}", self.stderr));
        crate::schema::check(&object);
        assert_eq!(object["ok"], self.code == 0, "exit {} with {object}", self.code);
        object
    }
}

/// Takes out paths, ports, times and what depends on the machine's processor.
fn redact(text: &str, folder: &Path) -> String {
    let mut text = text.replace(folder.to_str().unwrap(), "[folder]").replace('\u{1b}', "␛");
    for architecture in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        text = text.replace(architecture, "[target]");
    }
    for platform in ["(linux/amd64)", "(linux/arm64)"] {
        text = text.replace(platform, "([platform])");
    }
    text = after(&text, "127.0.0.1:", "[port]", |c| c.is_ascii_digit());
    text = after(&text, "os error ", "[number]", |c| c.is_ascii_digit());
    for kind in ["content-", "source-"] {
        text = after(&text, kind, "[hash]", |c| c.is_ascii_hexdigit());
    }
    text = after(&text, "\"seconds\":", "0", |c| c.is_ascii_digit() || c == '.');
    seconds(&ages(&now(&free(&text))))
}

/// Replaces moments of this run, in RFC 3339; those of the fakes are excepted.
fn now(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let fits = |part: &[u8]| {
        part.iter().zip(SHAPE).all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    let moments = text.as_bytes().windows(SHAPE.len()).filter(|part| fits(part) && !part.starts_with(b"2026-01-02"));
    let moments: Vec<String> = moments.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    moments.iter().fold(text.to_owned(), |text, moment| text.replace(moment, "[now]"))
}

/// Replaces the age of `2 h ago`.
fn ages(text: &str) -> String {
    let mut parts = text.split(" ago (");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let before = out.rfind(", ").map_or(0, |comma| comma + 2);
        out.truncate(before);
        out.push_str("[age] ago (");
        out.push_str(part);
    }
    out
}

/// Replaces the number of `1.2 MB free`.
fn free(text: &str) -> String {
    let mut parts = text.split(" MB free");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let before = out.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        out.truncate(before);
        out.push_str("[number] MB free");
        out.push_str(part);
    }
    out
}

/// Replaces what follows `mark` for as long as it is `wanted`.
fn after(text: &str, mark: &str, with: &str, wanted: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(wanted);
        out.push_str(mark);
        out.push_str(if rest.len() < part.len() { with } else { "" });
        out.push_str(rest);
    }
    out
}

/// Replaces the time of `(1.2 s)`.
fn seconds(text: &str) -> String {
    let is_time = |part: &str| part.strip_suffix(" s").is_some_and(|number| number.parse::<f64>().is_ok());
    let line = |line: &str| match line.rsplit_once(" (") {
        Some((before, last)) if last.strip_suffix(')').is_some_and(is_time) => format!("{before} ([time])"),
        // How long earlier releases took.
        Some((before, _)) if before.trim_start().starts_with("about ") && before.ends_with(" s") => {
            format!("{}[earlier times]", &before[..before.len() - before.trim_start().len()])
        }
        _ => line.to_owned(),
    };
    // What is said after ten seconds of silence depends on how busy the machine is.
    let lines = text.lines().filter(|line| !line.contains(" still waiting ("));
    lines.map(line).collect::<Vec<_>>().join("\n")
}
