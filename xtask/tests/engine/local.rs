//! `release --local` on the real engine: first run, second run, replacement, a bad image, removal.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{DOCKER, GIT, Programs, Suite, free_port};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::client::{Steady, ask_for, get};
use crate::conditions::ENGINE;
use crate::registry::run;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let test = |name, run: fn(&Programs) -> Result<()>| suite.test(name, &[ENGINE, GIT, DOCKER], run);
    vec![
        test("local::a_release_is_started_kept_replaced_and_removed", lifecycle),
        test("local::an_image_that_does_not_start_leaves_the_old_one_serving", unhealthy),
        test("local::a_port_in_use_is_skipped", port_taken),
        test("local::variables_reach_the_container_and_a_change_of_them_replaces_it", variables),
        test("local::the_image_is_locked_down", image),
    ]
}

/// A copy of the repository whose service has a name and a port that nothing else on this engine has.
struct Place {
    checkout: Checkout,
    name: String,
}

impl Place {
    fn new(programs: &Programs) -> Result<Self> {
        let checkout = Checkout::fresh(programs)?;
        let port = free_port();
        let name = format!("suite-{}-{port}", std::process::id());
        checkout.edit("deploy.toml", r#"name = "rest-api""#, &format!("name = {name:?}"))?;
        checkout.edit("deploy.toml", "port = 8080", &format!("port = {port}"))?;
        Ok(Self { checkout, name })
    }

    fn release(&self) -> Result<Value> {
        self.checkout.xtask(&["release", "--local"])?.well()
    }

    /// What the user gives the container, in place of what was there.
    fn give(&self, was: &str, local: &str) -> Result<()> {
        self.checkout.edit("deploy.toml", &format!("{was}[service]"), &format!("{local}[service]"))
    }

    /// Another image without another program: the label is part of what the tag names.
    fn change_image(&self, from: &str, to: &str) -> Result<()> {
        self.checkout.edit("docker/Dockerfile", from, to)
    }

    fn container(&self) -> Result<Value> {
        let docker = || self.checkout.programs().command(DOCKER);
        let filter = format!("label=xtask.local={}", self.name);
        let id = run(docker().args(["ps", "--all", "--quiet", "--filter", &filter]))?;
        let text = run(docker().args(["inspect", id.trim()]))?;
        let list: Value = serde_json::from_str(&text)?;
        Ok(list[0].clone())
    }

    fn ours(&self, kind: &[&str]) -> Result<String> {
        let filter = format!("label=xtask.service={}", self.name);
        run(self.checkout.programs().command(DOCKER).args(kind).args(["--quiet", "--filter", &filter]))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let removed = self.checkout.xtask(&["destroy", "--local", "--images", "--yes"]);
        assert!(removed.is_ok_and(|ended| ended.code == Some(0)) || std::thread::panicking(), "leftovers");
    }
}

fn url(release: &Value) -> Result<String> {
    Ok(release["url"].as_str().context("no url")?.to_owned())
}

fn lifecycle(programs: &Programs) -> Result<()> {
    let place = Place::new(programs)?;
    let first = place.release()?;
    ensure!(first["change"] == "create" && first["smoke"]["served_digest"] == first["digest"], "{first}");
    let greeting = get(&format!("{}/api/greeting?name=Local", url(&first)?), &[])?;
    ensure!(greeting.body.contains(r#""content":"Hello, Local!""#), "{greeting:?}");
    let started = place.container()?["Id"].clone();

    let again = place.release()?;
    ensure!(again["change"] == "none" && again["url"] == first["url"], "{again}");
    let skipped = |name: &str| {
        again["phases"]
            .as_array()
            .is_some_and(|phases| phases.iter().any(|phase| phase["name"] == name && phase["skipped"] == true))
    };
    ensure!(skipped("image") && skipped("container"), "something was built or started: {again}");
    ensure!(place.container()?["Id"] == started, "another container runs");

    place.change_image("The greeting service", "Another greeting service")?;
    let user = Steady::start(&url(&first)?, None);
    let changed = place.release();
    let tally = user.stop()?;
    let changed = changed?;
    ensure!(changed["change"] == "update" && changed["url"] == first["url"], "the port is not kept: {changed}");
    ensure!(changed["digest"] != first["digest"], "{changed}");
    ensure!(changed["smoke"]["served_digest"] == changed["digest"], "{changed}");
    ensure!(tally.digests.len() == 2, "both versions were to be seen: {:?}", tally.digests);
    ensure!(place.ours(&["ps", "--all"])?.lines().count() == 1, "a container is left over");

    let dry = place.checkout.xtask(&["destroy", "--local", "--dry-run"])?.well()?;
    ensure!(dry["removed"].as_array().is_some_and(|list| list.len() == 1), "{dry}");
    ensure!(place.ours(&["ps", "--all"])?.lines().count() == 1, "a dry run removed something");
    place.checkout.xtask(&["destroy", "--local", "--yes"])?.well()?;
    for kind in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
        ensure!(place.ours(kind)?.is_empty(), "{kind:?} still shows something of ours");
    }
    let nothing = place.checkout.xtask(&["destroy", "--local", "--yes"])?.well()?;
    ensure!(nothing["removed"].as_array().is_some_and(Vec::is_empty), "{nothing}");
    Ok(())
}

fn unhealthy(programs: &Programs) -> Result<()> {
    let place = Place::new(programs)?;
    let first = place.release()?;
    place.change_image(r#"CMD ["/api"]"#, r#"CMD ["/api", "nonsense"]"#)?;
    let failed = place.checkout.xtask(&["release", "--local"])?;
    ensure!(failed.code == Some(1), "ended with {:?}: {}", failed.code, failed.json);
    let error = &failed.json["error"];
    let says = |key: &str, text: &str| error[key].as_str().is_some_and(|value| value.contains(text));
    ensure!(says("message", "the old one keeps serving") && says("reason", "exit code 2"), "{error}");
    ensure!(says("reason", "nonsense"), "the container's log is missing: {error}");
    let version = get(&format!("{}/version", url(&first)?), &[])?;
    ensure!(version.body.contains(first["digest"].as_str().context("no digest")?), "{version:?}");
    ensure!(place.ours(&["ps", "--all"])?.lines().count() == 1, "the bad container is left over");

    let nothing_before = place.checkout.xtask(&["destroy", "--local", "--yes"])?.well();
    nothing_before?;
    let failed = place.checkout.xtask(&["release", "--local"])?;
    ensure!(failed.code == Some(1), "ended with {:?}: {}", failed.code, failed.json);
    ensure!(place.ours(&["ps", "--all"])?.is_empty(), "the bad container is left over");
    Ok(())
}

fn port_taken(programs: &Programs) -> Result<()> {
    let place = Place::new(programs)?;
    let settings = place.checkout.read("deploy.toml")?;
    let port = settings.lines().find_map(|line| line.strip_prefix("port = ")).context("no port")?;
    let port: u16 = port.split_whitespace().next().context("no port")?.parse()?;
    let held = TcpListener::bind(("127.0.0.1", port))?;
    let released = place.release()?;
    drop(held);
    ensure!(url(&released)? != format!("http://127.0.0.1:{port}"), "{released}");
    ensure!(get(&format!("{}/health", url(&released)?), &[])?.status == 200, "it does not answer");
    Ok(())
}

fn image(programs: &Programs) -> Result<()> {
    let place = Place::new(programs)?;
    place.release()?;
    let container = place.container()?;
    let host = &container["HostConfig"];
    ensure!(host["ReadonlyRootfs"] == true && host["CapDrop"][0] == "ALL", "{host}");
    ensure!(host["SecurityOpt"][0] == "no-new-privileges", "{host}");
    let bindings = host["PortBindings"].as_object().context("no ports")?;
    ensure!(bindings.values().all(|binding| binding[0]["HostIp"] == "127.0.0.1"), "{host}");
    let config = &container["Config"];
    ensure!(config["User"] == "65532:65532", "{config}");
    for label in ["title", "description", "licenses", "version", "source"] {
        let value = config["Labels"][format!("org.opencontainers.image.{label}")].as_str();
        ensure!(value.is_some_and(|value| !value.is_empty()), "no {label}: {config}");
    }
    ensure!(config["Healthcheck"]["Test"][1] == "/api", "{config}");
    Ok(())
}

fn variables(programs: &Programs) -> Result<()> {
    const FILE: &str = ".env.local";
    let place = Place::new(programs)?;
    let origin = |release: &Value| -> Result<String> {
        let answer = ask_for("GET", &format!("{}/version", url(release)?), &[("origin", "https://app.example")], b"")?;
        Ok(answer.header("access-control-allow-origin").to_owned())
    };
    let local = "[local]\nenv = { API_LOG_LEVEL = \"debug\" }\nenv_file = \".env.local\"\n\n";
    place.give("", local)?;
    let missing = place.checkout.xtask(&["release", "--local"])?;
    ensure!(missing.code == Some(2) && missing.json.to_string().contains(FILE), "{missing:?}");
    place.checkout.write(FILE, "# mine\nAPI_CORS_ORIGINS='https://app.example'\nhunter2\n")?;
    let wrong = place.checkout.xtask(&["release", "--local"])?;
    ensure!(wrong.code == Some(2) && wrong.json.to_string().contains("line 3"), "{wrong:?}");
    ensure!(
        !wrong.stderr.contains("hunter2") && !wrong.json.to_string().contains("hunter2"),
        "a line is shown: {wrong:?}"
    );

    place.checkout.write(FILE, "API_CORS_ORIGINS='https://app.example'\nAPI_LOG_LEVEL=warn\n")?;
    let first = place.release()?;
    ensure!(first["change"] == "create" && origin(&first)? == "https://app.example", "{first}");
    let given = place.container()?["Config"]["Env"].to_string();
    ensure!(given.contains("API_LOG_LEVEL=warn"), "the file counts more than deploy.toml: {given}");
    ensure!(place.release()?["change"] == "none", "the same variables again");
    place.checkout.write(FILE, "API_CORS_ORIGINS=*\n")?;
    let changed = place.release()?;
    ensure!(changed["change"] == "update" && origin(&changed)? == "*", "{changed}");
    place.give(local, "")?;
    let without = place.release()?;
    ensure!(without["change"] == "update" && origin(&without)?.is_empty(), "{without}");
    ensure!(place.release()?["change"] == "none", "no variables again");
    Ok(())
}
