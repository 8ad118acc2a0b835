//! A backend with a password, a database and a migration, released to the emulator; the database is a real PostgreSQL.

use std::collections::BTreeSet;
use std::io::copy;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::spawn;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use postgres_server::{OWNER, Server};
use requirements::{POSTGRES, Programs, Suite};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::client::{Steady, get};
use crate::ministack::{Ministack, Names, on_engine};
use crate::one_off::serves;
use crate::rehearsal::{ENVIRONMENT, needed, release, smoke_base, undisturbed};

const SETTINGS: &str = r#"
[environments.rehearsal.env]
API_IDS = "postgres"
API_IDS_BLOCK = 10
PGHOST = "<host>"
PGPORT = "<port>"
PGUSER = "<user>"
PGDATABASE = "<database>"
# The certificate is for another name than that of the bridge.
PGSSLMODE = "verify-ca"
PGSSLROOTCERT = "/ca/test.pem"
API_DATABASE_IDLE_SECONDS = 30

[environments.rehearsal.secrets]
PGPASSWORD = "/secrets/rest-api-rehearsal/PGPASSWORD"
"#;

/// What changes with the container: its definition, the service, and what names the service, where the emulator's change
/// sets cannot know that the name stays.
const ROLLED: [&str; 6] = ["CpuScaling", "RequestScaling", "Scaling", "Service", "SignalsDashboard", "TaskDefinition"];

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let programs = needed(Names::Machine, &[POSTGRES]);
    vec![suite.test("backend::a_service_with_a_database_is_released_and_changed", &programs, released)]
}

fn released(programs: &Programs) -> Result<()> {
    let server = Server::start(programs);
    let host = bridge()?;
    let port = forward(host, server.address())?;
    let checkout = Checkout::fresh(programs)?;
    let emulator = Ministack::with_database(programs, &format!("{host}:{port}"), server.password())?;
    checkout.rehearse_at(&emulator.authority())?;
    whole(&checkout, &emulator, &server, (host, port))
        .with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

fn whole(checkout: &Checkout, emulator: &Ministack, server: &Server, (host, port): (Ipv4Addr, u16)) -> Result<()> {
    let database = server.database();
    std::fs::copy(server.root_certificate(), checkout.root().join("docker/ca/test.pem"))?;
    let service = "features = [\"postgres\"]\nbefore_release = [\"/api\", \"migrate\"]\n";
    checkout.edit("deploy.toml", "[service]\n", &format!("[service]\n{service}"))?;
    let given = [
        ("<host>", host.to_string()),
        ("<port>", port.to_string()),
        ("<user>", OWNER.to_owned()),
        ("<database>", database.clone()),
    ];
    let settings = given.iter().fold(SETTINGS.to_owned(), |text, (name, value)| text.replace(name, value));
    let text = checkout.read("deploy.toml")?;
    checkout.write("deploy.toml", &format!("{text}{settings}"))?;
    checkout.commit("Use a database")?;

    let missing = checkout.xtask(&["release", ENVIRONMENT, "--yes"])?;
    let said = missing.json.to_string();
    ensure!(missing.code == Some(3) && said.contains("secret set rehearsal PGPASSWORD"), "{said}");
    checkout.xtask_with(&["secret", "set", ENVIRONMENT, "PGPASSWORD"], server.password())?.well()?;

    let first = release(checkout, &[])?;
    let base = smoke_base(emulator, &first)?;
    serves(emulator, &first)?;
    let mut ids = unique(&base, BTreeSet::new())?;
    let again = release(checkout, &[])?;
    ensure!(again["change"] == "none" && again.get("container").is_none(), "nothing has changed: {again}");

    checkout.edit("deploy.toml", "API_DATABASE_IDLE_SECONDS = 30", "API_DATABASE_IDLE_SECONDS = 40")?;
    let changed = changed(checkout, emulator, &base)?;
    ensure!(names(&changed) == ["API_DATABASE_IDLE_SECONDS"], "one variable: {changed}");
    ids = unique(&base, ids)?;

    checkout.xtask_with(&["secret", "set", ENVIRONMENT, "PGPASSWORD"], server.password())?.well()?;
    let changed = self::changed(checkout, emulator, &base)?;
    ensure!(names(&changed) == ["PGPASSWORD"], "one secret: {changed}");
    ids = unique(&base, ids)?;

    failing_migration(checkout, emulator, &base)?;
    unique(&base, ids)?;

    let run = |words: &[&str]| checkout.xtask(&[&["run", ENVIRONMENT, "--yes", "--"], words].concat());
    ensure!(run(&["/api", "migrate"])?.code == Some(0), "a command that succeeds");
    let refused = run(&["/api", "nonsense"])?;
    ensure!(refused.code == Some(2), "the command's own exit code: {}", refused.json);

    let everything = emulator.log() + &checkout.xtask(&["status", ENVIRONMENT])?.json.to_string();
    ensure!(!everything.contains(server.password()), "the password is shown");
    checkout.xtask(&["destroy", ENVIRONMENT, "--yes"])?.well()?;
    let given = server.query(&database, "SELECT count(*) FROM id_counters");
    ensure!(given.is_ok(), "the database is not the stack's: {given:?}");
    Ok(())
}

/// A release that rolls the service and changes nothing else, without a request that fails.
fn changed(checkout: &Checkout, emulator: &Ministack, base: &str) -> Result<Value> {
    checkout.commit("Change what the container gets")?;
    let user = Steady::start(base, None);
    let changed = release(checkout, &[]).and_then(|changed| serves(emulator, &changed).map(|()| changed));
    let tally = user.stop()?;
    let changed = changed?;
    let digest = changed["digest"].as_str().context("a digest")?;
    undisturbed(&tally, &[digest, digest])?;
    ensure!(changed["change"] == "update" && changed["pushed_bytes"] == 0, "the same image: {changed}");
    let resources: BTreeSet<&str> =
        changed["changes"].as_array().into_iter().flatten().filter_map(|one| one["logical_id"].as_str()).collect();
    let other: Vec<&&str> = resources.iter().filter(|name| !ROLLED.contains(name)).collect();
    ensure!(resources.contains("TaskDefinition") && other.is_empty(), "nothing else: {resources:?}");
    Ok(changed)
}

/// A migration that the database refuses: nothing is rolled out, and users notice nothing.
fn failing_migration(checkout: &Checkout, emulator: &Ministack, base: &str) -> Result<()> {
    let served = get(&format!("{base}/version"), &[])?.body;
    checkout.write("crates/api/migrations/0002_broken.sql", "CREATE TABLE broken (id no_such_type);\n")?;
    let first = "&[Migration { number: 1, name: \"ids\", text: include_str!(\"../migrations/0001_ids.sql\") }];";
    let both = "&[\n    Migration { number: 1, name: \"ids\", text: include_str!(\"../migrations/0001_ids.sql\") },\n    \
                Migration { number: 2, name: \"broken\", text: include_str!(\"../migrations/0002_broken.sql\") },\n];";
    checkout.edit("crates/api/src/lib.rs", first, both)?;
    checkout.commit("Break the schema")?;
    let user = Steady::start(base, None);
    let failed = checkout.xtask(&["release", ENVIRONMENT, "--yes"]);
    let tally = user.stop()?;
    let failed = failed?;
    let said = format!("{}\n{}", failed.json, failed.stderr);
    ensure!(failed.code == Some(1) && said.contains("no_such_type"), "it fails with the command's words: {said}");
    ensure!(get(&format!("{base}/version"), &[])?.body == served, "the old version serves");
    let version: Value = serde_json::from_str(&served)?;
    let digest = version["digest"].as_str().context("a digest")?;
    undisturbed(&tally, &[digest, digest])?;
    ensure!(emulator.containers()? > 0, "tasks run");
    Ok(())
}

/// Asks both tasks, and adds the numbers that they give; none may have been given before.
fn unique(base: &str, mut ids: BTreeSet<u64>) -> Result<BTreeSet<u64>> {
    for _ in 0..60 {
        let answer = get(&format!("{base}/api/greeting"), &[])?;
        ensure!(answer.status == 200, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body)?;
        let id = body["id"].as_u64().context("an id")?;
        ensure!(ids.insert(id), "{id} was given twice");
    }
    Ok(ids)
}

fn names(released: &Value) -> Vec<&str> {
    released["container"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect()
}

/// Where containers reach this machine: the engine's bridge.
pub(crate) fn bridge() -> Result<Ipv4Addr> {
    let network = on_engine(async |docker| docker.inspect_network("bridge", None).await)?;
    let config =
        network.ipam.and_then(|ipam| ipam.config).into_iter().flatten().next().context("the bridge's addresses")?;
    let subnet = config.subnet.context("the bridge's subnet")?;
    let first: Ipv4Addr = subnet.split('/').next().unwrap_or_default().parse()?;
    // An engine that does not name the gateway has the first address.
    Ok(config.gateway.and_then(|gateway| gateway.parse().ok()).unwrap_or(Ipv4Addr::from(u32::from(first) + 1)))
}

/// A port of the bridge that leads to a server on loopback, as long as this process lives.
pub(crate) fn forward(host: Ipv4Addr, to: SocketAddr) -> Result<u16> {
    let listener = TcpListener::bind((host, 0)).context("the bridge")?;
    let port = listener.local_addr()?.port();
    spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            for (from, to) in [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())] {
                let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                spawn(move || {
                    drop(copy(&mut from, &mut to));
                    drop(to.shutdown(Shutdown::Write));
                });
            }
        }
    });
    Ok(port)
}
