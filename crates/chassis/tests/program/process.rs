//! The finished program as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use chassis::testing::{DEADLINE, eventually};

/// The program with nothing in its environment but these variables.
pub(crate) fn program(arguments: &[&str], vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env_clear().env(crate::SERVICE, "yes").envs(vars.iter().copied()).stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr of a program that ends by itself.
pub(crate) fn outcome(arguments: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(arguments, vars).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The running service; it is killed if a test forgets or fails to stop it.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Whether the log is read.
    reading: Arc<AtomicBool>,
    pub(crate) address: SocketAddr,
    /// Where `/metrics` is, unless that is switched off.
    pub(crate) management: SocketAddr,
}

impl Process {
    /// Starts the service on a free port and waits until it says where it listens.
    pub(crate) fn start(vars: &[(&str, &str)]) -> Self {
        let free = [("API_BIND_ADDRESS", "127.0.0.1"), ("API_PORT", "0"), ("API_MANAGEMENT_PORT", "0")];
        let mut command = program(&[], &free);
        let mut child = command.envs(vars.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        let reading = Arc::new(AtomicBool::new(true));
        let may_read = Arc::clone(&reading);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
                while !may_read.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, lines, reading, address: nowhere, management: nowhere };
        // In either form of the log, and below what the libraries say at `debug`.
        let addresses = |line: String| {
            let mut addresses = line.split(['"', '=', ' ']).filter_map(|word| word.parse().ok());
            Some((addresses.next()?, addresses.next().unwrap_or(nowhere)))
        };
        let found = std::iter::repeat_with(|| process.line()).find_map(addresses);
        (process.address, process.management) = found.unwrap();
        process
    }

    /// The next line of the log, as it is.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("the service logs another line")
    }

    /// The next line with this text.
    pub(crate) fn line_with(&self, text: &str) -> String {
        std::iter::repeat_with(|| self.line()).find(|line| line.contains(text)).expect("there is always another line")
    }

    /// The next event with this message.
    pub(crate) fn event(&self, message: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.line()).unwrap();
            if event["message"] == message {
                return event;
            }
        }
    }

    /// Leaves what the service logs from now on where it is.
    pub(crate) fn stop_reading(&self) {
        self.reading.store(false, Ordering::Relaxed);
    }

    pub(crate) fn read_on(&self) {
        self.reading.store(true, Ordering::Relaxed);
    }

    /// The most memory that it has had so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
        peak.parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the service ends", || self.has_ended());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}
