//! haproxy in the load balancer's place: a target group's numbers, and targets that come and go while it runs.
//!
//! It is made to be no kinder than AWS's: nothing is sent a second time, and a connection to a task is used again
//! whenever there is one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use requirements::{HAPROXY, Programs, free_port};
use tempfile::TempDir;

use super::numbers::Numbers;
use super::task::Task;

/// As many targets as there ever are at once.
const PLACES: usize = 4;

pub(crate) struct Balancer {
    process: Child,
    port: u16,
    folder: TempDir,
    /// Longest time from a registration to a healthy target.
    patience: Duration,
    /// Who has which place.
    places: Mutex<[Option<String>; PLACES]>,
}

impl Balancer {
    pub(crate) fn start(programs: &Programs, numbers: &Numbers) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port());
        let socket = folder.path().join("admin");
        let milliseconds = |duration: Duration| duration.as_millis();
        let Numbers { health_path, healthy, unhealthy, .. } = numbers;
        let (interval, timeout) = (milliseconds(numbers.interval), milliseconds(numbers.timeout));
        let configuration = format!(
            "global\n  stats socket {} mode 600 level admin\n  log stderr format raw local0\n\
             defaults\n  mode http\n  retries 0\n  no option redispatch\n  http-reuse always\n  balance leastconn\n  \
             timeout connect 5s\n  timeout client {idle}ms\n  timeout server {idle}ms\n  timeout check {timeout}ms\n\
             frontend gateway\n  bind 127.0.0.1:{port}\n  default_backend targets\n\
             backend targets\n  option httpchk GET {health_path}\n  http-check expect status 200\n  \
             default-server inter {interval}ms rise {healthy} fall {unhealthy} check disabled\n  \
             server-template place {PLACES} 127.0.0.1:9\n",
            socket.display(),
            idle = milliseconds(numbers.idle),
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, configuration)?;
        let log = File::create(folder.path().join("log"))?;
        let process = programs
            .command(HAPROXY)
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start haproxy")?;
        let patience = numbers.interval * (healthy + 3);
        let balancer = Self { process, port, folder, patience, places: Mutex::default() };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "it does not answer: {}", balancer.log());
            sleep(Duration::from_millis(50));
        }
        Ok(balancer)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Takes targets in, and waits until each has been found healthy as often as it takes.
    pub(crate) fn register(&self, tasks: &[Task]) -> Result<()> {
        let places = self.add(tasks)?;
        let deadline = Instant::now() + self.patience;
        while !self.are_up(&places)? {
            ensure!(Instant::now() < deadline, "the new targets are not healthy: {}", self.command("show stat")?);
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Takes targets in, which get requests once they have been found healthy as often as it takes.
    pub(crate) fn add(&self, tasks: &[Task]) -> Result<Vec<String>> {
        let taken = tasks.iter().map(|task| {
            let place = self.place(None, Some(&task.address.to_string()))?;
            let server = format!("targets/place{place}");
            self.command(&format!("set server {server} addr {} port {}", task.address, task.port))?;
            // Checked, but not used, and not trusted to begin with: haproxy alone would send requests at once.
            self.command(&format!("set server {server} state drain"))?;
            self.command(&format!("set server {server} health down"))?;
            self.command(&format!("set server {server} state ready"))?;
            Ok(format!("place{place}"))
        });
        taken.collect()
    }

    /// Whether all of these get requests.
    pub(crate) fn are_up(&self, places: &[String]) -> Result<bool> {
        let table = self.command("show stat")?;
        let up = places.iter().map(|place| {
            let row = table.lines().find(|line| line.starts_with(&format!("targets,{place},")));
            Ok(row.with_context(|| format!("no {place} in {table}"))?.split(',').any(|field| field.starts_with("UP")))
        });
        up.collect::<Result<Vec<bool>>>().map(|up| up.into_iter().all(|up| up))
    }

    /// Sends them nothing new from now on.
    pub(crate) fn deregister(&self, tasks: &[Task]) -> Result<()> {
        for task in tasks {
            let place = self.place(Some(&task.address.to_string()), None)?;
            // Those that are still asked something keep their connections.
            self.command(&format!("set server targets/place{place} state maint"))?;
        }
        Ok(())
    }

    /// The place, counted from 1, that has `now`, which then has `then`.
    fn place(&self, now: Option<&str>, then: Option<&str>) -> Result<usize> {
        let mut places = self.places.lock().map_err(|_| anyhow!("a thread panicked"))?;
        let found = places.iter().position(|place| place.as_deref() == now).context("no such place")?;
        places[found] = then.map(str::to_owned);
        Ok(found + 1)
    }

    fn command(&self, command: &str) -> Result<String> {
        let path: PathBuf = self.folder.path().join("admin");
        let mut socket = UnixStream::connect(path).context("haproxy is gone")?;
        writeln!(socket, "{command}")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let fine = command.starts_with("show")
            || answer.trim().is_empty()
            || ["changed", "no need"].iter().any(|word| answer.contains(word));
        if fine { Ok(answer) } else { bail!("{command}: {answer}") }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.process.kill().expect("it was started");
        self.process.wait().expect("it was started");
    }
}
