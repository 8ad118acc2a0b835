//! Connections: verified unless a setting says otherwise, with errors that name the setting, and none that is not used.

use chassis::testing::eventually;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use postgres_server::{HOST, OWNER, Server, UNENCRYPTED};

use crate::NamedTrial;
use crate::instance::Instance;
use crate::site::{Site, text};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("every_way_to_name_a_database", every_way_to_name_a_database),
    ("a_certificate_that_cannot_be_verified", a_certificate_that_cannot_be_verified),
    ("a_server_without_encryption", a_server_without_encryption),
    ("a_connection_without_encryption", a_connection_without_encryption),
    ("a_wrong_password_is_refused_and_shown_nowhere", a_wrong_password_is_refused_and_shown_nowhere),
    ("settings_that_are_refused_show_no_password", settings_that_are_refused_show_no_password),
    ("nothing_keeps_an_idle_database_awake", nothing_keeps_an_idle_database_awake),
];

/// Occurs nowhere but where it is given.
const SECRET: &str = "Zx9-unspoken-Qv7";
const NOT_READY: &str = "the database is not ready; trying again";

/// What `api migrate` says where it fails.
fn refusal(site: &Site, changes: &[(&str, &str)]) -> String {
    let output = site.run(&["migrate"], changes);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains(site.server.password()) && !text.contains(SECRET), "the password is shown");
    text
}

fn every_way_to_name_a_database(server: &Server) {
    let site = Site::empty(server);
    let root = server.root_certificate().display().to_string();
    let (port, password, name) = (server.address().port(), server.password(), &site.name);
    let bare = [("PGHOST", ""), ("PGPORT", ""), ("PGUSER", ""), ("PGPASSWORD", ""), ("PGDATABASE", "")];
    let url = format!("postgres://{OWNER}:{password}@{HOST}:{port}/{name}");
    let whole = format!("{url}?sslmode=verify-full&sslrootcert={root}");
    let address = format!("postgres://127.0.0.1:{port}/{name}?sslmode=verify-ca");
    for changes in [
        &[][..],
        &[&bare[..], &[("DATABASE_URL", &url)]].concat(),
        &[&bare[..], &[("DATABASE_URL", &whole), ("PGSSLROOTCERT", "")]].concat(),
        // What a URL leaves out comes from the other variables; what it has counts.
        &[("DATABASE_URL", &*address), ("PGHOST", "elsewhere.invalid")],
        &[("PGSSLMODE", "require"), ("PGSSLROOTCERT", "")],
        &[("PGSSLMODE", "prefer"), ("PGSSLROOTCERT", "")],
        &[("PGSSLMODE", "disable"), ("PGSSLROOTCERT", ""), ("PGUSER", UNENCRYPTED)],
    ] {
        let output = site.run(&["migrate"], changes);
        assert!(output.status.success(), "{changes:?}: {}", text(&output));
    }
}

fn a_certificate_that_cannot_be_verified(server: &Server) {
    let site = Site::empty(server);
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::CertificateParams::new([]).unwrap().self_signed(&key).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (other, none) = (file("other.pem", &other.pem()), file("none.pem", "no certificate\n"));
    for (changes, reason) in [
        (&[("PGSSLROOTCERT", &*other)][..], "cannot be verified"),
        // Not one of the public authorities either.
        (&[("PGSSLROOTCERT", "")], "cannot be verified"),
        (&[("PGHOST", "127.0.0.1")], "cannot be verified"),
        (&[("PGSSLROOTCERT", &*other), ("PGSSLMODE", "verify-ca")], "cannot be verified"),
        // As libpq has it: an authority that is named is asked for.
        (&[("PGSSLROOTCERT", &*other), ("PGSSLMODE", "require")], "cannot be verified"),
        (&[("PGSSLROOTCERT", &*none)], "contains no certificate"),
        (&[("PGSSLROOTCERT", "/nowhere/root.pem")], "cannot read the file /nowhere/root.pem"),
    ] {
        let text = refusal(&site, changes);
        assert!(text.contains(reason) && text.contains("PGSSLROOTCERT"), "{changes:?}: {text}");
    }
    let instance = Instance::start(&site, 10, &[("PGSSLROOTCERT", &other)]);
    eventually("the reason is logged", || !instance.events(NOT_READY).is_empty());
    assert!(instance.reasons(NOT_READY)[0].contains("PGSSLROOTCERT"));
    assert_eq!(instance.get("/health").0, 503);
}

/// One that answers the question for TLS with N, as PostgreSQL does.
fn a_server_without_encryption(server: &Server) {
    let site = Site::empty(server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut question = [0; 8];
            if client.read_exact(&mut question).is_ok() {
                client.write_all(b"N").unwrap_or_default();
            }
        }
    });
    let text = refusal(&site, &[("PGPORT", &port)]);
    assert!(text.contains("does not encrypt") && text.contains("PGSSLMODE=verify-full"), "{text}");
}

fn a_connection_without_encryption(server: &Server) {
    let site = Site::empty(server);
    let text = refusal(&site, &[("PGSSLMODE", "disable")]);
    assert!(text.contains("PGSSLMODE=disable") && text.contains("not encrypted"), "{text}");
}

fn a_wrong_password_is_refused_and_shown_nowhere(server: &Server) {
    let site = Site::empty(server);
    let url = format!("postgres://{OWNER}:{SECRET}@{HOST}:{}/{}", server.address().port(), site.name);
    for changes in [&[("PGPASSWORD", SECRET)][..], &[("DATABASE_URL", &url)]] {
        let text = refusal(&site, changes);
        assert!(text.contains("password authentication failed") && text.contains(OWNER), "{text}");
        // Whatever the libraries have to say.
        let verbose = [changes, &[("API_LOG_LEVEL", "trace")]].concat();
        let instance = Instance::start(&site, 10, &verbose);
        eventually("the reason is logged", || instance.logs("password authentication failed"));
        assert!(!instance.logs(SECRET), "the log shows the password");
        let help = site.run(&["--help"], changes);
        assert!(help.status.success() && !self::text(&help).contains(SECRET));
    }
}

fn settings_that_are_refused_show_no_password(server: &Server) {
    let site = Site::empty(server);
    let port = server.address().port();
    for url in [
        format!("postgres://{OWNER}:{SECRET}@{HOST}:{port}/x?pasword={SECRET}"),
        format!("postgres://{OWNER}:{SECRET}@{HOST}:0/x"),
        format!("{OWNER}:{SECRET}@{HOST}"),
    ] {
        for arguments in [&["migrate"][..], &[], &["healthcheck"]] {
            let output = site.run(arguments, &[("DATABASE_URL", &url)]);
            let text = text(&output);
            assert!(!output.status.success() && text.contains("DATABASE_URL"), "{text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

/// A database that stops while nobody is connected stays stopped: ids are in stock, and health is not asked of it.
fn nothing_keeps_an_idle_database_awake(server: &Server) {
    let site = Site::migrated(server);
    let instance = Instance::ready(&site, 100, &[("API_DATABASE_IDLE_SECONDS", "1")]);
    assert_eq!(instance.id(), Some(1));
    eventually("the next block is there", || site.leased() == 200);
    eventually("idle connections are closed", || site.connections() == 0);
    // Counted by the server, and asked of it through another database.
    let sessions = format!("SELECT sessions FROM pg_stat_database WHERE datname = '{}'", site.name);
    let sessions = || server.query("postgres", &sessions).unwrap();
    let before = sessions();
    for _ in 0..10 {
        assert_eq!((instance.get("/health").0, instance.get("/api/greeting").0), (200, 200));
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(sessions(), before, "the database was asked");
}
