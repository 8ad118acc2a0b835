//! A PostgreSQL of a test's own: on loopback, in a temporary folder, encrypted under an authority of its own, and gone
//! when it is dropped.
//!
//! As on RDS, connections over TCP are refused unless they are encrypted. Only tests depend on this crate, so what goes
//! wrong here panics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use requirements::{POSTGRES, Programs, free_port};

/// The user of Debian's package: the server refuses to run as root.
const SYSTEM_USER: &str = "postgres";
/// The one name in the server's certificate.
pub const HOST: &str = "localhost";
/// The role that owns every database.
pub const OWNER: &str = "service";
/// A role with the owner's rights and password, and the only one whose connections may be unencrypted.
pub const UNENCRYPTED: &str = "plain";

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: tempfile::TempDir,
    /// Where `pg_ctl` and the other programs are.
    programs: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As in an orderly restart: connections are cut, everything is written.
    Fast,
    /// As in a crash: what is not in the log of the database is lost.
    Immediate,
}

impl Server {
    /// Starts one on a free port and waits until it answers.
    pub fn start(programs: &Programs) -> Self {
        Self::start_as(programs, &[])
    }

    /// As [`Self::start`]; its certificate has these names, or addresses, besides [`HOST`].
    pub fn start_as(programs: &Programs, names: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let port = free_port();
        let server = Self {
            // What is on PATH may be a link to it.
            programs: programs.path(POSTGRES).canonicalize().unwrap().parent().unwrap().to_owned(),
            port,
            password: format!("unseen-{:016x}", RandomState::new().hash_one(port)),
            databases: AtomicU32::new(0),
            folder,
        };
        server.certify(names);
        if is_root() {
            run(Command::new("chown").args(["-R", SYSTEM_USER]).arg(server.folder.path()));
        }
        let data = server.data();
        run(server.program("initdb").args(["--no-sync", "--auth=trust", "--username=postgres", "-D"]).arg(&data));
        let access = format!(
            "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n\
             hostnossl all {UNENCRYPTED} 127.0.0.1/32 scram-sha-256\n"
        );
        fs::write(data.join("pg_hba.conf"), access).unwrap();
        let path = |name: &str| server.folder.path().join(name).display().to_string();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nfsync = off\nssl = on\n\
             ssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            server.folder.path().display(),
            path("server.pem"),
            path("server.key"),
        );
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
        server.up();
        for role in [OWNER, UNENCRYPTED] {
            server.query("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{}'", server.password)).unwrap();
        }
        server.query("postgres", &format!("GRANT {OWNER} TO {UNENCRYPTED}")).unwrap();
        server
    }

    /// An authority, and a certificate of the server by it.
    fn certify(&self, more: &[String]) {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let own = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([&[HOST.to_owned()], more].concat()).unwrap().signed_by(&own, &issuer).unwrap();
        let write = |name: &str, text: &str| fs::write(self.folder.path().join(name), text).unwrap();
        write("root.pem", &root.pem());
        write("server.pem", &certificate.pem());
        write("server.key", &own.serialize_pem());
        // The server refuses a key that others can read.
        let key = self.folder.path().join("server.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The certificate of the authority, as a file.
    pub fn root_certificate(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// The password of [`OWNER`]; it occurs nowhere else.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The variables of a process that uses a database as its owner, encrypted and verified.
    pub fn variables(&self, database: &str) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", HOST.to_owned()),
            ("PGPORT", self.address().port().to_string()),
            ("PGUSER", OWNER.to_owned()),
            ("PGPASSWORD", self.password().to_owned()),
            ("PGDATABASE", database.to_owned()),
            ("PGSSLROOTCERT", self.root_certificate().display().to_string()),
        ]
    }

    /// Makes an empty database that [`OWNER`] owns, and returns its name.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}")).unwrap();
        name
    }

    /// Runs statements as the superuser, one after the other: the rows of the last, or what the server objects to.
    ///
    /// # Errors
    /// The text of psql's stderr.
    pub fn query(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = self.psql(database).args(["-c", statements]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A session of the superuser that stays open: it reads statements from its stdin.
    pub fn session(&self, database: &str) -> Child {
        self.psql(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        psql.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-d", database]);
        psql
    }

    /// Ends it; [`up`](Self::up) starts it again.
    pub fn down(&self, how: Stop) {
        let mode = if how == Stop::Immediate { "immediate" } else { "fast" };
        run(self.control().args(["-m", mode, "stop"]));
    }

    /// Starts it and waits until it answers.
    pub fn up(&self) {
        let log = self.folder.path().join("data/log");
        run(self.control().arg("-l").arg(log).arg("start"));
    }

    fn control(&self) -> Command {
        let mut control = self.program("pg_ctl");
        control.args(["-w", "-t", "120", "-s", "-D"]).arg(self.data());
        control
    }

    /// One of the server's own programs, as a user as which it runs.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", SYSTEM_USER, "--"]).arg(program);
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be down already.
        let stopped = self.control().args(["-m", "immediate", "stop"]).stderr(Stdio::null()).status();
        drop(stopped);
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

/// Runs a program to its end; what the server itself goes on writing is not waited for.
fn run(command: &mut Command) {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let file = fs::File::create(&said).unwrap();
    let status = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", fs::read_to_string(&said).unwrap_or_default());
}
