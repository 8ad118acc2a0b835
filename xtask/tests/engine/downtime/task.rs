//! A container of the service as ECS would start and stop it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, anyhow};
use requirements::{DOCKER, Programs};

use super::numbers::Numbers;
use crate::registry::run;

/// A running container, removed when it is dropped.
pub(crate) struct Task {
    id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    stop_seconds: u64,
    programs: Programs,
}

impl Task {
    pub(crate) fn start(programs: &Programs, numbers: &Numbers, image: &str, digest: &str) -> Result<Self> {
        Self::start_with(programs, numbers, image, digest, &[])
    }

    /// With other values for some variables.
    pub(crate) fn start_with(
        programs: &Programs,
        numbers: &Numbers,
        image: &str,
        digest: &str,
        other: &[(&str, &str)],
    ) -> Result<Self> {
        let mut docker = programs.command(DOCKER);
        docker.args(["run", "--detach", "--read-only", "--cap-drop", "ALL", "--user", &numbers.user]);
        for (name, value) in &numbers.environment {
            docker.args(["--env", &format!("{name}={value}")]);
        }
        // Of a variable that is given twice the last one counts.
        for (name, value) in [&[("IMAGE_DIGEST", digest)], other].concat() {
            docker.args(["--env", &format!("{name}={value}")]);
        }
        docker.arg(image);
        let id = run(&mut docker)?.trim().to_owned();
        let unknown = Ipv4Addr::UNSPECIFIED;
        let stop_seconds = numbers.stop_timeout.as_secs();
        let mut task = Self { id, address: unknown, port: numbers.port, stop_seconds, programs: programs.clone() };
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = run(programs.command(DOCKER).args(["inspect", "--format", format, &task.id]))?;
        task.address = address.trim().parse().with_context(|| format!("no address: {address:?}"))?;
        Ok(task)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        run(self.programs.command(DOCKER).args(["kill", "--signal", name, &self.id])).map(drop)
    }

    /// Sends the stop signal to all of them at once and waits until they have ended, or kills them as ECS would.
    pub(crate) fn stop(tasks: Vec<Self>) -> Result<()> {
        let stopping: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                std::thread::spawn(move || {
                    let seconds = task.stop_seconds.to_string();
                    run(task.programs.command(DOCKER).args(["stop", "--time", &seconds, &task.id])).map(drop)
                })
            })
            .collect();
        stopping.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let removed = run(self.programs.command(DOCKER).args(["rm", "--force", "--volumes", &self.id]));
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}
