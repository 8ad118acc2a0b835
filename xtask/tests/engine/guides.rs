//! The guides in `docs/guides`, followed one after the other as they stand, by the script that follows the one of the own
//! backend: its commands are run, its files written. `production` is on the emulator, and its database a real PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use postgres_server::Server;
use requirements::{BASH, POSTGRES, PYTHON, Programs, Suite};
use serde_json::Value;
use tempfile::TempDir;

use crate::backend::{bridge, forward};
use crate::checkout::Checkout;
use crate::client::{Steady, get};
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{needed, smoke_base, undisturbed};

/// In the order in which one builds on another.
const GUIDES: [&str; 5] = ["add-a-setting", "add-a-secret", "add-a-database", "run-a-migration", "use-a-bucket"];
/// The role that the guide's database is created with.
const MASTER: &str = "api";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let programs = needed(Names::Machine, &[POSTGRES, PYTHON, BASH]);
    vec![suite.test("guides::each_is_followed_as_it_stands", &programs, followed)]
}

fn followed(programs: &Programs) -> Result<()> {
    let host = bridge()?;
    let server = Server::start_as(programs, &[host.to_string()]);
    let password = server.password().to_owned();
    let master = format!("CREATE ROLE {MASTER} LOGIN CREATEROLE PASSWORD '{password}'");
    let create = format!("CREATE DATABASE {MASTER} OWNER {MASTER}");
    for statement in [&master, &create] {
        server.query("postgres", statement).map_err(anyhow::Error::msg)?;
    }
    let address = format!("{host}:{}", forward(host, server.address())?);
    let checkout = Checkout::fresh(programs)?;
    let emulator = Ministack::with_database(programs, &address, &password)?;
    on_emulator(&checkout, &emulator)?;
    let user = User { checkout: &checkout, shims: shims(&checkout, &server, &emulator)? };
    let all = || -> Result<()> {
        let first = checkout.xtask(&["release", "production", "--yes"])?.well()?;
        let base = smoke_base(&emulator, &first)?;
        for guide in GUIDES {
            user.follow(guide)?;
            let answer = get(&format!("{base}/api/greeting"), &[])?;
            ensure!(answer.status == 200, "after {guide}: {answer:?}");
        }
        has_everything(&checkout, &server)?;
        another_password(&checkout, &server, &base)?;
        for stack in ["production", "files", "database"] {
            let ended = checkout.xtask(&["destroy", stack, "--yes"])?;
            ensure!(ended.code == Some(0) || stack != "production", "{}", ended.json);
        }
        Ok(())
    };
    all().with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

/// The settings of the rehearsal, under the names that the guides have.
fn on_emulator(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    checkout.rehearse_at(&emulator.authority())?;
    let text = checkout.read("deploy.toml")?;
    let (before, rest) = text.split_once("# The network of production").context("the network of production")?;
    let (_, after) = rest.split_once("# Many of the kind").context("what follows production")?;
    let text = format!("{before}# Many of the kind{after}").replace("rehearsal", "production");
    let text = text.replace("environments.production-network", "environments.network");
    checkout.write("deploy.toml", &text.replace("\"production-network\"", "\"network\""))?;
    checkout.commit("Be production")
}

/// Programs that stand in for the internet, and for a cargo that compiles the tool: first on the path of the guides.
fn shims(checkout: &Checkout, server: &Server, emulator: &Ministack) -> Result<TempDir> {
    let folder = TempDir::new()?;
    let write = |name: &str, text: String| -> Result<()> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
    };
    // What the guide adds to deploy.toml has no endpoint, for AWS has none.
    let endpoint = format!("endpoint = \"http://{}\"", emulator.authority());
    let tool = env!("CARGO_BIN_EXE_xtask");
    let cargo = format!(
        "#!/bin/bash\nset -eu\n[ \"$1\" = xtask ] || PATH=${{PATH#*:}} exec cargo \"$@\"\nshift\nfor name in database files; do\n  grep -q \
         \"^\\[environments.$name\\]\" deploy.toml || continue\n  sed -n \"/^\\[environments.$name\\]/,/^$/p\" deploy.toml | \
         grep -q ^endpoint ||\n    sed -i \"/^\\[environments.$name\\]/a {}\" deploy.toml\ndone\nexec {tool} \"$@\"\n",
        endpoint.replace('"', "\\\"")
    );
    write("cargo", cargo)?;
    let bundle = server.root_certificate();
    let curl = "#!/bin/bash\nset -eu\n[[ \"$*\" = *' --output docker/ca/rds.pem https://truststore.pki.rds.amazonaws.com/'* ]]\n";
    write("curl", format!("{curl}cp {} docker/ca/rds.pem\n", bundle.display()))?;
    fs::create_dir_all(checkout.root().join("docker/ca"))?;
    Ok(folder)
}

/// Somebody who does what the guides say.
struct User<'a> {
    checkout: &'a Checkout,
    shims: TempDir,
}

impl User<'_> {
    fn follow(&self, guide: &str) -> Result<()> {
        let path = std::env::var("PATH").context("PATH")?;
        let mut command = self.checkout.programs().command(PYTHON);
        command.args([".ci/follow", &format!("docs/guides/{guide}.md")]).current_dir(self.checkout.root());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["AWS_", "CARGO_"].iter().any(|prefix| text.starts_with(prefix)) && text != "CARGO_HOME" {
                command.env_remove(&name);
            }
        }
        command.env("PATH", format!("{}:{path}", self.shims.path().display()));
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("NO_COLOR", "1");
        command.envs(self.checkout.cargo());
        let (code, said) = run(&mut command)?;
        ensure!(code == Some(0), "{guide} cannot be followed:\n{said}");
        self.checkout.commit(&format!("Follow {guide}"))
    }
}

fn run(command: &mut Command) -> Result<(Option<i32>, String)> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout) + &text(&output.stderr)))
}

/// What the guides have added is there.
fn has_everything(checkout: &Checkout, server: &Server) -> Result<()> {
    let template = checkout.xtask(&["template", "production"])?.well()?;
    let text = template["template"].as_str().context("a template")?;
    for part in ["API_REQUEST_SECONDS", "PAYMENT_KEY=2", "PGPASSWORD", "FILES_BUCKET", "s3:PutObject"] {
        ensure!(text.contains(part), "the template has no {part}");
    }
    ensure!(!text.contains(server.password()), "the template has the password");
    let rows = server.query(MASTER, "SELECT count(*) FROM visits").map_err(anyhow::Error::msg)?;
    ensure!(rows == "0", "the migration has not run: {rows}");
    let again = checkout.xtask(&["release", "production", "--yes"])?.well()?;
    ensure!(again["change"] == "none", "nothing is left to do: {again}");
    Ok(())
}

/// The password changes as the guide says, and no request fails.
fn another_password(checkout: &Checkout, server: &Server, base: &str) -> Result<()> {
    let page = checkout.read("docs/guides/add-a-database.md")?;
    let (_, statements) = page.split_once("```sql\n").context("statements")?;
    let (statements, _) = statements.split_once("```").context("their end")?;
    let as_master = format!("SET SESSION AUTHORIZATION {MASTER};\n{statements}");
    server.query(MASTER, &as_master).map_err(anyhow::Error::msg)?;
    let set = checkout.xtask_with(&["secret", "set", "production", "PGPASSWORD", "--yes"], "the new password")?;
    set.well()?;
    let old = "PGPASSWORD = \"{database.SecretArn}:password::\"";
    checkout.edit("deploy.toml", old, "PGPASSWORD = \"/secrets/rest-api-production/PGPASSWORD\"")?;
    checkout.edit("deploy.toml", "PGUSER = \"{database.Username}\"", "PGUSER = \"api_b\"")?;
    checkout.commit("Take the other role")?;
    let user = Steady::start(base, None);
    let changed = checkout.xtask(&["release", "production", "--yes"])?.well();
    let tally = user.stop()?;
    let changed = changed?;
    let digest = changed["digest"].as_str().context("a digest")?;
    undisturbed(&tally, &[digest])?;
    let names: Vec<&str> =
        changed["container"].as_array().into_iter().flatten().filter_map(|one: &Value| one["name"].as_str()).collect();
    ensure!(names == ["PGUSER", "PGPASSWORD"], "{changed}");
    let close = format!("ALTER ROLE {MASTER} PASSWORD 'closed'");
    server.query("postgres", &close).map_err(anyhow::Error::msg)?;
    for _ in 0..30 {
        let answer = get(&format!("{base}/api/greeting"), &[])?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    ensure!(Path::new(&checkout.root().join("docker/ca/rds.pem")).exists());
    Ok(())
}
