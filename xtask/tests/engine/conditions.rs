//! Requirements of these suites that are not programs.

use std::process::{Command, Stdio};
use std::time::Duration;

use bollard::Docker;
use requirements::Requirement;
use tokio::time::timeout;

use crate::ministack::on_engine;

/// A Docker engine that answers where the environment says.
pub(crate) const ENGINE: Requirement =
    Requirement::condition("Docker engine", engine, "start one, or point DOCKER_HOST at one");
/// Mount and process namespaces may be made.
pub(crate) const NAMESPACES: Requirement =
    Requirement::condition("right to make mount namespaces", namespaces, "repeat as root, on Linux");

/// An engine that is well answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

fn engine() -> Result<(), String> {
    match on_engine(async |docker: &Docker| Ok(timeout(TIMEOUT, docker.ping()).await)) {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err(format!("it does not answer within {TIMEOUT:?}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn namespaces() -> Result<(), String> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).stdin(Stdio::null());
    match unshare.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("unshare: {error}")),
    }
}
