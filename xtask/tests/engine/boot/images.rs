//! Images of a small test service, made on the spot.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use requirements::{DOCKER, Programs, TAR};

use crate::registry::{Registry, run};

pub(crate) const PASSWORD: &str = "password-that-no-output-shows";

/// A reference by digest to an image that this registry does not have.
pub(crate) fn missing(registry: &Registry) -> String {
    format!("{}/boot/rest-api@sha256:{}", registry.host(), "0".repeat(64))
}

/// Makes an image of the test service in the given mode, pushes it, forgets it locally; answers with its digest.
pub(crate) fn push(programs: &Programs, registry: &Registry, folder: &Path, mode: &str) -> Result<String> {
    let tagged = format!("{}/boot/rest-api:{mode}", registry.host());
    let docker = || {
        let mut docker = programs.command(DOCKER);
        docker.env("DOCKER_CONFIG", folder.join("docker"));
        docker
    };
    build(programs, folder, mode, &tagged)?;
    let mut login = docker()
        .args(["login", "--username", "AWS", "--password-stdin", registry.host()])
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

/// Compiles the test service and makes an image of it.
pub(crate) fn build(programs: &Programs, folder: &Path, mode: &str, tagged: &str) -> Result<()> {
    run(Command::new("rustc")
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .arg(folder.join("service"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/boot/service.rs")))?;
    run(programs.command(TAR).arg("-C").arg(folder).arg("-cf").arg(folder.join("image.tar")).arg("service"))?;
    let entry = format!(r#"ENTRYPOINT ["/service","{mode}"]"#);
    let mut import = programs.command(DOCKER);
    import.args(["import", "--change", &entry, "--change", "USER 65532"]).arg(folder.join("image.tar")).arg(tagged);
    run(&mut import).map(drop)
}
